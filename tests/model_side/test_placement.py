# SPDX-License-Identifier: Apache-2.0
"""Experts on devices, and what a routing makes each device receive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bridge.network import RequestError
from model_side.placement import LayerPlacement, Placement, place


def test_round_robin():
    assert place(2, 8, 3).device_of.tolist() == [[0, 1, 2, 0, 1, 2, 0, 1]] * 2
    assert place(1, 4, 8).device_of.tolist() == [[0, 1, 2, 3]]


def test_a_token_that_needs_two_experts_of_one_device_is_sent_once():
    (placement,) = place(1, 4, 2, [0, 0, 1, 1]).layers
    routing = np.array([[0, 1], [0, 2], [3, 2], [1, 4], [4, 4]])  # 4: left out
    devices = placement.slot_devices(routing)
    assert devices.tolist() == [[0, 0], [0, 1], [1, 1], [0, 2], [2, 2]]
    assert placement.tokens_per_device(devices).tolist() == [3, 2]
    assert placement.tokens_per_seat(routing, devices).tolist() == [2, 2, 2, 1]


def test_no_token_at_all():
    (placement,) = place(1, 4, 2).layers
    nothing = np.zeros((0, 2), dtype=np.int64)
    assert placement.tokens_per_device(placement.slot_devices(nothing)).tolist() == [0, 0]
    assert placement.tokens_per_seat(nothing, nothing).tolist() == [0, 0, 0, 0]


@given(st.data())
def test_counts_are_those_of_sets(data: st.DataObject):
    experts, devices = data.draw(st.integers(1, 130)), data.draw(st.integers(1, 70))
    where = data.draw(st.lists(st.integers(0, devices - 1), min_size=experts, max_size=experts))
    (placement,) = place(1, experts, devices, where).layers
    k = data.draw(st.integers(1, min(8, experts)))
    routing = data.draw(st.lists(st.lists(st.integers(0, experts), min_size=k, max_size=k), min_size=1, max_size=20))
    needs = [{where[expert] for expert in token if expert < experts} for token in routing]
    slot_devices = placement.slot_devices(np.array(routing))
    tokens = placement.tokens_per_device(slot_devices)
    assert tokens.tolist() == [sum(device in need for need in needs) for device in range(devices)]
    asked = [expert for token in routing for expert in token if expert < experts]
    seats = placement.tokens_per_seat(np.array(routing), slot_devices)
    assert seats.tolist() == [asked.count(expert) for expert in range(experts)]


@given(st.data())
def test_counts_of_replicas_are_those_of_pairs(data: st.DataObject):
    experts, devices = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 9))
    holds = data.draw(arrays.arrays(np.bool_, (experts, devices)))
    holds[np.arange(experts), np.arange(experts) % devices] = True
    placement = LayerPlacement(holds)
    pairs = [(expert, device) for expert in range(experts) for device in range(devices) if holds[expert, device]]
    slots = data.draw(st.lists(st.lists(st.sampled_from([*pairs, (experts, devices)]), min_size=2, max_size=2)))
    routing = np.array(slots, dtype=np.int64).reshape(-1, 2, 2)
    indices, slot_devices = routing[..., 0], routing[..., 1]
    asked = [pair for token in slots for pair in token]
    assert list(zip(placement.seat_expert.tolist(), placement.seat_device.tolist(), strict=True)) == pairs
    assert placement.tokens_per_seat(indices, slot_devices).tolist() == [asked.count(pair) for pair in pairs]
    needs = [{device for _, device in token} for token in slots]
    assert placement.tokens_per_device(slot_devices).tolist() == [
        sum(d in need for need in needs) for d in range(devices)
    ]


@given(st.data())
def test_many_layers_at_once_are_each_of_them(data: st.DataObject):
    layers, experts, devices = (data.draw(st.integers(1, most)) for most in (3, 6, 4))
    where = [
        data.draw(st.lists(st.integers(0, devices - 1), min_size=experts, max_size=experts)) for _ in range(layers)
    ]
    placement = Placement(tuple(LayerPlacement(np.eye(devices, dtype=bool)[each]) for each in where))
    order = np.array(data.draw(st.lists(st.integers(0, layers - 1), min_size=1, max_size=5)))
    rows = st.lists(st.lists(st.integers(0, experts), min_size=2, max_size=2), min_size=1, max_size=4)
    parts = [np.array(data.draw(rows)) for _ in order]
    starts = np.cumsum([0, *map(len, parts[:-1])])
    tokens, counts, device = placement.work(np.concatenate(parts), starts, order)
    for x, (layer, part) in enumerate(zip(order, parts, strict=True)):
        one = placement.layers[layer]
        slot_devices = one.slot_devices(part)
        assert tokens[x].tolist() == one.tokens_per_device(slot_devices).tolist()
        assert counts[x].tolist() == one.tokens_per_seat(part, slot_devices).tolist()
        assert device[x].tolist() == where[layer]


@pytest.mark.parametrize(
    ("where", "field", "reason"),
    [
        ("random", "placement.experts", "neither 'round-robin' nor a list"),
        ([0, 1, 0], "placement.experts", "names 3 devices for 4 experts"),
        ([0, 1, 2, 0], "placement.experts[2]", "device 2 is none of the devices 0 to 1"),
        ([0, -1, 1, 0], "placement.experts[1]", "device -1"),
    ],
)
def test_a_wrong_placement_is_refused_by_name(where: str | list[int], field: str, reason: str):
    with pytest.raises(RequestError, match=reason) as caught:
        place(1, 4, 2, where)
    assert caught.value.field == field
