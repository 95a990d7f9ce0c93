# SPDX-License-Identifier: Apache-2.0
"""Only some of the devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.placement import LayerPlacement
from model_side.selection import Layer
from tests.support.choices import decide, kept, slots
from tests.support.layers import gate_of, layer_of, layers, one_each


@given(layers(), st.data())
def test_it_asks_these_devices_and_no_others(layer: Layer, data: st.DataObject):
    devices = data.draw(st.sets(st.integers(0, layer.devices - 1)))
    stays = kept(layer, decide(layer, "static", devices=sorted(devices)))
    assert stays == [[slot.device in devices for slot in own] for own in slots(layer)]


@given(layers(replicas=True), st.data())
def test_replicas_are_asked_on_the_quickest_that_may_be(layer: Layer, data: st.DataObject):
    devices = sorted(data.draw(st.sets(st.integers(0, layer.devices - 1))))
    chosen = decide(layer, "static", devices=devices)
    for slot, expert in np.ndenumerate(layer.indices):
        may = [device for device in devices if layer.placement.holds[expert, device]]
        assert chosen.indices[slot] == (expert if may else layer.experts)
        if chosen.devices is not None:
            seconds = layer.prediction.seconds
            quickest = min(may, key=lambda device: (seconds[device], device), default=layer.devices)
            assert chosen.devices[slot] == quickest


def test_without_devices_it_is_the_models_own_choice():
    layer = layer_of(gate_of(np.zeros((2, 4), np.float32), 2), one_each(4))
    assert decide(layer, "static") is layer.selection


def test_a_device_that_is_none_is_refused():
    layer = layer_of(gate_of(np.zeros((2, 4), np.float32), 2), LayerPlacement(np.ones((4, 2), bool)))
    with pytest.raises(RequestError, match="device 2 is none of the devices 0 to 1") as caught:
        decide(layer, "static", devices=[0, 2])
    assert caught.value.field == "policy.static.devices"
