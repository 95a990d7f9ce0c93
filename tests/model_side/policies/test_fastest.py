# SPDX-License-Identifier: Apache-2.0
"""Each token's best ratio of weight to latency."""

import numpy as np
from hypothesis import given

from model_side.selection import Layer
from tests.support.choices import alike, decide, kept, slots
from tests.support.layers import layers


@given(layers())
def test_it_keeps_the_best_ratio_alone(layer: Layer):
    for stays, own in zip(kept(layer, decide(layer, "fastest")), slots(layer), strict=True):
        ratios = [np.float32(slot.weight) / slot.seconds for slot in own]
        assert stays == [slot == ratios.index(max(ratios)) for slot in range(len(own))]


@given(layers())
def test_where_devices_are_alike_it_keeps_the_heaviest(layer: Layer):
    same = alike(layer)
    assert (decide(same, "fastest").indices == decide(same, "top-n", n=1).indices).all()
