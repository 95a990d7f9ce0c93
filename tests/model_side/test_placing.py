# SPDX-License-Identifier: Apache-2.0
"""Where rules put experts: within the room that there is, in closed form, and against every other way."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.placement import Placement
from model_side.placing import in_proportion, ranked, replicated


def counts(placement: Placement) -> np.ndarray:
    """How many experts of each layer each device has [L, D]."""
    return np.stack([layer.holds.sum(axis=0) for layer in placement.layers])


def assert_once(placement: Placement, layers: int) -> None:
    assert len(placement.layers) == layers
    assert all((layer.holds.sum(axis=1) == 1).all() for layer in placement.layers)


@st.composite
def rooms(draw: st.DrawFn) -> tuple[int, int, np.ndarray]:
    """Layers, experts, and devices with room for all of them."""
    layers, experts, devices = (draw(st.integers(1, most)) for most in (5, 8, 5))
    room = np.array(draw(st.lists(st.integers(0, 60), min_size=devices, max_size=devices)))
    room[draw(st.integers(0, devices - 1))] += max(layers * experts - room.sum(), 0)
    return layers, experts, room


@given(rooms())
def test_memory_gives_each_device_its_share(asked: tuple[int, int, np.ndarray]):
    layers, experts, room = asked
    placement = in_proportion(layers, experts, room)
    assert_once(placement, layers)
    held = counts(placement).sum(axis=0)
    share = layers * experts * room / room.sum()
    assert (held <= room).all()
    assert (np.abs(held - share) < 1).all()


def test_memory_of_equal_devices_is_round_robin_and_a_small_one_serves_some_layers():
    assert in_proportion(2, 8, np.full(4, 99)).device_of.tolist() == [[0, 1, 2, 3, 0, 1, 2, 3]] * 2
    assert counts(in_proportion(4, 4, np.array([14, 2]))).tolist() == [[4, 0], [3, 1], [4, 0], [3, 1]]


@given(rooms(), st.integers(0, 2**32 - 1))
def test_ranked_is_the_best_matching_of_its_counts(asked: tuple[int, int, np.ndarray], seed: int):
    layers, experts, room = asked
    experts = min(experts, 5)
    chance = np.random.default_rng(seed)
    importance, seconds = chance.random((layers, experts)).round(1), chance.random(len(room)).round(1)
    placement = ranked(importance, seconds, room)
    assert_once(placement, layers)
    assert (counts(placement).sum(axis=0) <= room).all()
    for of_layer, layer in zip(importance, placement.layers, strict=True):
        seats = layer.device_of
        best = min(float(of_layer @ seconds[list(each)]) for each in permutations(seats.tolist()))
        assert float(of_layer @ seconds[seats]) == pytest.approx(best)


def test_ranked_asks_the_quickest_devices_evenly():
    importance = np.array([[0.1, 0.4, 0.3, 0.2], [0.4, 0.3, 0.2, 0.1]])
    seconds = np.array([3.0, 1.0, np.inf, 2.0, 5.0])
    one_each = ranked(importance, seconds, np.full(5, 99))
    assert one_each.device_of.tolist() == [[4, 1, 3, 0], [1, 3, 0, 4]]
    two_devices = ranked(importance, seconds[:2], np.full(2, 99))
    assert two_devices.device_of.tolist() == [[0, 1, 1, 0], [1, 1, 0, 0]]
    little_room = ranked(importance, seconds[:2], np.array([7, 1]))
    assert counts(little_room).sum(axis=0).tolist() == [7, 1]


@pytest.mark.parametrize("rule", [in_proportion, lambda *asked: ranked(np.ones(asked[:2]), np.arange(2), asked[2])])
def test_no_room_is_told(rule):
    rule(2, 3, np.array([4, 2]))
    with pytest.raises(RequestError, match="can hold 5 experts of 6, all layers together") as caught:
        rule(2, 3, np.array([4, 1]))
    assert caught.value.field == "placement.experts"


@given(rooms(), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_replicas_fill_the_room_with_what_matters_most(asked: tuple[int, int, np.ndarray], most: int, seed: int):
    layers, experts, room = asked
    chance = np.random.default_rng(seed)
    importance, seconds = chance.random((layers, experts)), chance.random(len(room))
    single = ranked(importance, seconds, room)
    placement = replicated(single, most, room, importance, np.argsort(seconds, kind="stable"))
    holds = np.stack([layer.holds for layer in placement.layers])
    copies, free = holds.sum(axis=2), room - holds.sum(axis=(0, 1))
    assert (free >= 0).all()
    assert (holds >= np.stack([layer.holds for layer in single.layers])).all()
    assert (copies <= most).all()
    for layer, expert in zip(*np.nonzero(copies < min(most, len(room))), strict=True):
        could = (free > 0) & ~holds[layer, expert]
        assert not could.any(), "an expert could have had one more"


def test_a_replica_goes_to_the_next_quickest_device_and_the_important_ones_get_the_last_room():
    importance, order = np.array([[0.5, 0.3, 0.2]]), np.array([2, 0, 1])
    single = ranked(importance, np.array([2.0, 3.0, 1.0]), np.full(3, 9))
    twice = replicated(single, 2, np.full(3, 9), importance, order)
    assert [np.flatnonzero(held).tolist() for held in twice.layers[0].holds] == [[0, 2], [0, 1], [1, 2]]
    little = replicated(single, 2, np.array([2, 1, 1]), importance, order)
    assert [np.flatnonzero(held).tolist() for held in little.layers[0].holds] == [[0, 2], [0], [1]]
