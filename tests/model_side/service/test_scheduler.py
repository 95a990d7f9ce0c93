# SPDX-License-Identifier: Apache-2.0
"""The scheduler by hand, by its rules over any load, and against the closed forms of queueing theory."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bridge.network import NS_PER_S
from model_side.selection import Part, Phase
from model_side.service.arrivals import drawn
from model_side.service.scheduler import Arrival, Ending, Order, Prefill, Rules, Scheduler
from tests.support.services import served

READ, WRITE = Phase.PREFILL, Phase.DECODE


def rows(parts: Sequence[Part]) -> list[tuple[int, int, int]]:
    return [(part.request, part.position, part.tokens) for part in parts]


def test_one_at_a_time_is_one_request_after_the_other():
    passes, tokens, requests = served([Arrival(0, 0, 5, 3), Arrival(1, 0, 4, 2)], Rules(requests=1))
    expected = [[(0, 0, 5)], [(0, 5, 1)], [(0, 6, 1)], [(1, 0, 4)], [(1, 4, 1)]]
    assert [rows(each.parts) for each in passes] == expected
    assert [(each.request, each.position) for each in tokens] == [(0, 5), (0, 6), (0, 7), (1, 4), (1, 5)]
    assert [(each.admitted_ns, each.end_ns, each.ending) for each in requests] == [(0, 30, "done"), (30, 50, "done")]
    assert [each.waiting for each in passes] == [1, 1, 1, 0, 0]


def test_a_request_joins_between_two_passes_and_leaves_when_it_has_its_answer():
    """Orca's iteration-level scheduling: request 1 arrives within the second pass and is in the third."""
    passes, _, requests = served([Arrival(0, 0, 5, 4), Arrival(1, 12, 4, 1)], Rules(requests=2))
    assert [rows(each.parts) for each in passes] == [[(0, 0, 5)], [(0, 5, 1)], [(0, 6, 1), (1, 0, 4)], [(0, 7, 1)]]
    assert [part.phase for part in passes[2].parts] == [WRITE, READ]
    assert [(each.arrival_ns, each.admitted_ns, each.end_ns) for each in requests] == [(0, 0, 40), (12, 20, 30)]


def test_prompts_apart_go_before_the_next_tokens():
    arrivals = [Arrival(0, 0, 5, 3), Arrival(1, 2, 4, 2)]
    passes, _, _ = served(arrivals, Rules(prefill=Prefill.APART))
    assert [rows(each.parts) for each in passes] == [[(0, 0, 5)], [(1, 0, 4)], [(0, 5, 1), (1, 4, 1)], [(0, 6, 1)]]


def test_chunks_of_prompts_beside_the_next_tokens():
    """Sarathi's chunked prefill: 6 tokens of prompts a pass, in the order of admission."""
    arrivals = [Arrival(0, 0, 4, 3), Arrival(1, 0, 9, 2), Arrival(2, 0, 2, 1)]
    passes, tokens, _ = served(arrivals, Rules(chunk_tokens=6))
    assert [rows(each.parts) for each in passes] == [
        [(0, 0, 4), (1, 0, 2)],
        [(0, 4, 1), (1, 2, 6)],
        [(0, 5, 1), (1, 8, 1), (2, 0, 2)],
        [(1, 9, 1)],
    ]
    assert passes[2].parts[1].phase is READ  # a chunk of one token is one of the prompt all the same
    assert [(token.request, token.position) for token in tokens] == [(0, 4), (0, 5), (0, 6), (1, 9), (2, 2), (1, 10)]


def test_the_shortest_goes_first_and_the_first_among_equals():
    arrivals = [Arrival(0, 0, 9, 1), Arrival(1, 1, 7, 2), Arrival(2, 2, 3, 2), Arrival(3, 3, 2, 3)]
    _, tokens, _ = served(arrivals, Rules(requests=1, order=Order.SHORTEST_FIRST))
    assert [token.request for token in tokens] == [0, 2, 2, 3, 3, 3, 1, 1]


