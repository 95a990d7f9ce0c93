# SPDX-License-Identifier: Apache-2.0
"""A study's runs, done by a stand-in for a cluster in this process: what comes of them, and what is refused before."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from bridge.network import RequestError
from cosim.experiment import what_if
from cosim.record.journal import Journal
from cosim.results.summary import summarise
from cosim.studies import cluster, sweeping, work
from cosim.studies.cluster import ClusterPlace
from cosim.studies.inputs import digest_of
from cosim.studies.place import RUNS, claimed, row_file
from cosim.studies.runs import runs_of
from cosim.studies.study import read_study, study_of
from tests.support.studies import POLICIES, data_set, done_here, ends, rows_in, small_study

DRAWS = 3


class Here:
    """Stands in for Dask's client: does each task at once, and again if it fails."""

    status = "running"

    def __init__(self, do: Callable[[Any], Any] = work.carry_out):
        self._do = do

    def nthreads(self) -> dict[str, int]:
        return {"here": 1}

    def submit(self, _: object, task: Any, key: str, retries: int) -> Any:
        future: Future[Any] = Future()
        future.key = key
        future.status = "finished"
        for _attempt in range(retries + 1):
            try:
                future.set_result(self._do(task))
                break
            except Exception as error:
                failure = error
        else:
            future.set_exception(failure)
            future.status = "error"
        return future


@pytest.fixture
def here(monkeypatch) -> Callable[[Here], None]:
    """Has a client of ours in the place of a cluster's."""

    def use(client: Here) -> None:
        @contextmanager
        def workers(*_: object) -> Iterator[Here]:
            yield client

        monkeypatch.setattr(sweeping, "gathered", workers)

    use(Here())
    return use


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return small_study(tmp_path_factory.mktemp("study"), DRAWS)


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory) -> Path:
    return done_here(study, tmp_path_factory.mktemp("done") / "study")


def test_a_row_is_what_the_same_run_by_itself_comes_to(study, whole, tmp_path):
    table = pq.read_table(whole / "results.parquet")
    rows = table.to_pylist()
    assert [(row["policy"], row["seeds.losses"]) for row in rows] == [
        (policy, draw) for draw in range(1, DRAWS + 1) for policy in POLICIES
    ]
    row = rows[3]
    record = read_study(study).records[0]
    alone = what_if(record, [f"seeds.losses={row['seeds.losses']}"], policies=[row["policy"]], out=tmp_path / "alone")
    (summary,) = summarise(alone)
    with closing(Journal.open(alone)) as journal:
        assert row["fingerprint"] == journal.fingerprint()
        assert row["virtual_s"] == journal.rows("SELECT max(end_ns) FROM exchanges")[0][0] / 1e9
    assert row["ttft_mean_s"] == pytest.approx(summary.ttft_s.mean())
    assert row["slots_left_out"] == summary.slots.left_out
    parts = ("downlink_s", "device_compute_s", "uplink_s", "waiting_s", "bs_compute_s")
    assert sum(row[part] for part in parts) == pytest.approx(summary.token_s.sum(), rel=1e-6)
    assert (row["status"], row["seed"], row["exchange.deadline_s"]) == ("done", 1, 5.0)
    assert table.schema.field("ttft_mean_s").metadata == {b"unit": b"s"}
    assert table.schema.field("downlink_bytes").metadata == {b"unit": b"bytes"}


def test_a_record_is_named_from_where_the_study_is_asked_for(here, study, whole, tmp_path, monkeypatch):
    """Not from where it was recorded, from which the files of its configuration are named."""
    relative = tmp_path / "study.toml"
    relative.write_text(study.read_text().replace(str(study.parent / "run"), "run"))
    monkeypatch.chdir(study.parent)
    rows = pq.read_table(sweeping.sweep(relative, tmp_path / "study").folder / "results.parquet")
    assert rows["record"].to_pylist() == ["run"] * (2 * DRAWS)
    assert rows["fingerprint"] == pq.read_table(whole / "results.parquet")["fingerprint"]


def test_a_study_that_was_stopped_goes_on_with_what_is_missing(here, study, whole, tmp_path):
    class Stop(Exception):
        pass

    def stopping(progress: sweeping.Progress) -> None:
        if progress.done == 2:
            raise Stop

    folder = tmp_path / "study"
    with pytest.raises(Stop):
        sweeping.sweep(study, folder, tell=stopping)
    assert pq.read_table(folder / "results.parquet").num_rows == 2
    came = sweeping.sweep(study, folder)
    assert (came.total, came.done, came.left, dict(came.failures)) == (2 * DRAWS, 2 * DRAWS, 0, {})
    assert came.earlier == rows_in(folder) - (came.done - came.earlier) >= 2
    assert data_set(folder) == data_set(whole)
    assert set(ends(folder).values()) == {1}
    assert sweeping.sweep(study, folder).earlier == came.total


