# SPDX-License-Identifier: Apache-2.0
"""The search for a rate: against thresholds that are known, and a queue whose waiting time has a closed form."""

import math
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from bridge.network import NS_PER_S
from cosim.sizing.bracket import DOUBLINGS, Bracket, End
from model_side.service.arrivals import drawn

RATES = st.floats(1e-3, 1e3)
TOLERANCES = st.floats(0.001, 1)


def searched(first: float, tolerance: float, is_met: Callable[[float], bool]) -> tuple[Bracket, list[float]]:
    """A search carried out, and the rates that it tried."""
    bracket, tried = Bracket(first, tolerance), []
    while bracket.end is None:
        tried.append(bracket.rate)
        bracket.tell(is_met(bracket.rate))
    return bracket, tried


@given(RATES, TOLERANCES, st.floats(-0.98, 0.98))
def test_it_finds_a_threshold_to_within_the_tolerance_and_tries_no_rate_twice(first, tolerance, place):
    threshold = first * 2 ** (DOUBLINGS * place)
    found, tried = searched(first, tolerance, lambda rate: rate <= threshold)
    assert found.end is End.FOUND
    assert found.met <= threshold < found.missed <= found.met * (1 + tolerance)
    assert {found.met, found.missed} <= set(tried)
    assert len(set(tried)) == len(tried)
    halvings = math.ceil(math.log2(1 / math.log2(1 + tolerance))) + 1  # a factor of 2, and rates that are rounded
    assert len(tried) <= DOUBLINGS + 2 + halvings


@given(RATES, TOLERANCES, st.randoms(use_true_random=False))
def test_it_ends_between_met_and_missed_also_where_these_come_by_turns(first, tolerance, chance):
    answers: dict[float, bool] = {}
    found, tried = searched(first, tolerance, lambda rate: answers.setdefault(rate, chance.random() < 0.5))
    assume(found.end is End.FOUND)
    assert answers[found.met]
    assert not answers[found.missed]
    assert found.missed <= found.met * (1 + tolerance)
    assert all(answers[rate] == (rate <= found.met) for rate in tried)


@given(RATES, TOLERANCES)
def test_what_is_never_met_or_never_missed_comes_to_an_end(first, tolerance):
    never_met, low = searched(first, tolerance, lambda rate: False)
    never_missed, high = searched(first, tolerance, lambda rate: True)
    assert (never_met.end, never_missed.end) == (End.NEVER_MET, End.NEVER_MISSED)
    assert low == [first * 0.5**step for step in range(DOUBLINGS + 1)]
    assert high == [first * 2.0**step for step in range(DOUBLINGS + 1)]
    alone = Bracket(first, tolerance)
    alone.tell(False, is_alone=True)
    assert alone.end is End.NEVER_MET


def waits_at_most(rate: float, service_s: float, wait_s: float) -> float:
    """The probability of that in an M/D/1 queue (Erlang, 1909): first come, first served, one at a time."""
    terms = []
    for number in range(int(wait_s / service_s) + 1):
        late = rate * (number * service_s - wait_s)
        terms.append(late**number / math.factorial(number) * math.exp(-late))
    return (1 - rate * service_s) * math.fsum(terms)


def in_time(rate: float, requests: int, service_s: float, within_s: float, seed: int) -> float:
    """The share whose answer is there in time, request after request."""
    free_s, good = 0.0, 0
    for at_ns in islice(drawn(rate, 1.0, seed), requests):
        at_s = at_ns / NS_PER_S
        free_s = max(at_s, free_s) + service_s
        good += free_s - at_s <= within_s
    return good / requests


@pytest.mark.parametrize("bound", [1.5, 4.0])
def test_the_rate_of_an_m_d_1_queue_is_that_of_erlangs_formula(bound):
    """`bound`: within how many service times 90 % are to have their answer."""
    service_s, share = 0.25, 0.9
    found, _ = searched(1.0, 0.01, lambda rate: in_time(rate, 40_000, service_s, bound * service_s, seed=3) >= share)
    wanted = brentq(
        lambda rate: waits_at_most(rate, service_s, (bound - 1) * service_s) - share, 1e-6, 0.999 / service_s
    )
    assert found.met == pytest.approx(wanted, rel=0.04)


@given(RATES, st.floats(0.2, 4), st.integers(1, 1000))
def test_the_arrivals_of_another_rate_are_the_same_on_another_scale_of_time(rate, variation, seed):
    one, other = (np.array([*islice(drawn(each, variation, seed), 50)]) for each in (rate, 2 * rate))
    assert np.abs(one - 2 * other).max() <= 2
