# SPDX-License-Identifier: Apache-2.0
"""Rows of live and analytic runs on ns-3, and of tasks: each is what the run has that is done by itself."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from cosim.experiment import run
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import Journal
from cosim.results.figures import figures_of
from cosim.results.summary import summarise
from cosim.studies import work
from cosim.studies.dataset import write
from cosim.studies.place import held
from cosim.studies.runs import check_runs, runs_of
from cosim.studies.study import study_of
from tests.support.routing_traces import make_rows, write_rows

QUIZ = [
    {"context": f"{a} and {b} are", "choices": [f" {a + b}", f" {a + b + 1}"], "answer": 0} for a, b in ((1, 2), (3, 4))
]


def rows_of(
    asked: dict[str, Any], folder: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """The data set of a study that this process does, its ns-3 side at `endpoint`."""
    monkeypatch.setattr(work, "_kept", SimpleNamespace(endpoint=lambda script: endpoint, words=str))
    study = study_of(asked, "study")
    runs = runs_of(study)
    check_runs(runs)
    with held(folder, study):
        rows = {each.name: work.carry_out(work.task_of(each, folder, study.keep)) for each in runs}
        write(folder, runs, rows, {})
    found: list[dict[str, Any]] = pq.read_table(folder / "results.parquet").to_pylist()
    return found


def hold(row: dict[str, Any], alone: Path) -> None:
    """Hold a row against a run that was done by itself."""
    journal = Journal.open(alone)
    assert row["fingerprint"] == journal.fingerprint()
    journal.close()
    (summary,) = summarise(alone)
    wanted = figures_of(summary)
    assert {name: row[name] for name in wanted} == wanted


def test_rows_of_live_and_analytic_runs(ns3_server, tmp_path, monkeypatch):
    trace = write_rows(make_rows(1, 4, 2), tmp_path / "trace.parquet")
    base = {
        "networks": ["live", "analytic"],
        "model": {"routing": str(trace)},
        "workload": {"requests": 1},
        "radio": {"scenario": "lte", "devices": 3},
    }
    asked = {"base": base, "grid": {"seed": [1, 2], "policies": ["top-k"]}}
    rows = rows_of(asked, tmp_path / "study", ns3_server, monkeypatch)
    assert [(row["seed"], row["network"]) for row in rows] == [
        (seed, network) for seed in (1, 2) for network in ("live", "analytic")
    ]
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    assert rows[0]["tpot_mean_s"] != rows[1]["tpot_mean_s"]
    for row in rows[2:]:
        own = base | {"seed": row["seed"], "networks": [row["network"]], "policies": [row["policy"]]}
        hold(row, run(own, out=tmp_path / row["network"], at=Ns3Place(ns3_server)))


def test_rows_of_tasks_have_their_scores(fixed_server, tiny_model, tmp_path, monkeypatch):
    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text("\n".join(map(json.dumps, QUIZ)))
    base = {
        "model": {"path": str(tiny_model)},
        "workload": {"tasks": [str(quiz)]},
        "radio": {"scenario": "fixed"},
    }
    asked = {"base": base, "grid": {"policies": ["top-k", "top-n"]}}
    monkeypatch.setattr("cosim.studies.runs._check_radios", lambda runs: None)  # ns-3 knows no such one
    rows = rows_of(asked, tmp_path / "study", fixed_server, monkeypatch)
    assert [row["policy"] for row in rows] == ["top-k", "top-n"]
    assert 0 <= rows[0]["quiz_acc"] <= 1
    alone = run(base | {"policies": ["top-n"]}, out=tmp_path / "alone", at=Ns3Place(fixed_server))
    hold(rows[1], alone)