def test_a_run_that_fails_is_tried_again_and_then_has_a_row_that_says_so(here, study, tmp_path):
    tried: list[int] = []

    def failing(task: Any) -> Any:
        if task.number in (1, 4):
            tried.append(task.number)
            if task.number == 1 or tried.count(4) == 1:
                raise work.RunFailed("no more memory")
        return work.carry_out(task)

    here(Here(failing))
    came = sweeping.sweep(study, tmp_path / "study")
    assert list(came.failures.values()) == ["no more memory"]
    assert (came.done, came.left, tried) == (2 * DRAWS - 1, 0, [1, 1, 4, 4])
    rows = pq.read_table(tmp_path / "study" / "results.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["done", "failed", *["done"] * (2 * DRAWS - 2)]
    assert (rows[1]["error"], rows[1]["ttft_mean_s"]) == ("no more memory", None)
    here(Here())
    assert sweeping.sweep(study, tmp_path / "study").failures == {}


def test_a_budget_ends_before_what_it_has_no_time_for(here, study, tmp_path):
    came = sweeping.sweep(study, tmp_path / "study", budget_hours=1e-9)
    assert (came.done, came.left, dict(came.failures)) == (0, 2 * DRAWS, {})
    assert sweeping.sweep(study, tmp_path / "study", budget_hours=100).left == 0


def test_a_plan_does_a_few_runs_that_need_not_run_again(here, study, tmp_path):
    planned = sweeping.plan(study, tmp_path / "study")
    assert (planned.total, planned.done, planned.timed, planned.workers) == (2 * DRAWS, 3, 3, 1)
    assert planned.left_s == pytest.approx(3 * planned.run_s)
    assert planned.result_bytes > 2 * DRAWS * 1000
    assert planned.journal_bytes == 0
    assert sweeping.sweep(study, tmp_path / "study").earlier == 3


def test_kept_runs_are_those_of_the_rows(here, study, tmp_path):
    kept = study.with_name("kept.toml")
    kept.write_text(f"keep = true\n{study.read_text()}")
    folder = sweeping.sweep(kept, tmp_path / "study").folder
    for row in pq.read_table(folder / "results.parquet").to_pylist():
        with closing(Journal.open(folder / RUNS / row["run"])) as journal:
            assert journal.fingerprint() == row["fingerprint"]


def test_a_run_that_another_process_does_is_waited_for(study, whole, tmp_path):
    folder = tmp_path / "study"
    asked = read_study(study)
    (run, *_) = runs_of(asked)
    with sweeping.held(folder, asked):
        forking = multiprocessing.get_context("fork")
        begun, end = forking.Event(), forking.Event()

        def other() -> None:
            with claimed(folder, run.number):
                begun.set()
                end.wait(60)
                row_file(folder, run.name).write_bytes(row_file(whole, run.name).read_bytes())

        process = forking.Process(target=other)
        process.start()
        assert begun.wait(60)
        came: list[Any] = []
        waiting = threading.Thread(target=lambda: came.append(work.carry_out(work.task_of(run, folder, asked.keep))))
        waiting.start()
        assert not came
        end.set()
        waiting.join(60)
        process.join(60)
    assert came[0].fingerprint == pq.read_table(whole / "results.parquet")["fingerprint"][0].as_py()
    assert not (folder / "logs" / f"{run.name}.log").exists()


def test_two_policies_of_one_seed_have_the_same_chance():
    runs = runs_of(study_of({"grid": {"seed": [1, 2], "policies": ["top-k", "wdmoe"]}}, "study"))
    seeds = [[run.config.seed_for(name) for name in ("radio", "prompts", "sampling")] for run in runs]
    assert seeds == [[1] * 3, [1] * 3, [2] * 3, [2] * 3]


def test_an_option_of_one_policy_makes_no_run_of_another():
    grid = {"policies": ["top-k", "weight-to-latency"], "policy.weight-to-latency.threshold": [0.1, 0.2]}
    runs = runs_of(study_of({"grid": grid}, "study"))
    assert [(run.config.policies[0], run.config.policy) for run in runs] == [
        ("top-k", {}),
        *(("weight-to-latency", {"weight-to-latency": {"threshold": value}}) for value in (0.1, 0.2)),
    ]


def test_each_policy_on_each_network_is_a_run_of_its_own():
    base = {"policies": ["top-k", "wdmoe"], "networks": ["live", "analytic"]}
    runs = runs_of(study_of({"base": base, "grid": {"seed": [1]}}, "study"))
    assert [(*run.config.networks, *run.config.policies) for run in runs] == [
        (network, policy) for network in base["networks"] for policy in base["policies"]
    ]


def test_what_a_file_holds_makes_another_run(tmp_path):
    text = tmp_path / "text.txt"
    asked = study_of({"base": {"workload": {"text": str(text)}}, "grid": {"seed": [1, 2]}}, "study")
    names = []
    for words in ("one", "other"):
        text.write_text(words)
        digest_of.cache_clear()
        names.append({run.name for run in runs_of(asked)})
    assert names[0].isdisjoint(names[1])


BROKEN = {
    "radio.devcies": {"grid": {"radio.devcies": [4]}},
    "radio.devices": {"grid": {"radio.devices": [4, -1]}},
    "exchange.dedline_s": {"grid": {"exchange.dedline_s": [4]}},
    "policies": {"grid": {"policies": ["top-k", "top-j"]}},
    "policy.random.sed": {"grid": {"policies": ["random"], "policy.random.sed": [1]}},
    "policy.random": {"grid": {"seed": [1], "policy.random.seed": [1]}},
    "networks": {"grid": {"networks": ["what-if"]}},
    "workload.requests": {"base": {"workload": {"requests": 10**6}}, "grid": {"seed": [1]}},
    "record": {"record": "nowhere", "grid": {"policies": ["top-k"]}},
    "seeds.prompts": {"grid": {"seeds.prompts": [0]}},
}


@pytest.mark.parametrize("field", BROKEN)
def test_what_a_run_would_refuse_is_refused_before_any_runs(field, tmp_path):
    with pytest.raises(RequestError) as refused:
        sweeping.sweep(BROKEN[field], tmp_path / "study")
    assert refused.value.field == field
    assert "where" in refused.value.reason or field in ("record", "policies")
    assert not (tmp_path / "study").exists()


def test_a_folder_holds_one_study(here, study, whole, tmp_path):
    other = study.with_name("other.toml")
    other.write_text(study.read_text().replace(f"to = {DRAWS}", "to = 9"))
    before = data_set(whole)
    with pytest.raises(RequestError, match="holds another study, whose grid"):
        sweeping.sweep(other, whole)
    assert data_set(whole) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(RequestError, match="something else"):
        sweeping.sweep(study, tmp_path / "full")
    asked = read_study(study)
    with sweeping.held(tmp_path / "study", asked), pytest.raises(RequestError, match="another `cosim sweep`"):
        sweeping.sweep(study, tmp_path / "study")


BAD_PLACES = {
    "--scheduler": ClusterPlace("udp://host:8786"),
    "--scheduler ": ClusterPlace("tcp://host:8786"),
    "--keys": ClusterPlace("tls://host:8786"),
    "--keys ": ClusterPlace(keys=Path("keys")),
    "--plain-tcp": ClusterPlace(plain_tcp=True),
    "--workers": ClusterPlace("tcp://host:8786", workers=2, plain_tcp=True),
    "--memory": ClusterPlace(memory="much"),
    "--memory ": ClusterPlace(memory="1MiB"),
}


@pytest.mark.parametrize("option", BAD_PLACES)
def test_a_place_that_cannot_be_is_named(option, study, tmp_path):
    with pytest.raises(RequestError) as refused:
        sweeping.sweep(study, tmp_path / "study", at=BAD_PLACES[option])
    assert refused.value.field == option.strip()
    assert not (tmp_path / "study").exists()


def test_a_scheduler_that_is_not_there_is_named(study, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.3)
    with pytest.raises(RequestError, match=r"nobody answers at tcp://127\.0\.0\.1:9 "):
        sweeping.sweep(study, tmp_path / "study", at=ClusterPlace("tcp://127.0.0.1:9", plain_tcp=True))


def test_a_scheduler_or_a_worker_of_another_version_is_named():
    here = {"packages": {"python": "3.11.7.final.0", "dask": "2026.8.0", "distributed": "2026.8.0"}}
    other = {"packages": here["packages"] | {"distributed": "2025.1.0"}}
    for told, who in (
        ({"client": here, "scheduler": other, "workers": {}}, "the scheduler has distributed 2025.1.0"),
        ({"client": here, "scheduler": here, "workers": {"w": other}}, "the worker w has distributed 2025.1.0"),
    ):
        client = SimpleNamespace(get_versions=lambda told=told: told, wait_for_workers=lambda *_, **__: None)
        with pytest.raises(RequestError, match=who):
            cluster._check_workers(client, "tls://host:8786")
    client = SimpleNamespace(run=lambda *_: {"w": {"numpy": "1.0"}})
    with pytest.raises(RequestError, match=r"the worker w has numpy 1\.0 \(here 2\.0\)"):
        cluster.hold_versions(client, {"numpy": "2.0"})
