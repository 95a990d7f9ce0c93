# SPDX-License-Identifier: Apache-2.0
"""What a service gave its users, computed again by hand from the rows of a journal that says so."""

from pathlib import Path

import numpy as np
import pytest

from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from cosim.results.service import ServiceSummary, jain
from cosim.results.summary import summarise
from tests.support.small_run import ARRIVING as REQUESTS
from tests.support.small_run import service_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed; its first variant is looked at."""
    return service_run(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def told(run: Path) -> ServiceSummary:
    service = summarise(run)[0].service
    assert service is not None
    return service


def test_latencies_and_rates_are_those_of_the_rows(run, told):
    journal = Journal.open(run)
    requests = journal.rows("SELECT request, arrival_ns, admitted_ns, end_ns, ending FROM requests WHERE variant = 1")
    ends: dict[int, list[int]] = {}
    for request, end_ns in journal.rows(
        "SELECT request, end_ns FROM tokens WHERE variant = 1 ORDER BY request, position"
    ):
        ends.setdefault(request, []).append(end_ns)
    span_s = max(row[3] for row in requests) / NS_PER_S  # the network was ready at 0
    assert told.span_s == pytest.approx(span_s)
    arrival = {row[0]: row[1] for row in requests}
    ttft = {request: (its[0] - arrival[request]) / NS_PER_S for request, its in ends.items()}
    tpot = {request: np.diff(its).mean() / NS_PER_S for request, its in ends.items() if len(its) > 1}
    assert told.ttft_s == pytest.approx(list(ttft.values()))
    assert told.tpot_s == pytest.approx(list(tpot.values()))
    assert told.queueing_s == pytest.approx([(row[2] - row[1]) / NS_PER_S for row in requests if row[2] is not None])
    done = [row for row in requests if row[4] == "done"]
    assert told.end_to_end_s == pytest.approx([(row[3] - row[1]) / NS_PER_S for row in done])
    good = [row for row in done if ttft[row[0]] <= 0.1 and tpot[row[0]] <= 0.05]
    assert 0 < len(good) < len(done) < REQUESTS
    assert told.goodput_per_s == pytest.approx(len(good) / span_s)
    assert told.requests_per_s == pytest.approx(len(done) / span_s)
    assert told.tokens_per_s == pytest.approx(sum(map(len, ends.values())) / span_s)
    assert sum(told.endings.values()) == REQUESTS
    assert told.endings["queue-full"] > 0
    variant = summarise(run)[0]
    gaps = [gap / NS_PER_S for its in ends.values() for gap in np.diff(its)]
    assert variant.ttft_s == pytest.approx(told.ttft_s)  # with the queue in it
    assert variant.tpot_s == pytest.approx(gaps)


def test_littles_law_and_utilisation_add_up(run, told):
    """How many requests there are is counted at each moment at which that changes; idle is what is between passes."""
    journal = Journal.open(run)
    requests = journal.rows("SELECT arrival_ns, coalesce(admitted_ns, end_ns), end_ns FROM requests WHERE variant = 1")
    times = sorted({0, *(time for row in requests for time in row)})

    def mean(first: int, last: int) -> float:
        there = [sum(row[first] <= time < row[last] for row in requests) for time in times[:-1]]
        return float(np.dot(there, np.diff(times))) / times[-1]

    assert told.in_system == pytest.approx(mean(0, 2))
    assert told.in_queue == pytest.approx(mean(0, 1))
    stays_s = np.array([row[2] - row[0] for row in requests]) / NS_PER_S
    assert told.in_system == pytest.approx(REQUESTS / told.span_s * stays_s.mean())
    passes = journal.rows("SELECT begin_ns, end_ns, waiting FROM passes WHERE variant = 1 ORDER BY exchange")
    idle_ns = np.diff([0, *(time for row in passes for time in row[:2])])[::2].sum() + times[-1] - passes[-1][1]
    assert told.utilisation + idle_ns / NS_PER_S / told.span_s == pytest.approx(1)
    assert [row[2] for row in passes] == [sum(r[0] <= row[0] < r[1] for r in requests) for row in passes]


def test_what_the_base_station_computed_is_counted_once_for_all_requests_of_a_pass(run):
    journal = Journal.open(run)
    between = sum(
        end_ns - last_ns
        for end_ns, last_ns in journal.rows(
            "SELECT p.end_ns, e.end_ns FROM passes p JOIN exchanges e USING (variant) "
            "WHERE variant = 1 AND e.exchange = p.exchange + 2"
        )
    )
    ((before,),) = journal.rows("SELECT sum(bs_compute_ns) FROM exchanges WHERE variant = 1")
    assert summarise(run)[0].time_s["BS compute"] == pytest.approx((before + between) / NS_PER_S)


def test_jains_index():
    assert jain(np.full(5, 0.3)) == pytest.approx(1)
    assert jain(np.array([2.0, 0, 0, 0])) == pytest.approx(1 / 4)
    assert jain(np.array([1.0, 2.0, 3.0])) == pytest.approx(36 / 42)
    assert np.isnan(jain(np.zeros(3)))
