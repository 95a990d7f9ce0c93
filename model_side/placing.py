# SPDX-License-Identifier: Apache-2.0
"""Rules that say where experts go, by what devices can hold, how quick and near they are, and what experts matter.

`room` [D] is how many experts each device can hold, all layers together.
"""

import numpy as np

from bridge.network import RequestError
from model_side.placement import FIELD, Counts, LayerPlacement, Placement
from model_side.routing import Floats, Indices, Mask


def in_proportion(layers: int, experts: int, room: Counts) -> Placement:
    """Experts on devices in proportion to `room`; which layers a small device serves is spread evenly.

    Raises `RequestError` where there is no room for all.
    """
    seats = layers * experts
    _check(seats, room)
    exact = seats * room / room.sum()
    totals = np.floor(exact).astype(np.int64)
    totals[np.argsort(totals - exact, kind="stable")[: seats - totals.sum()]] += 1
    placed = [_holds(np.arange(experts), _dealt(counts), len(room)) for counts in _by_layer(layers, totals)]
    return Placement(tuple(map(LayerPlacement, placed)))


def ranked(importance: Floats, seconds: Floats, room: Counts) -> Placement:
    """In each layer the most important experts on the quickest devices, by `importance` [L, E] and `seconds` [D].

    No device has more of a layer than there are to be had evenly, unless others lack room; the quickest are filled
    first. With these counts no other matching of a layer's experts and devices has a smaller sum of importance times
    seconds (the rearrangement inequality). After AirMoE (arXiv 2608.22932) and SpaceMoE (arXiv 2605.00515), which place
    one expert a device, and were seen in an abstract and in notes of others: the restatement is ours.
    """
    layers, experts = importance.shape
    seats = layers * experts
    _check(seats, room)
    order = np.argsort(seconds, kind="stable")
    most = next(most for most in range(1, experts + 1) if np.minimum(room, most * layers).sum() >= seats)
    totals = np.zeros_like(room)
    before = np.concatenate([[0], np.cumsum(np.minimum(room, most * layers)[order])[:-1]])
    totals[order] = np.clip(seats - before, 0, np.minimum(room, most * layers)[order])
    best = np.argsort(-importance, axis=1, kind="stable")
    counts = _by_layer(layers, totals)
    placed = [_holds(best[layer], np.repeat(order, counts[layer][order]), len(room)) for layer in range(layers)]
    return Placement(tuple(map(LayerPlacement, placed)))


def replicated(placement: Placement, replicas: int, room: Counts, importance: Floats, order: Indices) -> Placement:
    """Each expert on up to `replicas` devices, as long as `room` is left, those of most `importance` [L, E] first.

    A replica goes to the next device in `order` [D] after the one before, in a circle, which has room.
    """
    holds = np.stack([layer.holds for layer in placement.layers])
    left = room - holds.sum(axis=(0, 1))
    rank = np.argsort(order)
    latest = rank[holds.argmax(axis=2)]
    by_importance = np.argsort(-importance, axis=None, kind="stable")
    for _ in range(replicas - 1):
        for layer, expert in zip(*np.unravel_index(by_importance, importance.shape), strict=True):
            ahead = np.roll(order, -latest[layer, expert] - 1)
            free = ahead[(left[ahead] > 0) & ~holds[layer, expert, ahead]]
            if len(free):
                holds[layer, expert, free[0]] = True
                left[free[0]] -= 1
                latest[layer, expert] = rank[free[0]]
    return Placement(tuple(map(LayerPlacement, holds)))


def _holds(experts: Indices, device: Indices, devices: int) -> Mask:
    """A layer's experts [E], in any order, on `device` [E] each."""
    holds = np.zeros((len(experts), devices), dtype=bool)
    holds[experts, device] = True
    return holds


def _check(seats: int, room: Counts) -> None:
    if room.sum() < seats:
        there = f"the devices can hold {room.sum()} experts of {seats}, all layers together"
        mend = "take devices.hardware with more memory, more devices, or fewer devices.weight_bits"
        raise RequestError(FIELD, f"{there}; {mend}")


def _by_layer(layers: int, totals: Counts) -> Counts:
    """How many experts of each layer each device has [L, D], of `totals` [D] in all layers: as evenly as can be."""
    counts = np.zeros((layers, len(totals)), dtype=np.int64)
    given = np.zeros_like(totals)
    for layer in range(layers):
        for _ in range(totals.sum() // layers):
            device = np.where(given < totals, totals * (layer + 1) / layers - given, -np.inf).argmax()
            counts[layer, device] += 1
            given[device] += 1
    return counts


def _dealt(counts: Counts) -> Indices:
    """The devices of a layer's seats in turn, as cards are dealt: each that has one, then each that has a second."""
    device = np.repeat(np.arange(len(counts)), counts)
    turn = np.concatenate([np.arange(count) for count in counts])
    return device[np.argsort(turn, kind="stable")]
