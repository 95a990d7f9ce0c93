# SPDX-License-Identifier: Apache-2.0
"""What a purse pays for, against the best that any division of the same nats over the layers could buy."""

import itertools

import numpy as np
import pytest

from model_side.policies.purse import MOST_SAVED, Purse
from model_side.routing import Floats

LAYERS, PLANS, TOKENS = 3, 6, 10


def curves(seed: int) -> tuple[Floats, Floats]:
    """Seconds and nats [LAYERS, PLANS]: each plan buys less time for more nats than the one before it."""
    chance = np.random.default_rng(seed)
    steps_s = -np.sort(-chance.exponential(1, (LAYERS, PLANS - 1)), axis=1)
    steps_nats = np.sort(chance.exponential(0.02, (LAYERS, PLANS - 1)), axis=1)
    start = np.zeros((LAYERS, 1))
    return 20 - np.hstack([start, steps_s.cumsum(axis=1)]), np.hstack([start, steps_nats.cumsum(axis=1)])


def one_pass(purse: Purse, seconds: Floats, nats: Floats) -> tuple[float, float]:
    purse.begin(TOKENS)
    chosen = [purse.choose(layer, LAYERS, seconds[layer], nats[layer]) for layer in range(LAYERS)]
    each = np.arange(LAYERS)
    return float(seconds[each, chosen].sum()), float(nats[each, chosen].sum())


@pytest.mark.parametrize("seed", range(8))
def test_in_the_long_run_it_buys_as_much_as_any_division_of_the_nats(seed: int):
    seconds, nats = curves(seed)
    purse = Purse(0.01)
    spent_s, spent_nats = np.mean([one_pass(purse, seconds, nats) for _ in range(200)], axis=0)
    assert spent_nats <= 0.01 * TOKENS + 1e-9
    every = itertools.product(range(PLANS), repeat=LAYERS)
    each = np.arange(LAYERS)
    best_s = min(seconds[each, list(plan)].sum() for plan in every if nats[each, list(plan)].sum() <= 0.01 * TOKENS)
    assert spent_s <= best_s + 0.1 * (seconds[:, 0].sum() - best_s)


def test_what_is_left_over_is_kept_but_not_for_ever():
    purse = Purse(0.01)
    for _ in range(100):
        purse.begin(TOKENS)
    assert purse.left_nats == pytest.approx((MOST_SAVED + TOKENS) * 0.01)


def test_without_nats_only_what_is_free_is_taken():
    purse = Purse(0)
    purse.begin(TOKENS)
    assert purse.choose(0, 1, np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.0, 0.1])) == 1
