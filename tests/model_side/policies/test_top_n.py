# SPDX-License-Identifier: Apache-2.0
"""The n heaviest, against sorting."""

from hypothesis import given
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import decide, kept, slots
from tests.support.layers import layers


@given(layers(), st.integers(1, 5))
def test_it_keeps_the_n_heaviest(layer: Layer, n: int):
    for stays, own in zip(kept(layer, decide(layer, "top-n", n=n)), slots(layer), strict=True):
        by_weight = sorted(range(len(own)), key=lambda slot: -own[slot].weight)
        assert {slot for slot in range(len(own)) if stays[slot]} == set(by_weight[:n])


@given(layers())
def test_of_a_models_own_k_it_leaves_nothing_out(layer: Layer):
    assert decide(layer, "top-n", n=layer.indices.shape[1]).weights is layer.weights
