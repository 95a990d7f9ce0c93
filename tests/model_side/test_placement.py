# SPDX-License-Identifier: Apache-2.0
"""Experts on devices, and what a routing makes each device receive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.placement import place


def test_round_robin():
    assert place(8, 3).device_of.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert place(4, 8).device_of.tolist() == [0, 1, 2, 3]


def test_a_token_that_needs_two_experts_of_one_device_is_sent_once():
    placement = place(4, 2, [0, 0, 1, 1])
    routing = np.array([[0, 1], [0, 2], [3, 2], [1, 4], [4, 4]])  # 4: left out
    assert placement.tokens_per_device(routing).tolist() == [3, 2]
    assert placement.tokens_per_expert(routing).tolist() == [2, 2, 2, 1]
    assert placement.slot_devices(routing).tolist() == [[0, 0], [0, 1], [1, 1], [0, 2], [2, 2]]


def test_no_token_at_all():
    placement = place(4, 2)
    nothing = np.zeros((0, 2), dtype=np.int64)
    assert placement.tokens_per_device(nothing).tolist() == [0, 0]
    assert placement.tokens_per_expert(nothing).tolist() == [0, 0, 0, 0]


@given(st.data())
def test_counts_are_those_of_sets(data: st.DataObject):
    experts, devices = data.draw(st.integers(1, 130)), data.draw(st.integers(1, 70))
    where = data.draw(st.lists(st.integers(0, devices - 1), min_size=experts, max_size=experts))
    placement = place(experts, devices, where)
    k = data.draw(st.integers(1, min(8, experts)))
    routing = data.draw(st.lists(st.lists(st.integers(0, experts), min_size=k, max_size=k), min_size=1, max_size=20))
    needs = [{where[expert] for expert in token if expert < experts} for token in routing]
    tokens = placement.tokens_per_device(np.array(routing))
    assert tokens.tolist() == [sum(device in need for need in needs) for device in range(devices)]
    asked = [expert for token in routing for expert in token if expert < experts]
    assert placement.tokens_per_expert(np.array(routing)).tolist() == [asked.count(e) for e in range(experts)]


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
        place(4, 2, where)
    assert caught.value.field == field
