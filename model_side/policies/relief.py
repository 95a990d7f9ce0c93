# SPDX-License-Identifier: Apache-2.0
"""Moving slots away from devices that keep a layer waiting, compiled by numba."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_side.routing import Floats, Indices

LEAST = 1e-300


class StandIns(NamedTuple):
    """What may stand in for each expert of a layer.

    `nearest` [E, E]: experts, the expert itself first and then the least harm first, E where there are no more.
    `harm` [E, E + 1]: of giving expert j a slot of expert i, for a weight of 1, or no expert (j = E). `seat_from`
    [E + 1] and `seat_device` [P]: the devices that hold expert e are those from seat_from[e] on.
    """

    nearest: Indices
    harm: Floats
    seat_from: Indices
    seat_device: Indices


class Slots(NamedTuple):
    """A layer's slots [N, k]: the expert that each was for and the square of its weight; the `expert` and `device`
    where it now is, E and D for nowhere, and the `harm` of that. `load` [D + 1] and `of_seat` [P + 1] count distinct
    tokens of each device and tokens of each seat, with `seat_of` as in `LayerPlacement`."""

    own: Indices
    squares: NDArray[np.float64]
    expert: Indices
    device: Indices
    harm: Floats
    load: Indices
    of_seat: Indices
    seat_of: Indices


class Visits(NamedTuple):
    """Tokens at devices, and what is best done with the slots [N, k] that they have there.

    `to_expert`, `to_device` [N, k]. A visit is a token's first slot at a device, as token * k + slot; `harm` [N k] is
    what it adds to move it, `beside` [N k] the device that its token is then sent to anew, D if to none. `order` [V]:
    those of device d from `first[d]` on, the least harm first; `at` [D] counts those that were taken.
    """

    to_expert: Indices
    to_device: Indices
    harm: Floats
    beside: Indices
    order: Indices
    first: Indices
    at: Indices


@njit(cache=True)
def visits_of(
    stand_ins: StandIns, slots: Slots, worth: Floats, alone_s: Floats, gain_s: Floats, price_s: float
) -> Visits:
    """What to do best with each token at each device, if time has that price in harm.

    Of what is alike otherwise, the device that is quickest by `alone_s` [D] is best.
    `gain_s` [D + 1]: what the layer is done earlier if a device has a token less, later if one more; 0 for nowhere.
    `worth` [D]: which part of the harm counts of slots that leave a device, 1 where what is asked of it will come.
    What a token has on one device moves together, and its heaviest slot never goes nowhere.
    """
    tokens, k = slots.own.shape
    nowhere = len(worth)
    to_expert, to_device = np.empty_like(slots.expert), np.empty_like(slots.device)
    added, key = np.zeros(tokens * k), np.zeros(tokens * k)
    beside = np.full(tokens * k, nowhere)
    count = np.zeros(nowhere + 2, np.int64)
    whose = np.full(tokens * k, nowhere)
    is_sent = np.zeros(nowhere + 1, np.bool_)
    for token in range(tokens):
        heaviest = np.argmax(slots.squares[token])
        for slot in range(k):
            is_sent[slots.device[token, slot]] = True
        for slot in range(k):
            device = slots.device[token, slot]
            if device == nowhere or gain_s[device] <= 0:
                continue
            first = slot
            for before in range(slot - 1, -1, -1):
                if slots.device[token, before] == device:
                    first = before
            own, square = slots.own[token, slot], slots.squares[token, slot]
            visit = token * k + first
            if first == slot:
                whose[visit] = device
            expert, to = _elsewhere(stand_ins, own, square, device, is_sent, alone_s, gain_s, price_s)
            if slot == heaviest and to == nowhere:
                whose[visit] = nowhere
            to_expert[token, slot], to_device[token, slot] = expert, to
            added[visit] += square * stand_ins.harm[own, expert] * worth[device] - slots.harm[token, slot]
            if not is_sent[to] and to != nowhere:
                beside[visit] = to
        for slot in range(k):
            is_sent[slots.device[token, slot]] = False
    for visit in range(tokens * k):
        key[visit] = added[visit] + gain_s[beside[visit]] / price_s
        count[whose[visit] + 1] += 1
    by_harm = np.argsort(key, kind="mergesort")
    first_of = np.cumsum(count)
    place = first_of[:-1].copy()
    order = np.empty(tokens * k, np.int64)
    for visit in by_harm:
        order[place[whose[visit]]] = visit
        place[whose[visit]] += 1
    return Visits(to_expert, to_device, added, beside, order, first_of[:-1], first_of[:-2].copy())


@njit(cache=True)
def _elsewhere(
    stand_ins: StandIns,
    own: int,
    square: float,
    here: int,
    is_sent: NDArray[np.bool_],
    alone_s: Floats,
    gain_s: Floats,
    price_s: float,
) -> tuple[int, int]:
    """The expert and device with the least of harm and price of time, for a slot that leaves its device."""
    none, nowhere = stand_ins.harm.shape[0], len(is_sent) - 1
    best_expert, best_device, least = none, nowhere, square * stand_ins.harm[own, none]
    for expert in stand_ins.nearest[own]:
        if expert == none:
            break
        harm = square * stand_ins.harm[own, expert]
        if (harm >= least and best_device == nowhere) or harm > least:
            break
        for seat in range(stand_ins.seat_from[expert], stand_ins.seat_from[expert + 1]):
            device = stand_ins.seat_device[seat]
            if device == here or gain_s[device] > gain_s[here]:
                continue
            costs = harm
            if not is_sent[device]:
                costs += gain_s[device] / price_s
            is_quicker = best_device != nowhere and alone_s[device] < alone_s[best_device]
            if costs < least or (costs == least and is_quicker):
                best_expert, best_device, least = expert, device, costs
    return best_expert, best_device


@njit(cache=True)
def move(stand_ins: StandIns, slots: Slots, visits: Visits, worth: Floats, gain_s: Floats, wanted_s: float) -> float:
    """Move visits, those first that gain most time for their harm, until it is `wanted_s`; return the last one's price.

    0 is returned if nothing gains anything.
    """
    k = slots.own.shape[1]
    nowhere = len(worth)
    price_s = 0.0
    while wanted_s > 0:
        best, most, won_s = nowhere, 0.0, 0.0
        for device in range(nowhere):
            at = visits.at[device]
            if at == visits.first[device + 1] or gain_s[device] <= 0:
                continue
            visit = visits.order[at]
            net_s = gain_s[device] - gain_s[visits.beside[visit]]
            price = net_s / max(visits.harm[visit], LEAST)
            if price > most:
                best, most, won_s = device, price, net_s
        if best == nowhere:
            break
        visit = visits.order[visits.at[best]]
        visits.at[best] += 1
        if _leave(stand_ins, slots, visits, visit // k, best, worth[best]):
            wanted_s -= won_s
            price_s = most
    return price_s


@njit(cache=True)
def _leave(stand_ins: StandIns, slots: Slots, visits: Visits, token: int, device: int, worth: float) -> bool:
    """Move what a token has on a device, unless some of that has just come from another one."""
    k = slots.own.shape[1]
    for slot in range(k):
        if slots.device[token, slot] == device and visits.to_device[token, slot] == device:
            return False
    for slot in range(k):
        if slots.device[token, slot] != device:
            continue
        expert, to = visits.to_expert[token, slot], visits.to_device[token, slot]
        is_new = True
        for other in range(k):
            is_new = is_new and slots.device[token, other] != to
        slots.load[to] += is_new
        slots.of_seat[slots.seat_of[slots.expert[token, slot], device]] -= 1
        slots.of_seat[slots.seat_of[expert, to]] += 1
        slots.expert[token, slot], slots.device[token, slot] = expert, to
        own = slots.own[token, slot]
        slots.harm[token, slot] = slots.squares[token, slot] * stand_ins.harm[own, expert] * worth
    slots.load[device] -= 1
    return True
