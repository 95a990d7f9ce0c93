# SPDX-License-Identifier: Apache-2.0
"""Further experts of the devices that a token is sent to anyway, token by token."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import assert_chosen, decide
from tests.support.layers import gate_of, layer_of, layers, one_each


@settings(deadline=None)  # compiles
@given(layers(replicas=True), st.integers(1, 4), st.none() | st.integers(1, 14))
def test_it_fills_up_with_what_the_devices_of_its_heaviest_hold(layer: Layer, base: int, most: int | None):
    chosen = decide(layer, "piggyback", base=base, most=most)
    k = layer.indices.shape[1]
    seconds = layer.prediction.seconds
    expected = []
    for token in range(layer.tokens):
        first = sorted(range(k), key=lambda slot: -layer.weights[token, slot])[:base]
        experts = [int(layer.indices[token, slot]) for slot in first]
        devices = {int(layer.slot_devices[token, slot]) for slot in first}
        others = [
            expert
            for expert in sorted(range(layer.experts), key=lambda expert: -layer.probabilities[token, expert])
            if any(layer.placement.holds[expert, device] for device in devices) and expert not in experts
        ]
        expected.append({*experts, *others[: max(most or k, min(base, k)) - len(experts)]})
        if chosen.devices is not None:
            for expert, device in zip(chosen.indices[token], chosen.devices[token], strict=True):
                may = [device for device in devices if expert < layer.experts and layer.placement.holds[expert, device]]
                assert device == min(may, key=lambda device: (seconds[device], device), default=layer.devices)
    assert_chosen(layer, chosen, expected)


@settings(deadline=None)
@given(layers())
def test_it_asks_no_further_device(layer: Layer):
    asked = layer.after(decide(layer, "piggyback")).work.tokens
    assert (asked == layer.after(decide(layer, "top-n")).work.tokens).all()


def test_by_hand():
    layer = layer_of(gate_of(np.array([[4, 3, 2, 1], [1, 2, 3, 4]], np.float32), 2), one_each(4, devices=2))
    assert decide(layer, "piggyback").indices.tolist() == [[0, 2], [3, 1]]
    assert decide(layer, "piggyback", most=4).indices.tolist() == [[0, 2, 4, 4], [3, 1, 4, 4]]
