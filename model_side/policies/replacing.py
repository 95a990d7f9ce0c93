# SPDX-License-Identifier: Apache-2.0
"""The search of `substitute`, compiled by numba: which of a token's experts are replaced, by which, one token after
another."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_side.routing import Floats, Indices

MANY = 2048  # tokens, of which one round does: the loads that the first ones see are near those in the end
LESS = 1 - 1e-12  # a cost is less only if rounding cannot be why
ROUNDING = 1 + 1e-9


class Near(NamedTuple):
    """Of each expert, on each device and last of nothing, [E, D + 1]: the `expert` nearest to it, how far `away` it is
    (inf where the device holds none), and the columns in the `order` of that."""

    expert: Indices
    away: Floats
    order: Indices


def nearest(distance: Floats, device_of: Indices, devices: int) -> Near:
    """From a layer's `Outputs.distance` [E, E + 1] and the device of each expert [E]."""
    experts = len(distance)
    columns = np.append(device_of, devices)
    expert = np.full((experts, devices + 1), experts)
    away = np.full((experts, devices + 1), np.inf)
    for column in np.unique(columns):
        there = np.flatnonzero(columns == column)
        best = distance[:, there].argmin(axis=1)
        expert[:, column] = there[best]
        away[:, column] = distance[np.arange(experts), there[best]]
    return Near(expert, away, np.argsort(away, axis=1, kind="stable"))


class Loads(NamedTuple):
    """Of each device [D]: it takes `fixed` and `slope` s for each of its `tokens`. `price`: what the sum of squares of
    all devices' seconds grows by with one token more; inf beyond `limit` [1]."""

    fixed: Floats
    slope: Floats
    tokens: NDArray[np.int64]
    price: Floats
    limit: Floats


class Scratch(NamedTuple):
    """Of a token's slots [k], while it chooses: whether its device was `looked` at, the `error` of what it has now, and
    the `haven` (a device that the token uses anyway, or nothing) that it would err least by, and how much, `stray`.
    `there`: the slots of the device that is looked at, in front."""

    looked: NDArray[np.bool_]
    there: Indices
    error: Floats
    haven: Indices
    stray: Floats


@njit(cache=True)
def _change(loads: Loads, device: int, tokens: int) -> None:
    """So many more tokens for a device."""
    count = loads.tokens[device] + tokens
    loads.tokens[device] = count
    now = loads.fixed[device] + loads.slope[device] * count if count else 0.0
    more = loads.fixed[device] + loads.slope[device] * (count + 1)
    loads.price[device] = more * more - now * now if more <= loads.limit[0] * ROUNDING else np.inf


@njit(cache=True)
def _is_new(devices: Indices, slot: int, none: int) -> bool:
    """Whether a slot has a device, and none before it the same."""
    for before in range(slot):
        if devices[before] == devices[slot]:
            return False
    return bool(devices[slot] < none)


@njit(cache=True)
def _move(loads: Loads, devices: Indices, tokens: int) -> None:
    """One token comes to (1) or leaves (-1) the distinct devices of its slots [k]; D is none."""
    for slot in range(len(devices)):
        if _is_new(devices, slot, len(loads.tokens)):
            _change(loads, devices[slot], tokens)


@njit(cache=True)
def _cost(loads: Loads, devices: Indices) -> float:
    """What it costs that the token comes to the distinct devices of its slots [k]."""
    total = 0.0
    for slot in range(len(devices)):
        if _is_new(devices, slot, len(loads.tokens)):
            total += loads.price[devices[slot]]
    return total


@njit(cache=True)
def replace(
    weights: Floats, own: Indices, own_devices: Indices, near: Near, budgets: Floats, loads: Loads
) -> tuple[Indices, Indices]:
    """Experts and devices [N, k] in place of `own` ones; `weights` [N, k] are the gate's, `budgets` [N] the errors'.

    `loads` are those of the model's own choice, and in the end those of this one. The errors of a token's slots, weight
    times distance, come to its budget at most.
    """
    tokens, slots = own.shape
    experts, devices = own.copy(), own_devices.copy()
    errors = np.zeros(tokens)
    for device in range(len(loads.tokens)):
        _change(loads, device, 0)
    found, where = np.empty(slots, np.int64), np.empty(slots, np.int64)
    there, haven = np.empty(slots, np.int64), np.empty(slots, np.int64)
    scratch = Scratch(np.empty(slots, np.bool_), there, np.empty(slots), haven, np.empty(slots))
    for _ in range(1 if tokens > MANY else 2):
        for token in range(tokens):
            _move(loads, devices[token], -1)
            heaviest = int(weights[token].argmax())
            given = (weights[token], own[token], own_devices[token], near, budgets[token], loads, heaviest)
            found[:], where[:] = own[token], own_devices[token]
            error = _best_of_two(*given, found, where) if slots <= 2 else _emptied(*given, found, where, scratch)
            cost, before = _cost(loads, where), _cost(loads, devices[token])
            if cost < before * LESS or (cost * LESS <= before and error < errors[token]):
                experts[token], devices[token], errors[token] = found, where, error
            _move(loads, devices[token], 1)
    return experts, devices


