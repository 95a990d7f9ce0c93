# SPDX-License-Identifier: Apache-2.0
"""`cosim run --dry-run`: the TOML it prints is the configuration, and it counts right."""

import pytest

from cosim import config
from cosim.running.dry_run import lines
from tests.support.cosim_process import cosim
from tests.support.routing_traces import make_rows, write_rows

ASKED = [
    ["radio.scenario=wired"],
    ["radio.devices=3", "radio.scenario=wired", 'radio.life=[{kind="outage", device=1, begin_s=1, end_s=2}]'],
    [
        "policy.weight-to-latency.threshold=0.3",
        "seeds.radio=4",
        "radio.scenario=wired",
        'devices.compute_w=["profile", 3]',
    ],
    ["placement.experts=[0, [1, 2], 0, 1, 0, 1, 0, 1]", "radio.scenario=wired", "model.path=shipped", "seed=7"],
]


@pytest.mark.parametrize("settings", ASKED)
def test_what_it_prints_loads_back_equal(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("cosim.running.dry_run.check_scenario", lambda config: None)
    monkeypatch.setattr("cosim.running.dry_run.described", lambda scenario, values: {"parameters": []})
    asked = config.load(None, settings, ["top-k", "weight-to-latency+min-max"])
    monkeypatch.setattr("cosim.running.dry_run.check", lambda config: None)
    (tmp_path / "c.toml").write_text("\n".join(lines(asked)), encoding="utf-8")
    assert config.load(tmp_path / "c.toml") == asked
    assert config.load(tmp_path / "c.toml") != config.load(None)


def test_the_command_says_all_and_makes_nothing(tmp_path):
    trace = write_rows(make_rows(requests=3, new_tokens=3), tmp_path / "trace.parquet")
    asked = ["--scenario", "wired", "--set", f"model.routing={trace}", "--set", "workload.requests=2"]
    asked += ["--policy", "top-k", "--policy", "top-n", "--network", "live", "--network", "analytic"]
    done = cosim("run", "--dry-run", *asked, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# 4 variants: top-k (live), top-n (live), top-k (analytic), top-n (analytic)\n")
    assert "\n# each of them 6 tokens in 18 exchanges\n" in done.stdout  # 2 requests, 3 tokens, 3 layers
    assert "\n# [policy.top-n]\n# n = " in done.stdout
    assert '\nscenario = "wired"\n' in done.stdout
    assert "\n# delay_s = " in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["trace.parquet"]
    refused = cosim("run", "--dry-run", "--set", "radio.devces=3", cwd=tmp_path)
    assert (refused.returncode, "did you mean devices?" in refused.stderr) == (2, True)
