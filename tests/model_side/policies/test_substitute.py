# SPDX-License-Identifier: Apache-2.0
"""Experts that are replaced, against all maps that a token has."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.placement import LayerPlacement
from model_side.selection import Layer, Selection
from tests.support.choices import decide
from tests.support.layers import gate_of, layer_of, layers, one_each, table_of

NEAR = 1e-6


@st.composite
def linear_layers(draw: st.DrawFn, tokens: int, k: int, **given: Any) -> Layer:
    """Layers in which a device takes a fixed time and one for each token, whatever experts it has."""
    experts, devices = draw(st.integers(k, 8)), draw(st.integers(1, 6))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gate = gate_of(chance.normal(0, 2, (tokens, experts)).astype(np.float32), k)
    holds = np.eye(devices, dtype=bool)[chance.integers(0, devices, experts)]
    times = {name: 10 ** chance.uniform(-3, 0, devices) for name in ("fixed_s", "token_s")}
    table = table_of(4, experts, k, seed=int(chance.integers(100)))
    return layer_of(gate, LayerPlacement(holds), expert_s=np.zeros(devices), table=table, **times, **given)


def error_of(layer: Layer, token: int, found: list[int]) -> float:
    """By the definition, slot by slot; a slot that stays has none."""
    distance = layer.table.distance[layer.number]
    return sum(
        float(layer.weights[token, slot]) * float(distance[own, new]) * (new != own)
        for slot, (own, new) in enumerate(zip(layer.indices[token].tolist(), found, strict=True))
    )


def seconds_of(layer: Layer, indices: Any) -> list[float]:
    """What each device that is asked takes."""
    after = layer.after(Selection(np.where(indices < layer.experts, layer.weights, 0), indices))
    return after.prediction.seconds[after.work.tokens > 0].tolist()


def budget_of(layer: Layer, eps: float) -> float:
    """Of a token, layers alike."""
    return eps * float(layer.table.output_norm[layer.number])


@settings(deadline=None)  # compiles
@given(st.integers(1, 2).flatmap(lambda k: linear_layers(1, k)), st.floats(0, 1.5))
def test_one_token_has_the_best_of_all_maps(layer: Layer, eps: float):
    chosen = decide(layer, "substitute", eps=eps, by_cost=False)
    own = layer.indices[0].tolist()
    own_s = max(seconds_of(layer, layer.indices))
    budget, heaviest = budget_of(layer, eps), int(layer.weights[0].argmax())
    best, best_s = np.inf, own_s
    for found in itertools.product(range(layer.experts + 1), repeat=len(own)):
        times = seconds_of(layer, np.array([found]))
        if found[heaviest] < layer.experts and error_of(layer, 0, list(found)) <= budget and max(times) <= own_s:
            best, best_s = min((best, best_s), (sum(time**2 for time in times), max(times)))
    found = chosen.indices[0].tolist()
    assert error_of(layer, 0, found) <= budget * (1 + NEAR)
    if found == own:
        assert best_s >= own_s * (1 - NEAR)
    else:
        assert sum(time**2 for time in seconds_of(layer, chosen.indices)) == pytest.approx(best, rel=NEAR)


@settings(deadline=None)
@given(st.integers(1, 5).flatmap(lambda k: linear_layers(12, k)), st.floats(0, 1.5))
def test_many_tokens_keep_their_bounds_and_the_layer_is_never_slower(layer: Layer, eps: float):
    chosen = decide(layer, "substitute", eps=eps, by_cost=False)
    for token in range(layer.tokens):
        assert error_of(layer, token, chosen.indices[token].tolist()) <= budget_of(layer, eps) * (1 + NEAR)
    before, after = seconds_of(layer, layer.indices), seconds_of(layer, chosen.indices)
    assert max(after) <= max(before) * (1 + NEAR)
    assert sum(time**2 for time in after) <= sum(time**2 for time in before) * (1 + NEAR)
    stays = chosen.indices < layer.experts
    assert chosen.weights[stays] == pytest.approx(layer.weights[stays])
    assert stays[np.arange(layer.tokens), layer.weights.argmax(axis=1)].all()


@settings(deadline=None)
@given(layers(replicas=True))
def test_without_a_budget_every_token_keeps_what_it_has(layer: Layer):
    assert decide(layer, "substitute", eps=0) is layer.selection


def alike(layer: Layer, *groups: tuple[int, ...]) -> Layer:
    """The same layer where experts of a group put out the same, and all others what is far from it."""
    distance = np.full((layer.experts, layer.experts + 1), 10.0)
    for group in (*groups, *((expert,) for expert in range(layer.experts))):
        distance[np.ix_(group, group)] = 0
    table = replace(layer.table, outputs=replace(layer.table.outputs, distance=np.tile(distance, (4, 1, 1))))
    return replace(layer, table=table)


def test_what_puts_out_the_same_is_asked_where_it_is_quick():
    """Experts 0 and 1 on a slow device have twins on two quick ones, 2 none."""
    logits = np.array([[5, 4, 3, 0, 0]] * 10, np.float32)
    devices = LayerPlacement(np.eye(3, dtype=bool)[[0, 0, 0, 1, 2]])
    layer = alike(layer_of(gate_of(logits, 2), devices, token_s=[1.0, 0.1, 0.1]), (0, 3), (1, 4))
    chosen = decide(layer, "substitute", eps=0.1)
    assert chosen.indices.tolist() == [[3, 4]] * 10
    assert chosen.devices.tolist() == [[1, 2]] * 10


def test_several_slots_leave_a_device_together():
    """Three experts a token, whose search is not of all maps: to move one of two from the slow device saves nothing."""
    logits = np.array([[6, 5, 4, 0, 0, 0]], np.float32)
    devices = LayerPlacement(np.eye(2, dtype=bool)[[0, 0, 1, 1, 1, 1]])
    layer = alike(layer_of(gate_of(logits, 3), devices, token_s=[1.0, 0.1], expert_s=[0, 0]), (0, 3), (1, 4))
    assert decide(layer, "substitute", eps=0.1).indices.tolist() == [[3, 4, 2]]


def test_tokens_spread_over_twins():
    """Not all to the quickest device, which would then end last."""
    logits = np.array([[5, 0, 0]] * 30, np.float32)
    layer = alike(layer_of(gate_of(logits, 1), one_each(3), fixed_s=np.zeros(3), expert_s=np.zeros(3)), (0, 1, 2))
    chosen = decide(layer, "substitute", eps=0.1)
    assert np.bincount(chosen.indices.ravel()).tolist() == [10, 10, 10]


@pytest.mark.parametrize("number", range(4))
def test_a_layer_where_it_costs_more_has_less_to_spend(number):
    """By the square root: so that its nats, which go with the square, are the same."""
    gate = gate_of(np.zeros((1, 4), np.float32), 1, layer=number)
    layer = alike(layer_of(gate, one_each(4), token_s=[1, 0.1, 0.1, 0.1]))
    cost = layer.table.curvature * layer.table.output_norm**2
    whole = float(10 / layer.table.output_norm[number] * np.sqrt(cost[number] / cost.mean()))
    assert decide(layer, "substitute", eps=0.999 * whole) is layer.selection
    assert decide(layer, "substitute", eps=1.001 * whole) is not layer.selection


@pytest.mark.parametrize("name", ["substitute", "layer-weighted"])
def test_without_a_table_it_is_refused_by_name(name):
    layer = layer_of(gate_of(np.zeros((1, 4), np.float32), 2), one_each(4))
    with pytest.raises(RequestError, match="a table of the model is needed"):
        decide(replace(layer, table=None), name)
    with pytest.raises(RequestError, match="recorded routing does not tell what experts put out; run cosim calibrate"):
        decide(replace(layer, table=replace(layer.table, outputs=None)), name)
