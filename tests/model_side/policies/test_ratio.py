# SPDX-License-Identifier: Apache-2.0
"""Weight over the heaviest weight, token by token."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import alike, decide, kept, slots
from tests.support.layers import layers


@given(layers(), st.floats(0, 1))
def test_it_keeps_what_weighs_enough_beside_the_heaviest(layer: Layer, beta: float):
    for stays, own in zip(kept(layer, decide(layer, "ratio", beta=beta)), slots(layer), strict=True):
        top = max(slot.weight for slot in own)
        assert stays == [slot.weight >= np.float32(beta) * np.float32(top) for slot in own]


@given(layers(), st.sampled_from([0, 0.25, 0.5, 1]))
def test_where_devices_are_alike_it_is_weight_to_latency(layer: Layer, share: float):
    same = alike(layer)
    assert (
        decide(same, "ratio", beta=share).indices == decide(same, "weight-to-latency", threshold=share).indices
    ).all()
