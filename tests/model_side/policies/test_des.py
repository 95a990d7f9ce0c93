# SPDX-License-Identifier: Apache-2.0
"""The cheapest experts whose probability is enough, against all sets of experts that there are."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model_side.policies.search import cheapest
from model_side.selection import Layer
from tests.support.choices import alike, assert_chosen, decide, orders, reordered
from tests.support.layers import layers

NEAR = 1e-5  # relative; sums of single precision


def least_cost(probabilities: list[float], cost: list[float], need: float, most: int) -> float:
    """Of all sets of up to `most` experts that reach the need; inf if none does."""
    sets = (chosen for size in range(1, most + 1) for chosen in itertools.combinations(range(len(cost)), size))
    return min(
        (
            sum(cost[expert] for expert in chosen)
            for chosen in sets
            if sum(probabilities[expert] for expert in chosen) >= need
        ),
        default=float("inf"),
    )


@settings(deadline=None)  # compiles
@given(layers(), st.floats(0.05, 1), st.none() | st.integers(1, 6), st.sampled_from(["seconds", "joules"]))
def test_no_other_experts_are_enough_and_cheaper(layer: Layer, gamma0: float, most: int | None, of: str):
    chosen = decide(layer, "des", gamma0=gamma0, most=most, cost=of)
    expected, tokens = layer.prediction, layer.work.tokens
    seconds, down_s, compute_s, up_s = expected.seconds, expected.down_s, expected.compute_s, expected.up_s
    joules = [  # of a token, of those that the device has
        (down_s[d] * (1 + 4) + 2 * compute_s[d] + 3 * up_s[d]) / max(tokens[d], 1) for d in range(layer.devices)
    ]
    cost = np.array(joules if of == "joules" else seconds)[layer.placement.device_of].tolist()
    k = layer.indices.shape[1]
    at_most = min(most or k, layer.experts)
    sets = []
    for token in range(layer.tokens):
        p = [float(probability) for probability in layer.probabilities[token]]
        need = gamma0 * sum(p[expert] for expert in layer.indices[token])
        found = [int(expert) for expert in chosen.indices[token] if expert < layer.experts]
        assert 1 <= len(found) <= at_most
        reached = sum(p[expert] for expert in found)
        if reached >= need * (1 - NEAR):
            spent = sum(cost[expert] for expert in found)
            assert spent <= least_cost(p, cost, need * (1 + NEAR), at_most) * (1 + NEAR)
            assert spent >= least_cost(p, cost, need * (1 - NEAR), at_most) * (1 - NEAR)
        else:
            assert reached == pytest.approx(sum(sorted(p, reverse=True)[:at_most]))
            assert least_cost(p, cost, need * (1 + NEAR), at_most) == float("inf")
        sets.append(set(found))
    assert_chosen(layer, chosen, sets)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(9, 16), st.integers(1, 8), st.floats(0, 3), st.floats(0, 3))
@example(0, 16, 8, 0.05, 0.05)
@example(1, 16, 6, 0.0, 1.0)
def test_it_is_exact_for_sixteen_experts(seed: int, experts: int, most: int, scale: float, spread: float):
    rng = np.random.default_rng(seed)
    weights = np.exp(rng.normal(0, scale, (50, experts)))
    p = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    cost = np.exp(rng.uniform(0, spread, experts))
    need = rng.uniform(0.2, 1, 50) * -np.sort(-p, axis=1)[:, :most].sum(axis=1, dtype=np.float64)
    found = cheapest(p, need, cost, most, 2**16)
    subsets = np.array(list(itertools.product((0.0, 1.0), repeat=experts)))
    subsets = subsets[(subsets.sum(axis=1) <= most) & (subsets.sum(axis=1) > 0)]
    reached, costs = p.astype(np.float64) @ subsets.T, subsets @ cost
    spent = np.append(cost, 0)[found].sum(axis=1)
    easier, harder = (
        np.where(reached >= need[:, None] * near, costs, np.inf).min(axis=1) for near in (1 - 2e-7, 1 - 0.5e-7)
    )
    assert (spent >= easier * (1 - 1e-9)).all()
    assert (spent <= harder * (1 + 1e-9)).all()


def test_a_search_that_gives_up_still_reaches_the_need():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(64, 50.0), 200).astype(np.float32)
    cost = rng.uniform(1, 1.1, 64)
    own = np.sort(p, axis=1)[:, -8:].sum(axis=1, dtype=np.float64)
    for effort in (0, 10, 1000):
        found = cheapest(p, 0.8 * own, cost, 8, effort)
        assert (np.pad(p, ((0, 0), (0, 1)))[np.arange(200)[:, None], found].sum(axis=1) >= 0.8 * own * (1 - 1e-6)).all()
        assert all(len({*row} - {64}) == (row < 64).sum() for row in found)


@settings(deadline=None)
@given(layers(), st.floats(0.05, 1))
def test_where_devices_are_alike_it_takes_no_more_experts_than_needed(layer: Layer, gamma0: float):
    chosen = decide(alike(layer), "des", gamma0=gamma0)
    for token in range(layer.tokens):
        falling = sorted(map(float, layer.probabilities[token]), reverse=True)
        need = gamma0 * sum(falling[: layer.indices.shape[1]])
        number = int((chosen.indices[token] < layer.experts).sum())
        assert sum(falling[: number - 1]) < need * (1 + NEAR)


@settings(deadline=None)
@given(layers(), st.data())
def test_a_token_does_not_depend_on_the_others_place(layer: Layer, data: st.DataObject):
    order = data.draw(orders(layer))
    cost = layer.prediction.seconds[layer.device_of]
    spent, mixed = (
        np.append(cost, 0)[decide(seen, "des").indices].sum(axis=1) for seen in (layer, reordered(layer, order))
    )
    assert mixed == pytest.approx(spent[order], rel=NEAR)
