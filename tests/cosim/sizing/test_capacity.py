# SPDX-License-Identifier: Apache-2.0
"""The capacity that is found is that of a queue by hand, and the same however the search was stopped."""

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bridge.network import NS_PER_S, RequestError
from cosim import cli, config, experiment
from cosim.record.journal import FILE_NAME
from cosim.results.figures import SERVICE, figures_of
from cosim.results.summary import summarise
from cosim.seeds import seed_of
from cosim.sizing import capacity as sizing
from cosim.sizing.bracket import End
from cosim.sizing.capacity import Sized, sized, wanted_of
from cosim.studies import work
from cosim.studies.asking import Asked
from cosim.studies.place import held
from cosim.studies.runs import StudyRun
from model_side.service.arrivals import drawn
from tests.support.routing_traces import make_rows, write_rows
from tests.support.small_run import Side
from tests.support.studies import asked_here, ends, rows_in

REQUESTS, SHARE, TOLERANCE = 20, 0.9, 0.02
POLICIES = ["top-k", "random"]
SEED = seed_of(config.load(None), "arrivals")
ONE = [f"workload.requests={REQUESTS}", "service.requests=1"]
POISSON = [*ONE, "arrivals.process=poisson", "arrivals.rate_per_s=8"]


@pytest.fixture(autouse=True)
def no_ns3(monkeypatch):
    monkeypatch.setattr("cosim.experiment.Ns3Side", Side)
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)
    monkeypatch.setattr(work, "_kept", SimpleNamespace(endpoint=lambda script: "ipc:///none", words=str))