def test_caches_are_counted_whole_before_a_request_runs_and_nobody_overtakes_who_does_not_fit():
    arrivals = [Arrival(0, 0, 5, 3), Arrival(1, 0, 6, 2), Arrival(2, 0, 1, 1), Arrival(3, 0, 11, 2)]
    passes, _, requests = served(arrivals, Rules(cache_bytes=12))
    assert [each.ending for each in requests] == ["done", "done", "done", "too-large"]
    assert [each.cache_bytes for each in passes] == [8, 8, 8, 10, 8]
    assert rows(passes[3].parts) == [(1, 0, 6), (2, 0, 1)]


def test_cancelled_timed_out_and_queue_full_are_told_apart():
    arrivals = [
        Arrival(0, 0, 5, 9),
        Arrival(1, 1, 5, 1, patience_ns=20),
        Arrival(2, 2, 5, 1),
        Arrival(3, 3, 5, 1),  # two wait already
        Arrival(4, 30, 5, 1),  # 1 left at 21
        Arrival(5, 35, 5, 1),  # 2 leaves at 52
        Arrival(6, 53, 5, 1),
    ]
    _, tokens, requests = served(arrivals, Rules(requests=1, queue=2, timeout_ns=50))
    assert [(each.ending.value, each.admitted_ns, each.end_ns) for each in requests] == [
        ("timed-out", 0, 60),  # it ran, and left when the pass was over
        ("cancelled", None, 21),
        ("timed-out", None, 52),
        ("queue-full", None, 3),
        ("done", 60, 70),
        ("queue-full", None, 35),
        ("done", 70, 80),
    ]
    assert [token.request for token in tokens] == [0] * 6 + [4, 6]


def test_who_has_the_answer_at_the_moment_he_wanted_to_leave_has_it():
    _, _, requests = served([Arrival(0, 0, 1, 1, patience_ns=10), Arrival(1, 0, 1, 2, patience_ns=19)])
    assert [each.ending for each in requests] == ["done", "cancelled"]


def test_a_text_may_end_before_its_last_token():
    passes, _, requests = served([Arrival(7, 0, 3, 50)], ends=[7])
    assert len(passes) == 1
    assert requests[0].ending == "done"


@st.composite
def loads(draw: st.DrawFn, leaving: bool = True) -> tuple[list[Arrival], Rules]:
    gaps = draw(st.lists(st.integers(0, 40), min_size=1, max_size=25))
    waits = st.one_of(st.none(), st.integers(0, 200)) if leaving else st.none()
    sizes = st.tuples(st.integers(1, 12), st.integers(1, 6), waits)
    times = np.cumsum(gaps).tolist()
    arrivals = [Arrival(number, at_ns, *draw(sizes)) for number, at_ns in enumerate(times)]
    rules = Rules(
        draw(st.integers(0, 4)),
        draw(st.sampled_from([0, 15, 40])),
        draw(st.integers(0, 5)),
        draw(st.sampled_from(Order)),
        draw(st.sampled_from(Prefill)),
        draw(st.integers(0, 7)),
        draw(st.sampled_from([0, 120])) if leaving else 0,
    )
    return arrivals, rules


def took_ns(parts: Sequence[Part]) -> int:
    return 3 + sum(part.tokens for part in parts)


