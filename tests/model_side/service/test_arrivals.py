# SPDX-License-Identifier: Apache-2.0
"""When requests arrive, against the distributions that they are drawn from."""

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy import stats

from bridge.network import NS_PER_S
from model_side.service.arrivals import askers, drawn, offline, patience

COUNT = 20_000


def gaps_s(rate_per_s: float, variation: float, seed: int = 1) -> np.ndarray:
    times = list(islice(drawn(rate_per_s, variation, seed), COUNT))
    return np.diff([0, *times]) / NS_PER_S


def test_poisson_arrivals_have_exponential_gaps_and_counts_whose_variance_is_their_mean():
    gaps = gaps_s(4.0, 1.0)
    assert stats.kstest(gaps, stats.expon(scale=0.25).cdf).pvalue > 0.01
    counts = np.bincount(np.cumsum(gaps).astype(int))[:-1]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("variation", [0.5, 3.0])
def test_gamma_arrivals_have_the_rate_and_the_variation_that_were_asked_for(variation):
    gaps = gaps_s(2.0, variation)
    assert gaps.mean() == pytest.approx(0.5, rel=0.06)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.06)
    at_s = np.array([1e-3, 0.1, 0.5, 2.0])  # a third of the gaps of 3.0 is shorter than a millisecond
    expected = stats.gamma(variation**-2, scale=0.5 * variation**2).cdf(at_s)
    assert (gaps[:, None] <= at_s).mean(axis=0) == pytest.approx(expected, abs=0.012)


def test_a_seed_gives_the_same_times_another_gives_others_and_they_never_go_back():
    first, again, other = (list(islice(drawn(3.0, 2.0, seed), 3000)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(before <= after for before, after in pairwise(first))
    assert all(isinstance(each, int) for each in first)


def test_all_at_once_and_patience():
    assert list(islice(offline(), 3)) == [0, 0, 0]
    assert list(islice(patience(0, 1), 2)) == [None, None]
    waits = np.array(list(islice(patience(2.0, 1), COUNT)), dtype=float) / NS_PER_S
    assert stats.kstest(waits, stats.expon(scale=2.0).cdf).pvalue > 0.01


def test_users_ask_in_turn_but_for_a_share_that_is_wired():
    assert list(islice(askers(0, 0.0, 1), 3)) == [None] * 3
    assert list(islice(askers(3, 0.0, 1), 2000)) == [number % 3 for number in range(2000)]
    asked = list(islice(askers(3, 0.3, 1), COUNT))
    assert asked == list(islice(askers(3, 0.3, 1), COUNT)) != list(islice(askers(3, 0.3, 2), COUNT))
    assert {(user, number % 3) for number, user in enumerate(asked) if user is not None} == {(0, 0), (1, 1), (2, 2)}
    assert stats.binomtest(asked.count(None), COUNT, 0.3).pvalue > 0.01
    assert set(islice(askers(3, 1.0, 1), COUNT)) == {None}