@pytest.fixture(name="record", scope="module")
def one_record(tmp_path_factory) -> Path:
    """A run of a few of the requests, one by one."""
    folder = tmp_path_factory.mktemp("record")
    trace = write_rows(make_rows(REQUESTS, 3, 2), folder / "trace.parquet")
    asked = [f"model.routing={trace}", "workload.requests=3", "radio.scenario=fixed"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosim.experiment.Ns3Side", Side)
        patch.setattr("cosim.experiment.check_scenario", lambda asked: None)
        return experiment.run(config.load(None, asked, POLICIES), out=folder / "run")


@pytest.fixture(name="served", scope="module")
def when_served(record, tmp_path_factory) -> dict[str, list[tuple[int, int]]]:
    """By policy, of each request how long it takes alone until its first token and its last, in ns, by a what-if."""
    folder = tmp_path_factory.mktemp("served")
    found = {}
    for policy in POLICIES:
        run = experiment.what_if(record, [*ONE, "arrivals.process=offline"], policies=[policy], out=folder / policy)
        (found[policy],) = times_alone(run)
    return found


def times_alone(run: Path) -> list[list[tuple[int, int]]]:
    """Of each variant, where one request is served at a time, the times of each until its first token and its last."""
    query = (
        "SELECT variant, min(begin_ns), min(end_ns), max(end_ns) FROM tokens GROUP BY variant, request ORDER BY request"
    )
    found: dict[int, list[tuple[int, int]]] = {}
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        for variant, begin, first, last in db.execute(query):
            found.setdefault(variant, []).append((first - begin, last - begin))
    return [found[variant] for variant in sorted(found)]


def share_by_hand(served: list[tuple[int, int]], rate: float, ttft_s: float) -> float:
    """Of a queue in which each request waits for the one before, the share whose first token is in time."""
    free_ns, good = 0, 0
    for (first_ns, last_ns), at_ns in zip(served, drawn(rate, 1.0, SEED), strict=False):
        begin_ns = max(free_ns, at_ns)
        good += begin_ns + first_ns - at_ns <= ttft_s * NS_PER_S
        free_ns = begin_ns + last_ns
    return good / len(served)


def objective_s(served: dict[str, list[tuple[int, int]]], times: float = 2.5) -> float:
    """So many times what the slowest answer of all takes alone."""
    return times * max(last for each in served.values() for _, last in each) / NS_PER_S


def found_in(
    folder: Path,
    record: Path,
    ttft_s: float,
    *settings: str,
    policies: list[str] | None = None,
    share: float = SHARE,
    verify: bool = False,
    told: Callable[[StudyRun], None] = lambda run: None,
) -> Sized:
    """As `cosim.capacity`, by this process and no cluster; `told` hears of each run before it is done."""
    asked = [*POISSON, f"service.ttft_s={ttft_s}", *settings]
    wanted = wanted_of(None, asked, record, policies or POLICIES, None, share, TOLERANCE, verify)
    with held(folder, wanted.study):
        return sized(wanted, asked_here(folder, told), lambda policy, tried: None)


def test_the_rate_is_that_of_a_grid_of_rates_by_hand(record, served, tmp_path):
    ttft_s = objective_s(served)
    found = found_in(tmp_path / "study", record, ttft_s, verify=True)
    assert [each.policy for each in found.policies] == POLICIES
    for each in found.policies:
        rates = [tried.rate_per_s for tried in each.tried]
        by_hand = [share_by_hand(served[each.policy], rate, ttft_s) for rate in rates]
        assert [tried.in_time for tried in each.tried] == pytest.approx(by_hand)
        grid = np.geomspace(rates[0], rates[-1], 400)
        shares = np.array([share_by_hand(served[each.policy], rate, ttft_s) for rate in grid])
        assert (np.diff(shares) <= 0).all()  # the same arrivals: none is in time at a rate and late at a lower one
        assert each.is_monotone
        most = grid[shares >= SHARE].max()
        assert each.rate_per_s <= most * 1.02
        assert most <= each.rate_per_s * (1 + TOLERANCE)
        assert each.live.network == "live"
        assert each.live.in_time == pytest.approx(each.found.in_time)  # the links are fitted without an error
    assert ends(tmp_path / "study") == dict.fromkeys(ends(tmp_path / "study"), 1)


def test_the_figures_of_a_row_are_those_of_the_service(record, tmp_path):
    run = experiment.what_if(record, [*POISSON, "service.ttft_s=0.1"], policies=["top-k"], out=tmp_path / "run")
    (variant,) = summarise(run)
    service, figures = variant.service, figures_of(variant)
    assert figures["in_time"] == np.mean(variant.ttft_s <= 0.1)
    assert 0 < figures["in_time"] < 1
    assert figures["goodput_per_s"] == service.goodput_per_s
    assert figures["request_tpot_p95_s"] == np.percentile(service.tpot_s, 95)
    assert figures["requests_in_pass"] == 1
    alone = figures_of(summarise(record)[0])
    assert {alone[name] for name in SERVICE} == {None}
    assert alone.keys() == figures.keys()


def test_a_search_that_was_stopped_comes_to_the_same_and_runs_nothing_twice(record, served, tmp_path):
    ttft_s = objective_s(served)
    whole = found_in(tmp_path / "whole", record, ttft_s)
    stopped = tmp_path / "stopped"
    for at in (1, 4):
        left = iter(range(at))

        def count(run: StudyRun, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            found_in(stopped, record, ttft_s, told=count)
    again: list[StudyRun] = []
    assert found_in(stopped, record, ttft_s).policies == whole.policies
    assert found_in(stopped, record, ttft_s, told=again.append).policies == whole.policies
    assert again == []
    few = found_in(stopped, record, ttft_s, policies=["random"], share=0.5)  # goes on in the same folder
    assert few.policies[0].rate_per_s > whole.policies[1].rate_per_s
    assert set(ends(stopped).values()) == {1}
    assert rows_in(stopped) > rows_in(tmp_path / "whole")
    with pytest.raises(RequestError, match="holds another study, whose base are others"):
        found_in(stopped, record, 2 * ttft_s)


def test_a_run_that_fails_ends_the_search_of_its_policy_alone(record, served, tmp_path, monkeypatch):
    carry_out = work.carry_out
    refused = lambda task: "no such thing" if b'"random"' in task.config else carry_out(task)  # noqa: E731
    monkeypatch.setattr(work, "carry_out", refused)
    found = found_in(tmp_path / "study", record, objective_s(served))
    assert found.policies[0].end is End.FOUND
    assert (found.policies[1].end, found.policies[1].rate_per_s, found.policies[1].tried) == (None, None, [])
    assert set(found.failures.values()) == {"no such thing"}


@pytest.fixture(name="said")
def what_is_said(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str, str]]:
    @contextmanager
    def here(study: Any, folder: Path, *rest: Any) -> Iterator[Asked]:
        with held(folder, study):
            yield asked_here(folder)

    monkeypatch.setattr(sizing, "asking", here)
    monkeypatch.setenv("COLUMNS", "120")

    def ask(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cosim", "capacity", *map(str, words)])
        return cli.run_command(), *capsys.readouterr()

    return ask


def words(record: Path, ttft_s: float, *more: str) -> list[object]:
    settings = [word for each in (*POISSON, f"service.ttft_s={ttft_s}") for word in ("--set", each)]
    return ["--record", record, *settings, "--policy", "top-k", *more]


def test_the_command_says_what_was_found_as_a_table_and_as_json(record, served, tmp_path, said):
    asked = words(record, objective_s(served), "--out", str(tmp_path / "study"))
    code, out, err = said(*asked)
    assert (code, err) == (0, "")
    table = out[out.index("the most requests") :].splitlines()
    found, live = ([cell.strip() for cell in line.split("│")] for line in table if line.count("│") == 7)
    code, out, err = said(*asked, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    (each,) = told["policies"]
    assert (each["policy"], each["end"], each["live"]["network"]) == ("top-k", "found", "live")
    assert [tried["rate_per_s"] for tried in each["tried"]] == sorted(tried["rate_per_s"] for tried in each["tried"])
    assert found[:3] == ["top-k", f"{each['rate_per_s']:.4g}", "what-if"]
    assert live[:4] == ["", "", "live", f"{each['live']['figures']['in_time']:.1%}"]
    assert float(live[-1]) == round(each["live"]["figures"]["tokens_per_s"], 2)


def test_no_rate_is_an_error_that_says_what_to_change(record, served, tmp_path, said):
    alone_s = max(first for first, _ in served["top-k"]) / NS_PER_S
    code, out, err = said(*words(record, alone_s / 100, "--no-live", "--out", str(tmp_path / "low")))
    assert code == 2
    assert "top-k" in out
    assert err.startswith("cosim: service.ttft_s: top-k has 0.0% in time even at ")
    assert "where none waits for another, and 90% are asked; allow more time" in err
    code, _, err = said(*words(record, 1e4, "--no-live", "--out", str(tmp_path / "high")))
    assert code == 2
    assert err == (
        "cosim: workload.requests: top-k has 100.0% in time even at 8192 requests/s; ask more requests, "
        "or less time in service.ttft_s and service.tpot_s\n"
    )


@pytest.mark.parametrize(
    ("settings", "given", "field", "reason"),
    [
        (["service.ttft_s=0"], {}, "service.ttft_s", "say how long they may be"),
        (["arrivals.process=offline", "arrivals.rate_per_s=1.0"], {}, "arrivals.process", "take poisson or gamma"),
        (["arrivals.process=one-by-one"], {}, "arrivals.rate_per_s", "poisson"),
        ([], {"share": 0.0}, "--share", "more than 0"),
        ([], {"share": 90.0}, "--share", "at most 1"),
        ([], {"tolerance": 0.0}, "--tolerance", "from 0.001 to 1"),
        ([], {"scenario": "lte"}, "--scenario", "which a what-if cannot change"),
        ([], {"source": "my.toml"}, "CONFIG", "with --set"),
        ([], {"record": "nowhere"}, "record", "nowhere"),
        ([], {"policies": ["top-kk"]}, "policies", "top-k"),
        (["radio.devices=3"], {}, "radio.devices", "cannot change"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(record, settings, given, field, reason):
    asked = [*POISSON, "service.ttft_s=1", *settings]
    whole = {"source": None, "record": record, "policies": POLICIES, "scenario": None, "share": 0.9, "tolerance": 0.05}
    whole |= given
    with pytest.raises(RequestError) as refused:
        wanted_of(whole["source"], asked, *(whole[name] for name in [*whole][1:]), verify=False)
    assert refused.value.field == field
    assert reason in refused.value.reason


def test_by_the_formula_the_rate_is_that_of_a_queue_by_hand_and_held_against_live(tmp_path, record):
    """From the first rate to the live run. The queue by hand has the times of each request alone, on either network."""
    trace = record.parent / "trace.parquet"
    plain = {"model": {"routing": str(trace)}, "radio": {"scenario": "fixed"}, "policies": ["top-k"]}
    alone = experiment.run(
        config.load(plain, [*ONE, "arrivals.process=offline"], networks=["analytic", "live"]), out=tmp_path / "alone"
    )
    by_formula, live = times_alone(alone)
    assert by_formula != live
    ttft_s = objective_s({"top-k": by_formula})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizing, "check_runs", lambda runs: None)  # ns-3 knows no such scenario
        wanted = wanted_of(
            plain, [*POISSON, f"service.ttft_s={ttft_s}"], None, None, None, SHARE, TOLERANCE, verify=True
        )
    with held(tmp_path / "study", wanted.study):
        (found,) = sized(wanted, asked_here(tmp_path / "study"), lambda policy, tried: None).policies
    assert found.end is End.FOUND
    assert {each.network for each in found.tried} == {"analytic"}
    by_hand = {each.rate_per_s: share_by_hand(by_formula, each.rate_per_s, ttft_s) for each in found.tried}
    assert [each.in_time for each in found.tried] == pytest.approx([*by_hand.values()])
    assert by_hand[found.rate_per_s] >= SHARE
    missed = min(rate for rate in by_hand if rate > found.rate_per_s)
    assert by_hand[missed] < SHARE
    assert missed <= found.rate_per_s * (1 + TOLERANCE)
    assert found.live.network == "live"
    assert found.live.in_time == pytest.approx(share_by_hand(live, found.rate_per_s, ttft_s))
    assert set(ends(tmp_path / "study").values()) == {1}


def test_without_a_record_it_is_sought_by_the_formula_on_whatever_the_configuration_says(tmp_path, record):
    trace = record.parent / "trace.parquet"
    plain = {"model": {"routing": str(trace)}, "radio": {"scenario": "fixed"}, "policies": POLICIES}
    settings = [*POISSON, "service.ttft_s=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizing, "check_runs", lambda runs: None)  # ns-3 knows no such scenario
        wanted = wanted_of(plain, settings, None, None, None, SHARE, TOLERANCE, verify=True)
    assert list(wanted.policies) == POLICIES
    run = wanted.run("random", 3.5)
    assert (run.config.networks, run.config.policies, run.config.arrivals.rate_per_s) == (["analytic"], ["random"], 3.5)
    assert wanted.live(run).config.networks == ["live"]
