# SPDX-License-Identifier: Apache-2.0
"""What an expert is expected to deliver in time, against its latency, token by token."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import decide, kept, slots
from tests.support.layers import gate_of, layer_of, layers, one_each


@given(layers(), st.floats(0, 10), st.floats(0.01, 10))
def test_it_keeps_what_is_worth_its_latency(layer: Layer, mu: float, deadline_s: float):
    layer = replace(layer, deadline_s=deadline_s)
    for stays, own in zip(kept(layer, decide(layer, "expected-weight", mu=mu)), slots(layer), strict=True):
        worth = []
        for slot in own:
            deviations = (math.log(deadline_s) - math.log(slot.seconds)) / 0.1  # the spread of FixedForecast
            in_time = 0.5 * math.erfc(-deviations / math.sqrt(2))
            share = slot.weight / sum(slot.weight for slot in own)
            worth.append(share * in_time - mu * slot.seconds / deadline_s)
        for stay, value in zip(stays, worth, strict=True):
            near_best = value >= max(worth) - 1e-6
            assert stay == (value > 0) or abs(value) < 1e-6 or near_best
        assert any(stay for stay, value in zip(stays, worth, strict=True) if value >= max(worth) - 1e-6)


def test_only_what_is_hopeless_goes_where_latency_costs_nothing():
    layer = layer_of(gate_of(np.array([[2, 1, 0], [0, 2, 1]], np.float32), 2), one_each(3), fixed_s=[0.01, 1e6, 0.01])
    assert decide(layer, "expected-weight", mu=0).indices.tolist() == [[0, 3], [3, 2]]
