# SPDX-License-Identifier: Apache-2.0
"""`--json`: every command that prints a table prints its figures so, too."""

import json
import sys
from contextlib import closing

import numpy as np
import pytest
import typer

import cosim
from cosim import cli
from cosim.record.journal import Journal
from tests.support.small_run import small_run

TABLES = [
    "show",
    "list",
    "models",
    "policies",
    "scenarios",
    "devices",
    "calibrate",
    "doctor",
    "compare",
    "eval",
    "capacity",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("json"))


@pytest.fixture
def said(monkeypatch, capsys):
    def ask(*arguments: object):
        monkeypatch.setattr(sys, "argv", ["cosim", *map(str, arguments), "--json"])
        code = cli.run_command()
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return json.loads(out)

    return ask


def test_every_command_that_prints_a_table_has_the_option():
    group = typer.main.get_command(cli.app)
    having = [name for name, command in group.commands.items() if "--json" in str([p.opts for p in command.params])]
    assert sorted(having) == sorted(TABLES)


def test_show_has_the_figures_of_the_summary(run, said):
    told = said("show", run)
    first = cosim.summarise(run)[0]
    with closing(Journal.open(run)) as journal:
        assert told["fingerprint"] == journal.fingerprint()
    assert told["finished"] is True
    assert [each["policy"] for each in told["variants"]] == ["top-k", "weight-to-latency"]
    shown = told["variants"][0]
    assert shown["tpot_s"]["count"] == len(first.tpot_s)
    assert shown["tpot_s"]["p95"] == np.percentile(first.tpot_s, 95)
    assert shown["layer_s"]["decode"]["median"] == np.median(first.layer_s["decode"])
    assert shown["slots"]["own"] == first.slots.own
    assert [device["tokens"] for device in shown["devices"]] == [device.tokens for device in first.devices]


def test_compare_has_the_rows_of_its_table(run, said):
    rows = said("compare", run)
    frame = cosim.compare(run)
    assert [row["measure"] for row in rows] == frame["measure"].tolist()
    assert [row["difference"] for row in rows] == frame["difference"].tolist()


def test_what_there_is_to_choose_from(said):
    assert {"top-k", "wdmoe"} <= {policy["name"] for policy in said("policies")}
    (ratio,) = said("policies", "ratio")
    assert ratio["formula"]
    assert ratio["options"][0]["option"].startswith("policy.ratio.")
    told = said("devices")
    assert {"nvidia-l4", "jetson-orin-nano"} <= {profile["name"] for profile in told["profiles"]}
    assert all(row["predicted_tokens_per_s"] > 0 for row in told["measurements"])
    assert "wired" in {scenario["name"] for scenario in said("scenarios")}
    (parameter,) = said("scenarios", "wired", "rate_bps")["parameters"]
    assert parameter["unit"] == "bit/s"
