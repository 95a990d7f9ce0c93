# SPDX-License-Identifier: Apache-2.0
"""What an agent sees of a layer and what comes of its thresholds, against sums and choices done token by token."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_side.layer_view import FEATURES, keep_above, view
from model_side.selection import Layer
from tests.support.layers import gate_of, layer_of, layers, one_each


def column(layer: Layer, name: str) -> np.ndarray:
    return view(layer)[:, FEATURES.index(name)]


@given(layers(replicas=True))
def test_a_view_has_one_shape_and_its_bounds_whatever_the_layer(layer):
    seen = view(layer)
    assert seen.shape == (layer.experts, len(FEATURES))
    assert seen.dtype == np.float32
    assert ((seen >= -1) & (seen <= 1)).all()


@given(layers())
def test_what_the_gate_asks_is_counted_token_by_token(layer):
    asked, weight, best = np.zeros((3, layer.experts))
    for weights, indices in zip(layer.weights.tolist(), layer.indices.tolist(), strict=True):
        for slot, expert in zip(weights, indices, strict=True):
            asked[expert] += 1 / layer.tokens
            weight[expert] += slot
            best[expert] += (slot == max(weights)) / layer.tokens
    for name, wanted in (("asked", asked), ("weight", weight / max(weight.sum(), 1e-9)), ("best", best)):
        np.testing.assert_allclose(column(layer, name), wanted, atol=1e-5)


def test_what_the_links_do_is_that_of_each_expert_s_device():
    gate = gate_of(np.log(np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.5, 0.3, 0.1]], np.float32)), 2)
    layer = layer_of(gate, one_each(4, 2), fixed_s=[0.01, 0.1], token_s=[0, 0], expert_s=[0, 0])
    assert column(layer, "load").tolist() == [1, 1, 1, 1]  # each token has one expert on either device
    np.testing.assert_allclose(column(layer, "latency"), [2 / 6, 3 / 6] * 2, rtol=1e-6)
    np.testing.assert_allclose(column(layer, "slowest"), [0.1, 1] * 2, rtol=1e-6)
    np.testing.assert_allclose(column(layer, "downlink_rate"), 0.8)
    assert column(layer, "depth").tolist() == [0.25] * 4
    assert column(layer, "decode").tolist() == [0] * 4


@given(layers(), st.integers(0, 2**32 - 1))
def test_a_slot_stays_where_its_weight_reaches_the_expert_s_threshold(layer, seed):
    thresholds = np.random.default_rng(seed).uniform(0, 1, layer.experts)
    stays = keep_above(layer, thresholds).indices != layer.experts
    for row, weights, indices in zip(stays, layer.weights.tolist(), layer.indices.tolist(), strict=True):
        reached = [slot >= thresholds[expert] * max(weights) for slot, expert in zip(weights, indices, strict=True)]
        assert row.tolist() == reached
        assert row[int(np.argmax(weights))]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_one_token_every_choice_with_its_best_expert_can_be_made(k):
    layer = layer_of(gate_of(np.array([[3, 2, 1, 0]], np.float32), k), one_each(4))
    found = {
        tuple(np.flatnonzero(keep_above(layer, np.array(mask, float)).indices[0] != 4))
        for mask in itertools.product((0, 1), repeat=4)
    }
    rest = range(1, k)
    assert found == {(0, *more) for size in range(k) for more in itertools.combinations(rest, size)}
