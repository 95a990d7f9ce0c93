# SPDX-License-Identifier: Apache-2.0
"""The weight of missing experts, by each rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.routing import Gate, Missing, Remainder
from model_side.selection import Layer
from tests.support.layers import gate_of, layers

KEPT = Missing(Remainder.KEPT)
SEEDS = st.integers(0, 2**32 - 1)


@given(layers(), st.data())
def test_shared_keeps_each_tokens_total_weight(layer: Layer, data: st.DataObject):
    keep = np.random.default_rng(data.draw(SEEDS)).random(layer.weights.shape) < 0.5
    weights, indices = Missing().leave_out(layer.gate, layer.weights, layer.indices, keep)
    assert weights.dtype == layer.weights.dtype
    assert (weights[~keep] == 0).all()
    assert (indices[~keep] == layer.experts).all()
    assert (indices[keep] == layer.indices[keep]).all()
    some, whole = keep.any(axis=1), keep.all(axis=1)
    np.testing.assert_allclose(weights[some].sum(axis=1), layer.weights[some].sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(weights[whole], layer.weights[whole])


@given(layers(), st.data())
def test_kept_leaves_every_weight_as_it_was(layer: Layer, data: st.DataObject):
    keep = np.random.default_rng(data.draw(SEEDS)).random(layer.weights.shape) < 0.5
    weights, _ = KEPT.leave_out(layer.gate, layer.weights, layer.indices, keep)
    np.testing.assert_array_equal(weights, np.where(keep, layer.weights, 0))


@given(layers(), st.data())
def test_top_n_is_the_router_normalised_over_its_n_best(layer: Layer, data: st.DataObject):
    own = layer.indices.shape[1]
    top_n = data.draw(st.integers(own, layer.experts))
    keep = np.random.default_rng(data.draw(SEEDS)).random(layer.weights.shape) < 0.5
    weights, indices = Missing(Remainder.TOP_N, top_n).leave_out(layer.gate, layer.weights, layer.indices, keep)
    for token in range(layer.tokens):
        if keep[token].all():
            assert weights[token].tolist() == layer.weights[token].tolist()
            continue
        best = np.sort(layer.probabilities[token].astype(float))[::-1][:top_n].sum()
        scale = layer.weights[token].sum(dtype=float)
        for slot, expert in enumerate(layer.indices[token]):
            expected = layer.probabilities[token, expert] / best * scale if keep[token, slot] else 0
            assert weights[token, slot] == pytest.approx(expected, rel=1e-4)
    again, _ = Missing(Remainder.TOP_N, top_n).leave_out(layer.gate, weights, indices, np.zeros_like(keep))
    assert not again.any()


def test_a_token_that_loses_twice_is_normalised_once():
    gate = gate_of(np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32)), 3)
    missing = Missing(Remainder.TOP_N, 4)
    once, indices = missing.leave_out(gate, gate.weights, gate.indices, np.array([[True, True, False]]))
    assert once[0].tolist() == pytest.approx([0.4, 0.3, 0])
    twice, _ = missing.leave_out(gate, once, indices, np.array([[True, False, False]]))
    assert twice[0].tolist() == pytest.approx([0.4, 0, 0])


def test_without_probabilities_the_router_cannot_be_asked():
    gate = Gate(0, 2, None, np.ones((1, 1), np.float32), np.zeros((1, 1), np.int64))
    with pytest.raises(RequestError, match=r"model\.routing: has no column probabilities"):
        Missing(Remainder.TOP_N, 2).leave_out(gate, gate.weights, gate.indices, np.zeros((1, 1), bool))
