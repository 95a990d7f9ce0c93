# SPDX-License-Identifier: Apache-2.0
"""Intervals and paired tests beside SciPy's, and where they have to be by definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cosim.results.intervals import Estimate, exponential, mcnemar, mean, ratio_of_sums, wilson


@given(st.integers(1, 3000).flatmap(lambda items: st.tuples(st.integers(0, items), st.just(items))))
def test_wilson_s_interval_is_scipy_s(counts):
    right, items = counts
    theirs = stats.binomtest(right, items).proportion_ci(method="wilson")
    assert wilson(right, items) == pytest.approx((right / items, theirs.low, theirs.high), abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_mcnemar_s_test_is_the_binomial_one_of_what_differs(pairs):
    here, there = np.array(pairs, dtype=float).T
    found = mcnemar(here, there)
    assert (found.only_here, found.only_there) == (pairs.count((True, False)), pairs.count((False, True)))
    differ = found.only_here + found.only_there
    assert found.p == pytest.approx(stats.binomtest(found.only_here, differ).pvalue if differ else 1.0)


def test_the_bootstrap_s_interval_is_that_of_the_normal_distribution_for_many_items():
    values = np.random.default_rng(5).normal(3.0, 2.0, 4000)
    found = mean(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=0.15)
    assert mean(values) == found


def test_a_ratio_weighs_items_by_their_length():
    nats, tokens = np.array([2.0, 30.0]), np.array([1.0, 9.0])
    found = ratio_of_sums(nats, tokens)
    assert found.value == pytest.approx(3.2)
    assert (found.low, found.high) == (2.0, pytest.approx(30 / 9))
    assert exponential(Estimate(0.0, 1.0, 1e4)) == (1.0, math.e, math.inf)
