# SPDX-License-Identifier: Apache-2.0
"""Weights of a choice anew, and the best of all experts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.policies.choosing import best, choose, of_totals, ranks
from model_side.routing import Missing, Remainder
from model_side.selection import Layer
from tests.support.layers import gate_of, layer_of, layers, one_each

LAYER = layer_of(gate_of(np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32)), 2), one_each(4))


@settings(deadline=None)  # compiles
@given(layers(), st.integers(1, 12))
def test_the_best_are_those_of_a_stable_sort(layer: Layer, n: int):
    n = min(n, layer.experts)
    assert (best(layer.scores, n) == np.argsort(-layer.scores, axis=1, kind="stable")[:, :n]).all()
    assert (best(np.zeros_like(layer.scores), n) == np.arange(n)).all()


@settings(deadline=None)
@given(layers())
def test_the_models_own_choice_weighs_what_it_weighs_in_any_order(layer: Layer):
    chosen = choose(layer, layer.indices[:, ::-1])
    assert (chosen.weights == layer.weights[:, ::-1]).all()


@given(layers())
def test_ranks_and_shares_are_of_the_token(layer: Layer):
    assert (ranks(layer.weights) == np.arange(layer.weights.shape[1])).all()
    assert of_totals(layer.weights).sum(axis=1) == pytest.approx(np.ones(layer.tokens))


@pytest.mark.parametrize(
    ("missing", "indices", "weights"),
    [
        (Missing(), [0, 3], [0.8, 0.2]),
        (Missing(), [2, 4], [1, 0]),
        (Missing(Remainder.KEPT), [0, 3], [4 / 7, 1 / 7]),
        (Missing(Remainder.KEPT), [2, 4], [2 / 7, 0]),
        (Missing(Remainder.TOP_N, 3), [0, 3], [4 / 9, 1 / 9]),
        (Missing(Remainder.KEPT), [0, 1], [4 / 7, 3 / 7]),
        (Missing(Remainder.KEPT), [0, 1, 2], [4 / 9, 3 / 9, 2 / 9]),  # no more than the token's own total
        (Missing(Remainder.SHARED), [4, 4], [0, 0]),
    ],
)
def test_what_a_choice_lacks_goes_as_the_run_says(missing: Missing, indices: list[int], weights: list[float]):
    chosen = choose(replace(LAYER, missing=missing), np.array([indices]))
    assert chosen.weights[0].tolist() == pytest.approx(weights, rel=1e-5)
