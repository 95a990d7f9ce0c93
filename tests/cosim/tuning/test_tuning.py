# SPDX-License-Identifier: Apache-2.0
"""A search finds the front where that is known, comes to the same however it was stopped, and is verified live."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError
from cosim.experiment import run, what_if
from cosim.results.summary import summarise
from cosim.studies import work
from cosim.studies.axes import Range
from cosim.studies.place import held
from cosim.studies.runs import StudyRun
from cosim.studies.study import study_of
from cosim.tuning.sought import search_of
from cosim.tuning.trials import Trials, distribution, front
from cosim.tuning.tuning import Tuned, searched
from tests.support.servers import eventually
from tests.support.small_run import Side, small_run
from tests.support.studies import asked_here, ends, rows_in

BETA, WASTE = "policy.ratio.beta", "exchange.decision_s"


@pytest.fixture(name="record", scope="module")
def one_record(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("record"))


@pytest.fixture(autouse=True)
def no_ns3(monkeypatch):
    monkeypatch.setattr("cosim.experiment.Ns3Side", Side)
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)
    monkeypatch.setattr(work, "_kept", SimpleNamespace(endpoint=lambda script: "ipc:///none", words=str))


def values(record: Path, **tune: Any) -> dict[str, Any]:
    """A study: how much `ratio` leaves out, and how long the base station dawdles, which is good for nothing."""
    keys = {BETA: {"from": 0.0, "to": 1.0}, WASTE: {"from": 0.0, "to": 0.1, "step": 0.05}}
    return {
        "record": str(record),
        "base": {"policies": ["ratio"]},
        "tune": {"trials": 20, "together": 4, "verify": 0, "keys": keys, **tune},
    }


def tuned(folder: Path, asked: dict[str, Any], told: Callable[[StudyRun], None] = lambda run: None) -> Tuned:
    """As `cosim.tune`, by this process and no cluster; `told` hears of each run before it is done."""
    search = search_of(study_of(asked, "study"))
    with held(folder, search.identity):
        return searched(search, asked_here(folder, told))


def asked_and_came(found: Tuned) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.values, trial.came, trial.on_front, trial.live) for trial in found.trials]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_it_finds_the_front_where_that_is_known(record, tmp_path, sampler):
    """More left out is quicker and worse, and dawdling only slower: all of the front is without it, none beside it."""
    found = tuned(tmp_path / "study", values(record, sampler=sampler, trials=32))
    assert {trial.values[WASTE] for trial in found.front} == {0.0}
    betas = [trial.values[BETA] for trial in found.front]
    assert len(betas) > 2
    assert betas == sorted(betas, reverse=True)  # from the quickest on
    kept = [trial.came["gate_weight_kept"] for trial in found.front]
    assert kept == sorted(kept)
    for trial in found.trials:
        quicker = [other.came["tpot_mean_s"] <= trial.came["tpot_mean_s"] for other in found.front]
        better = [other.came["gate_weight_kept"] >= trial.came["gate_weight_kept"] for other in found.front]
        assert any(quick and good for quick, good in zip(quicker, better, strict=True))


def test_a_trial_is_the_mean_of_what_a_what_if_says_in_each_point_of_the_study(record, tmp_path):
    asked = values(record, trials=2) | {"grid": {"devices.weight_bits": [4, 8]}}
    found = tuned(tmp_path / "study", asked)
    for trial in found.trials:
        settings = [f"{key}={value}" for key, value in trial.values.items()]
        answers = [
            what_if(record, [*settings, f"devices.weight_bits={bits}"], policies=["ratio"], out=tmp_path / name)
            for bits, name in ((4, f"four-{trial.number}"), (8, f"eight-{trial.number}"))
        ]
        ((one,), (other,)) = map(summarise, answers)
        assert trial.came["tpot_mean_s"] == pytest.approx((one.tpot_s.mean() + other.tpot_s.mean()) / 2)


def test_a_search_that_was_stopped_comes_to_the_same_and_runs_nothing_twice(record, tmp_path, monkeypatch):
    whole = tuned(tmp_path / "whole", values(record))
    stopped = tmp_path / "stopped"
    for at in (3, 9):  # within the first and the third batch
        left = iter(range(at))

        def count(run: StudyRun, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tuned(stopped, values(record), count)
    end = Trials.end

    def end_in_the_midst(self: Trials, asked: Any, came: Any) -> None:
        end(self, asked, came)
        if asked.number == 13:  # the second of its batch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "end", end_in_the_midst)
        with pytest.raises(KeyboardInterrupt):
            tuned(stopped, values(record))
    assert asked_and_came(tuned(stopped, values(record))) == asked_and_came(whole)
    again: list[StudyRun] = []
    assert asked_and_came(tuned(stopped, values(record), again.append)) == asked_and_came(whole)
    assert again == []
    assert set(ends(stopped).values()) == {1}


@pytest.mark.timeout(600)
def test_a_search_on_processes_that_is_killed_comes_to_the_same_and_runs_nothing_twice(record, tmp_path):
    """The command, and with it all that it started, in the midst of the second of three batches."""
    whole = tuned(tmp_path / "whole", values(record, trials=12))
    stopped, file = tmp_path / "stopped", tmp_path / "study.toml"
    file.write_text(
        f'record = "{record}"\n[base]\npolicies = ["ratio"]\n[tune]\ntrials = 12\ntogether = 4\nverify = 0\n'
        f'[tune.keys]\n"{BETA}" = {{from = 0.0, to = 1.0}}\n"{WASTE}" = {{from = 0.0, to = 0.1, step = 0.05}}\n'
    )
    command = [sys.executable, "-m", "cosim.cli", "tune", str(file), "--workers", "1", "--out", str(stopped)]
    asking = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    assert eventually(lambda: rows_in(stopped) > 4, 240)
    asking.kill()
    asking.wait()
    assert rows_in(stopped) < 12
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=240)
    assert asked_and_came(tuned(stopped, values(record, trials=12))) == asked_and_came(whole)
    assert set(ends(stopped).values()) == {1}


def test_more_trials_go_on_and_the_first_stay_as_they_were(record, tmp_path):
    few = tuned(tmp_path / "study", values(record, trials=6))
    more = tuned(tmp_path / "study", values(record, trials=12))
    assert [each[:3] for each in asked_and_came(more)[:6]] == [each[:3] for each in asked_and_came(few)]
    assert asked_and_came(more) == asked_and_came(tuned(tmp_path / "at once", values(record, trials=12)))
    with pytest.raises(RequestError, match=r"--out: .* holds another study, whose tune are others"):
        tuned(tmp_path / "study", values(record, seed=2))


def test_optuna_s_own_storage_holds_it(record, tmp_path):
    found = tuned(tmp_path / "study", values(record))
    stored = optuna.load_study(study_name="tune", storage=f"sqlite:///{tmp_path}/study/trials.sqlite3")
    assert [trial.params for trial in stored.trials] == [trial.values for trial in found.trials]
    assert [trial.values for trial in stored.trials] == [list(trial.came.values()) for trial in found.trials]
    assert stored.metric_names == ["tpot_mean_s", "gate_weight_kept"]
    best = {tuple(trial.values) for trial in stored.best_trials}
    assert best == {tuple(trial.came.values()) for trial in found.front}


def test_the_front_is_verified_by_runs_on_the_live_network(record, tmp_path):
    found = tuned(tmp_path / "study", values(record, trials=8, verify=2))
    verified = [trial for trial in found.trials if trial.live is not None]
    assert [trial.number for trial in (found.front[0], found.front[-1])] == [trial.number for trial in verified] or {
        trial.number for trial in verified
    } == {found.front[0].number, found.front[-1].number}
    for trial in verified:
        settings = {"policy": {"ratio": {"beta": trial.values[BETA]}}, "exchange": {WASTE[9:]: trial.values[WASTE]}}
        live = {
            "model": {"routing": str(record.parent / "trace.parquet")},
            "workload": {"requests": 2},
            "radio": {"scenario": "fixed"},
            **settings,
        }
        (measured,) = summarise(run(live, policies=["ratio"], out=tmp_path / f"live-{trial.number}"))
        assert trial.live["tpot_mean_s"] == pytest.approx(measured.tpot_s.mean())
        assert trial.live["gate_weight_kept"] == pytest.approx(trial.came["gate_weight_kept"])


def test_options_that_come_to_one_configuration_are_run_once(record, tmp_path):
    keys = {"policies": ["top-k", "ratio"], BETA: {"from": 0.1, "to": 0.9}}
    found = tuned(tmp_path / "study", values(record, keys=keys, trials=12))
    of_top_k = [trial.came for trial in found.trials if trial.values["policies"] == "top-k"]
    assert len(of_top_k) > 1
    assert all(came == of_top_k[0] for came in of_top_k)
    assert len(ends(tmp_path / "study")) == 1 + len(found.trials) - len(of_top_k)


def test_a_trial_whose_run_is_refused_is_told_and_the_others_go_on(record, tmp_path, monkeypatch):
    carry_out = work.carry_out
    monkeypatch.setattr(work, "carry_out", lambda task: "no such thing" if task.number == 1 else carry_out(task))
    found = tuned(tmp_path / "study", values(record, trials=8))
    assert [trial.number for trial in found.trials if trial.came is None] == [1]
    assert list(found.failures.values()) == ["no such thing"]
    assert 1 not in [trial.number for trial in found.front]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"tune": {}, "grid": {"seeds.losses": [1, 2]}}, "tune", "is missing"),
        ({"tune": {"keys": {}}}, "tune.keys", "is empty"),
        ({"tune": {"trials": 3}}, "tune", "keys"),
        ({"tune": {"keys": {BETA: {"from": 0.0, "to": 2.0}}}}, "policy.ratio.beta", "<= 1"),
        ({"tune": {"keys": {"policy.ratio.gamma": [1.0]}}}, "policy.ratio.gamma", "no such option"),
        ({"tune": {"keys": {BETA: 0.5}}}, f"tune.keys.{BETA}", "is one value"),
        ({"tune": {"keys": {BETA: [[0.5]]}}}, f"tune.keys.{BETA}", "lists or tables"),
        ({"tune": {"keys": {BETA: [0.5]}, "tirals": 3}}, "tune.tirals", "did you mean trials"),
        ({"tune": {"keys": {BETA: [0.5]}, "trials": 0}}, "tune.trials", ">= 1"),
        ({"tune": {"keys": {BETA: [0.5]}, "minimise": ["tpot"]}}, "tune.minimise", "no run has a column 'tpot'"),
        ({"tune": {"keys": {BETA: [0.5]}, "minimise": ["kl_nats"]}}, "tune.minimise", "where routing is replayed"),
        ({"tune": {"keys": {BETA: [0.5]}, "maximise": ["tokens"] * 2}}, "tune.minimise", "twice"),
        ({"tune": {"keys": {BETA: [0.5]}, "maximise": ["in_time"]}}, "tune.maximise", "where no requests arrive"),
        ({"tune": {"keys": {"networks": ["live"]}}}, "tune.keys.networks", "no option"),
        ({"grid": {BETA: [0.5]}}, f"tune.keys.{BETA}", "is varied by the study"),
        ({"record": "nowhere"}, "record", "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(record, change, field, reason):
    with pytest.raises(RequestError) as refused:
        search_of(study_of(values(record) | change, "study"))
    assert refused.value.field == field
    assert reason in refused.value.reason


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 2), max_size=12), st.tuples(st.booleans(), st.booleans()))
def test_on_the_front_is_what_no_other_is_better_than(points, is_small):
    def better(one: Sequence[int], other: Sequence[int]) -> bool:
        pairs = [(a, b) if small else (b, a) for a, b, small in zip(one, other, is_small, strict=True)]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    wanted = {point for point in points if not any(better(other, point) for other in points)}
    found = front(points, is_small)
    assert sorted(points[number] for number in found) == sorted(wanted)
    assert found == sorted(found)


@pytest.mark.parametrize(
    "axis",
    [
        ["one", "other"],
        Range(begin=1, end=8, step=3),
        Range(begin=0.0, end=1.0, step=0.3),
        Range(begin=0.01, end=1.0, count=3, scale="log"),
    ],
)
def test_what_optuna_draws_is_what_a_sweep_would(axis):
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    found = [drawn.ask({"key": distribution(axis)}).params["key"] for _ in range(60)]
    wanted = axis.values("key") if isinstance(axis, Range) else axis
    assert {type(value) for value in found} == {type(value) for value in wanted}
    if isinstance(axis, list):
        assert set(found) == set(wanted)
    else:
        assert sorted(set(found)) == pytest.approx(wanted)


def test_a_range_without_steps_is_drawn_from_anywhere():
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    axis = distribution(Range(begin=0.01, end=100.0, scale="log"))
    found = np.log10([drawn.ask({"key": axis}).params["key"] for _ in range(200)])
    assert found.min() < -1.5 < 1.5 < found.max()
    assert abs(np.median(found)) < 0.5