@njit(cache=True)
def _option(slot: int, rank: int, own: Indices, own_devices: Indices, near: Near) -> tuple[int, int, float]:
    """Expert, device and distance of the option `rank` of a slot: first its own, then the nearest of each device."""
    if rank == 0:
        return own[slot], own_devices[slot], 0.0
    device = near.order[own[slot], rank - 1]
    return near.expert[own[slot], device], device, near.away[own[slot], device]


@njit(cache=True)
def _best_of_two(
    weights: Floats,
    own: Indices,
    own_devices: Indices,
    near: Near,
    budget: float,
    loads: Loads,
    heaviest: int,
    found: Indices,
    where: Indices,
) -> float:
    """Write the cheapest choice for one or two slots, of equal ones that of least error; return its error."""
    none = len(loads.tokens)
    options = near.order.shape[1] + 1
    best_cost, best_error = np.inf, 0.0
    last = len(own) - 1
    for first in range(options if own[0] < len(near.away) else 1):
        expert, device, away = _option(0, first, own, own_devices, near)
        error = weights[0] * away
        if error > budget:
            break
        if device == none and heaviest == 0 and own[0] < len(near.away):
            continue
        cost = loads.price[device] if device < none else 0.0
        if cost > best_cost:
            continue
        if last == 0:
            if cost < best_cost * LESS or (cost * LESS <= best_cost and error < best_error):
                found[0], where[0], best_cost, best_error = expert, device, cost, error
            continue
        for second in range(options if own[1] < len(near.away) else 1):
            other, other_device, other_away = _option(1, second, own, own_devices, near)
            both = error + weights[1] * other_away
            if both > budget:
                break
            if other_device == none and heaviest == 1 and own[1] < len(near.away):
                continue
            total = cost + (loads.price[other_device] if other_device < none and other_device != device else 0.0)
            if total < best_cost * LESS or (total * LESS <= best_cost and both < best_error):
                found[0], where[0], found[1], where[1] = expert, device, other, other_device
                best_cost, best_error = total, both
    return best_error


@njit(cache=True)
def _emptied(
    weights: Floats,
    own: Indices,
    own_devices: Indices,
    near: Near,
    budget: float,
    loads: Loads,
    heaviest: int,
    found: Indices,
    where: Indices,
    scratch: Scratch,
) -> float:
    """Empty the token's devices, the dearest first, into those that it uses anyway and a cheaper one, if the budget
    lets it; write the choice and return its error."""
    none, slots = len(loads.tokens), len(own)
    scratch.error[:] = 0
    for slot in range(slots):
        if where[slot] < none:
            scratch.looked[slot] = weights[slot] * _nearest_away(own[slot], where[slot], near) > budget
    total = 0.0
    while True:
        dearest, price = none, 0.0
        for slot in range(slots):
            if where[slot] < none and not scratch.looked[slot] and loads.price[where[slot]] > price:
                dearest, price = where[slot], loads.price[where[slot]]
        if dearest == none:
            return total
        count = 0
        for slot in range(slots):
            if where[slot] == dearest:
                scratch.there[count] = slot
                scratch.looked[slot] = True
                count += 1
        there = scratch.there[:count]
        target = _target(weights, own, near, budget - total, loads, heaviest, where, dearest, there, scratch)
        if target > none:
            continue
        for slot in there:
            device, error = scratch.haven[slot], scratch.stray[slot]
            if target < none and weights[slot] * near.away[own[slot], target] < error:
                device, error = target, weights[slot] * near.away[own[slot], target]
            total += error - scratch.error[slot]
            scratch.error[slot] = error
            found[slot], where[slot] = near.expert[own[slot], device], device


@njit(cache=True)
def _nearest_away(expert: int, device: int, near: Near) -> float:
    """How far away from an expert the nearest is that is not on the device."""
    first = 1 if near.order[expert, 0] == device else 0
    return float(near.away[expert, near.order[expert, first]])


@njit(cache=True)
def _target(
    weights: Floats,
    own: Indices,
    near: Near,
    left: float,
    loads: Loads,
    heaviest: int,
    where: Indices,
    dearest: int,
    there: Indices,
    scratch: Scratch,
) -> int:
    """The cheapest device that, beside those in use, takes the slots of the `dearest`; D if none is needed, D + 1 if
    there is none. Writes the slots' havens where there might be one."""
    none = len(loads.tokens)
    least = 0.0
    for slot in there:
        left += scratch.error[slot]
        least += weights[slot] * _nearest_away(own[slot], dearest, near)
    if least > left:
        return none + 1
    needed = 0.0
    for slot in there:
        away = near.away[own[slot]]
        device, distance = none, away[none] if slot != heaviest else np.inf
        for other in where:
            if other < none and other != dearest and away[other] < distance:
                device, distance = other, away[other]
        scratch.haven[slot], scratch.stray[slot] = device, weights[slot] * distance
        needed += weights[slot] * distance
    if needed <= left:
        return none
    best, price = none + 1, loads.price[dearest] * LESS
    for device in range(none):
        if loads.price[device] >= price or device == dearest:
            continue
        needed = 0.0
        for slot in there:
            needed += min(scratch.stray[slot], weights[slot] * near.away[own[slot], device])
        if needed <= left:
            best, price = device, loads.price[device]
    return best
