# SPDX-License-Identifier: Apache-2.0
"""Moving slots away from devices that keep a layer waiting, compiled by numba."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_side.routing import Floats, Indices


class Stand(NamedTuple):
    """What may stand in for each expert of a layer.

    `nearest` [E, C]: experts, the least harm first and the expert itself before all, E where there are no more.
    `harm` [E, E + 1]: of giving expert j a slot of expert i, for a weight of 1, or no expert (j = E). `seat_from`
    [E + 1] and `seat_device` [P]: the devices that hold expert e are those from seat_from[e] on.
    """

    nearest: Indices
    harm: Floats
    seat_from: Indices
    seat_device: Indices


class Slots(NamedTuple):
    """A layer's slots [N, k]: the expert that each was for, the square of its weight; `expert` and `device` where it
    now is, E and D for nowhere, and the `harm` of that."""

    own: Indices
    squares: NDArray[np.float64]
    expert: Indices
    device: Indices
    harm: Floats


@njit(cache=True)
def elsewhere(stand: Stand, slots: Slots, token: int, slot: int, gain_s: Floats, price_s: float) -> tuple[int, int]:
    """The expert and device for a slot that leaves its device at the least of harm times price and time there."""
    none, nowhere = stand.harm.shape[0], len(gain_s)
    own, here = slots.own[token, slot], slots.device[token, slot]
    weighs = slots.squares[token, slot] * price_s
    best_expert, best_device, least = none, nowhere, weighs * stand.harm[own, none]
    for expert in stand.nearest[own]:
        if expert == none:
            break
        harm_s = weighs * stand.harm[own, expert]
        if harm_s >= least:
            break
        for seat in range(stand.seat_from[expert], stand.seat_from[expert + 1]):
            device = stand.seat_device[seat]
            if device == here:
                continue
            costs_s = harm_s
            is_sent = False
            for other in range(slots.own.shape[1]):
                is_sent = is_sent or slots.device[token, other] == device
            if not is_sent:
                if gain_s[device] >= gain_s[here]:
                    continue
                costs_s += gain_s[device]
            if costs_s < least:
                best_expert, best_device, least = expert, device, costs_s
    return best_expert, best_device


@njit(cache=True)
def move(stand: Stand, slots: Slots, worth: Floats, gain_s: Floats, price_s: float, wanted_s: float) -> float:
    """Move slots, those first that gain most time for their harm, until it is `wanted_s`; return the last one's price.

    `gain_s` [D]: what a layer is done earlier if a device has a token less. `worth` [D]: which part of the harm counts
    of slots that leave a device, 1 where what is asked of it will come. What a token has on one device moves together.
    0 is returned if nothing gains anything.
    """
    tokens, k = slots.own.shape
    nowhere = len(gain_s)
    price = np.empty(tokens * k)
    saved = np.empty(tokens * k)
    at = np.empty(tokens * k, np.int64)
    count = 0
    for token in range(tokens):
        for first in range(k):
            device = slots.device[token, first]
            if device == nowhere or gain_s[device] <= 0:
                continue
            is_first = True
            for before in range(first):
                is_first = is_first and slots.device[token, before] != device
            if not is_first:
                continue
            gain, harm = gain_s[device], 0.0
            for slot in range(first, k):
                if slots.device[token, slot] == device:
                    expert, to = elsewhere(stand, slots, token, slot, gain_s, price_s)
                    is_new = to != nowhere
                    for other in range(k):
                        is_new = is_new and slots.device[token, other] != to
                    if is_new:
                        gain -= gain_s[to]
                    own = slots.own[token, slot]
                    harm += slots.squares[token, slot] * stand.harm[own, expert] * worth[device]
                    harm -= slots.harm[token, slot]
            if gain > 0:
                price[count], saved[count], at[count] = -gain / max(harm, 1e-300), gain, token * k + first
                count += 1
    last = 0.0
    for visit in np.argsort(price[:count], kind="mergesort"):
        if wanted_s <= 0:
            break
        token, first = at[visit] // k, at[visit] % k
        device = slots.device[token, first]
        for slot in range(first, k):
            if slots.device[token, slot] == device:
                expert, to = elsewhere(stand, slots, token, slot, gain_s, price_s)
                slots.expert[token, slot], slots.device[token, slot] = expert, to
                own = slots.own[token, slot]
                slots.harm[token, slot] = slots.squares[token, slot] * stand.harm[own, expert] * worth[device]
        wanted_s -= saved[visit]
        last = -price[visit]
    return last


@njit(cache=True)
def counted(slots: Slots, seat_of: Indices, seats: int, width: int) -> tuple[Indices, Indices]:
    """Distinct tokens of each of `width` devices, and tokens of each of `seats` (`seat_of`: see `LayerPlacement`)."""
    load, of_seat = np.zeros(width + 1, np.int64), np.zeros(seats + 1, np.int64)
    for token in range(len(slots.own)):
        for slot in range(slots.own.shape[1]):
            device = slots.device[token, slot]
            is_first = True
            for before in range(slot):
                is_first = is_first and slots.device[token, before] != device
            load[device] += is_first
            of_seat[seat_of[slots.expert[token, slot], device]] += 1
    return load[:width], of_seat[:seats]
