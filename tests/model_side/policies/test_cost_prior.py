# SPDX-License-Identifier: Apache-2.0
"""The router's ranking with a bonus for quick devices, token by token."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.policies import make_policy
from model_side.selection import Layer
from tests.support.choices import alike, assert_chosen, decide
from tests.support.layers import gate_of, layer_of, layers, one_each


@settings(deadline=None)  # compiles
@given(layers(), st.floats(0, 3), st.integers(0, 5))
def test_it_takes_the_best_after_the_bonus(layer: Layer, strength: float, protect: int):
    chosen = decide(layer, "cost-prior", strength=strength, protect=protect)
    seconds = layer.prediction.seconds[layer.placement.device_of]
    k = layer.indices.shape[1]
    logits = layer.scores.astype(np.float64)
    ranges = [max(row) - min(row) for row in logits.tolist()]
    for token in range(layer.tokens):
        bonus = strength * sum(ranges) / len(ranges) * (1 - seconds / max(seconds))
        raised = logits[token] + bonus
        truly = sorted(range(layer.experts), key=lambda expert: -logits[token, expert])[: min(protect, k)]
        found = set(chosen.indices[token].tolist())
        assert len(found) == k
        assert set(truly) <= found
        others = [expert for expert in range(layer.experts) if expert not in found]
        free = [expert for expert in found if expert not in truly]
        if others and free:  # up to rounding, as scores are of single precision
            assert min(raised[free]) >= max(raised[others]) - 1e-4
    assert_chosen(layer, chosen, [set(row) for row in chosen.indices.tolist()])


@settings(deadline=None)
@given(layers())
def test_where_devices_are_alike_or_the_bonus_is_none_it_is_the_models_own_choice(layer: Layer):
    for seen, strength in ((layer, 0.0), (alike(layer), 5.0)):
        chosen = decide(seen, "cost-prior", strength=strength)
        probabilities = layer.probabilities
        taken, own = (np.take_along_axis(probabilities, indices, 1) for indices in (chosen.indices, layer.indices))
        assert np.sort(taken, axis=1) == pytest.approx(np.sort(own, axis=1), rel=1e-5)


def test_the_range_is_the_mean_over_what_the_layer_has_seen():
    wide = layer_of(gate_of(np.array([[10, 0, 9, 8]], np.float32), 1), one_each(4), fixed_s=[1, 0.5, 1, 1])
    narrow = replace(wide, gate=gate_of(np.array([[2, 1.1, 0, 0]], np.float32), 1))
    narrow = replace(narrow, selection=replace(narrow.selection, indices=narrow.gate.indices))
    policy = make_policy("cost-prior", {"cost-prior": {"strength": 0.5, "protect": 0}})
    assert policy(narrow).indices.tolist() == [[0]]  # 1.1 + 0.5 * 2 * 0.5 < 2
    policy(wide)
    assert policy(narrow).indices.tolist() == [[1]]  # the mean of 2, 10 and 2 is 4.7
    other = replace(narrow, gate=replace(narrow.gate, layer=1))
    assert policy(other).indices.tolist() == [[0]]  # another layer has its own