@settings(max_examples=80, deadline=None)
@given(loads())
def test_every_load_is_served_by_the_rules(load):
    arrivals, rules = load
    passes, tokens, requests = served(arrivals, rules, took_ns)
    assert [each.request for each in requests] == [each.request for each in arrivals]
    seen: dict[int, list[Part]] = defaultdict(list)
    for each in passes:
        assert each.end_ns - each.start_ns == took_ns(each.parts)
        phases = {part.phase for part in each.parts}
        assert rules.prefill is Prefill.TOGETHER or len(phases) == 1
        reading = sum(part.tokens for part in each.parts if part.phase is READ)
        assert not rules.chunk_tokens or reading <= rules.chunk_tokens
        there = [
            one for one in requests if one.admitted_ns is not None and one.admitted_ns <= each.start_ns < one.end_ns
        ]
        assert not rules.requests or len(there) <= rules.requests
        held = sum(arrivals[one.request].tokens for one in there)
        assert each.cache_bytes == held
        assert not rules.cache_bytes or held <= rules.cache_bytes
        left = [one for one in requests if one.admitted_ns is None or one.admitted_ns > each.start_ns]
        turned_away = (Ending.QUEUE_FULL, Ending.TOO_LARGE)
        waiting = [
            one for one in left if one.arrival_ns <= each.start_ns <= one.end_ns and one.ending not in turned_away
        ]
        assert each.waiting == len(waiting)
        for part in each.parts:
            seen[part.request].append(part)
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(passes))
    for request, parts in seen.items():
        ends = [0, *(part.context for part in parts)]
        assert [part.position for part in parts] == ends[:-1]
        given_tokens = [token.position for token in tokens if token.request == request]
        whole = range(arrivals[request].prompt_tokens, arrivals[request].tokens)
        assert given_tokens == [*whole][: len(given_tokens)]
        assert (requests[request].ending is Ending.DONE) <= (len(given_tokens) == len(whole))
    if rules.order is Order.FIRST_COME_FIRST_SERVED:
        admitted = [each.admitted_ns for each in requests if each.admitted_ns is not None]
        assert admitted == sorted(admitted)


class Counting(Scheduler):
    """Sums up over time how many requests there are, as its own counts say it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.area = self.latest_ns = 0

    def count(self, now_ns: int) -> None:
        self.area += (self.waiting + self.running) * (now_ns - self.latest_ns)
        self.latest_ns = now_ns

    def arrive(self, arrival: Arrival) -> None:
        self.count(arrival.at_ns)
        super().arrive(arrival)

    def batch(self, now_ns: int) -> tuple[Part, ...]:
        self.count(now_ns)
        return super().batch(now_ns)

    def passed(self, parts: Sequence[Part], now_ns: int, ended: Sequence[int] = ()) -> None:
        self.count(now_ns)
        super().passed(parts, now_ns, ended)


@settings(max_examples=40, deadline=None)
@given(loads(leaving=False))
def test_littles_law_holds_over_every_run(load):
    """L = lambda W, both sides times the run's length: how many were there over time, and how long each one stayed."""
    arrivals, rules = load
    scheduler = Counting(rules, lambda tokens: tokens)
    _, _, requests = served(arrivals, rules, took_ns, scheduler=scheduler)
    assert scheduler.area == sum(each.end_ns - each.arrival_ns for each in requests)


def test_constant_service_is_an_m_d_1_queue():
    """The mean wait is rho D / (2 (1 - rho)) (Pollaczek and Khinchine), within 99 % by batch means."""
    load, service_ns, count, batches = 0.6, 1_000_000, 12_000, 24
    times = islice(drawn(load * NS_PER_S / service_ns, 1.0, 3), count)
    arrivals = (Arrival(number, at_ns, 1, 1) for number, at_ns in enumerate(times))
    passes, _, requests = served(arrivals, Rules(requests=1), lambda parts: service_ns)
    waits = np.array([each.admitted_ns - each.arrival_ns for each in requests if each.admitted_ns is not None])
    means = waits.reshape(batches, -1).mean(axis=1)
    error = stats.t.ppf(0.995, batches - 1) * means.std(ddof=1) / np.sqrt(batches)
    expected = load * service_ns / (2 * (1 - load))
    assert abs(means.mean() - expected) < error < 0.15 * expected
    busy_ns = sum(each.end_ns - each.start_ns for each in passes)
    assert busy_ns == count * service_ns
    assert busy_ns / passes[-1].end_ns == pytest.approx(load, rel=0.02)
