# SPDX-License-Identifier: Apache-2.0
"""What would have been of users in the cell: against the record itself, and against runs that were."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim import config, experiment
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from cosim.results.summary import summarise
from cosim.results.validation import mean_wait_s, policy_errors
from tests.support.routing_traces import make_rows, write_rows
from tests.support.small_run import Side

REQUESTS, PROMPT, NEW = 8, 5, 4
POLICIES = ["top-k", "weight-to-latency"]
ON_AIR = [
    "arrivals.process=poisson",
    "arrivals.rate_per_s=20",
    "arrivals.users=1",
    "arrivals.token_bytes=2000",
    "arrivals.late_s=60",
    f"workload.requests={REQUESTS}",
    "radio.scenario=fixed",
]


@pytest.fixture(name="ran", scope="module")
def running(tmp_path_factory) -> Callable[..., Path]:
    """Runs over cables that share nothing, of which each user has one."""
    folder = tmp_path_factory.mktemp("runs")
    trace = write_rows(make_rows(REQUESTS, PROMPT, NEW), folder / "trace.parquet")

    def run(name: str, *settings: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cosim.experiment.Ns3Side", Side)
            patch.setattr("cosim.experiment.check_scenario", lambda asked: None)  # ns-3 knows no such one
            asked = config.load(None, [f"model.routing={trace}", *ON_AIR, *settings], POLICIES)
            return experiment.run(asked, out=folder / name)

    return run


@pytest.fixture(name="record", scope="module")
def one_record(ran) -> Path:
    return ran("record")


def ways(run: Path) -> dict[tuple[Any, ...], float]:
    """How long each message took in ns, by variant, request and place in the text."""
    query = (
        "SELECT variant, request, position, d.end_ns - begin_ns FROM messages m JOIN deliveries d "
        "USING (variant, message) WHERE status = 'done'"
    )
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        return {tuple(key): took for *key, took in db.execute(query)}


def hold_alike(answer: Path, run: Path, share: float) -> None:
    """The what-if of a network without chance is that network, as far as the fit of its links goes: so much of all is
    within 1 %. Where a pass ends a little sooner a request may share another one: so not all is."""
    ours, theirs = ways(answer), ways(run)
    assert ours.keys() == theirs.keys()
    assert len(ours) == len(POLICIES) * REQUESTS * (1 + NEW)
    off = [np.array([ours[key] / theirs[key] - 1 for key in theirs])]
    for one, other in zip(summarise(answer), summarise(run), strict=True):
        assert one.service is not None
        assert other.service is not None
        off.append(one.service.ttft_s / other.service.ttft_s - 1)
        off.append(one.service.end_to_end_s / other.service.end_to_end_s - 1)
    for each in off:
        assert (np.abs(each) < 0.01).mean() >= share, each


def test_the_record_itself_comes_out_as_it_was(record, tmp_path):
    hold_alike(experiment.what_if(record, out=tmp_path / "answer"), record, share=1.0)


@pytest.mark.parametrize(
    "settings",
    [
        ["arrivals.token_bytes=10000"],
        ["arrivals.rate_per_s=60", "service.requests=2", "service.chunk_tokens=3"],
        ["arrivals.users=2", "placement.experts=round-robin"],
    ],
)
def test_other_loads_and_users_come_out_as_they_would(record, ran, tmp_path, settings):
    """Tokens of 10,000 bytes wait for each other; of two users one never sent a message in the record."""
    answer = experiment.what_if(record, settings, out=tmp_path / "answer")
    hold_alike(answer, ran(f"live-{settings[0]}", *settings), share=0.75)


def test_the_answer_is_a_run_like_any_other(record, tmp_path):
    answer = experiment.what_if(record, ["arrivals.wired_share=0.5"], policies=["top-k"], out=tmp_path / "answer")
    experiment.replay(answer)
    again = experiment.what_if(record, ["arrivals.wired_share=0.5"], policies=["top-k"], out=tmp_path / "again")
    with closing(Journal.open(answer)) as one, closing(Journal.open(again)) as other:
        assert one.fingerprint() == other.fingerprint()
        assert one.is_finished()


def test_users_of_a_record_can_be_wired_and_wired_ones_on_the_air(record, ran, tmp_path):
    """Where there were no messages they have the floors of transfers, which are the same on these cables."""
    wired = ran("wired", "arrivals.users=0", "arrivals.token_bytes=4", "arrivals.late_s=5")
    plain = ["arrivals.users=0", "arrivals.token_bytes=4", "arrivals.late_s=5.0"]
    (one, _), (other, _) = summarise(experiment.what_if(record, plain, out=tmp_path / "down")), summarise(wired)
    assert one.service.on_air is None
    assert one.service.ttft_s == pytest.approx(other.service.ttft_s, rel=0.01)
    on_air = [setting for setting in ON_AIR if setting.split("=")[0] in ("arrivals.users", "arrivals.late_s")]
    answer = experiment.what_if(wired, [*on_air, "arrivals.token_bytes=2000"], out=tmp_path / "up")
    hold_alike(answer, record, share=0.75)


def test_on_lte_what_users_see_comes_out_as_it_does_live(tmp_path, ns3_server):
    """The record's policy and another one: the same ranking, and the ways of prompts and tokens."""
    trace = write_rows(make_rows(4, 6, 3), tmp_path / "trace.parquet")
    plain = [f"model.routing={trace}", "radio.scenario=lte", "radio.distances_m=[30, 60, 90, 45]"]
    plain += ["arrivals.process=poisson", "arrivals.rate_per_s=8", "arrivals.users=1", "workload.requests=4"]
    live = {
        policy: experiment.run(
            config.load(None, plain, [policy]), out=tmp_path / policy, at=Ns3Place(connect=ns3_server)
        )
        for policy in POLICIES
    }
    waits: list[dict[str, float]] = [{}, {}]
    for policy, folder in live.items():
        answer = experiment.what_if(live["top-k"], policies=[policy], out=tmp_path / f"asked-{policy}")
        with closing(Journal.open(answer)) as predicted, closing(Journal.open(folder)) as measured:
            errors = {error.what: error for error in policy_errors(predicted, measured)[policy]}
            waits[0].update(mean_wait_s(predicted)[1])
            waits[1].update(mean_wait_s(measured)[1])
        assert len(errors["prompt, up"].relative) == 4
        assert len(errors["token, down"].relative) == 4 * 3
        for what in ("TTFT", "end to end", "prompt, up", "token, down"):
            assert errors[what].median < 0.1, what
    ours, theirs = (sorted(POLICIES, key=lambda policy: told[policy]) for told in waits)
    assert ours == theirs
