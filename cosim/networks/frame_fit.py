# SPDX-License-Identifier: Apache-2.0
"""Floors where a radio's frame has slots.

A latency is then a whole number of slots: as a floor grows nothing changes at first, and then a slot's worth does, so
that no slope leads to the best one. It is looked for by steps instead, from one without slots on: first for all
devices of a radio in common, then for each, which clings to that. The other constants stay as they were. Ours.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from cosim.networks.frame import find
from cosim.networks.links import Constants, Floats, Integers
from cosim.networks.observed import Observed, message_residuals, residuals
from cosim.networks.recorded_channel import Record

SCALE = 0.05
"""Errors beyond this are rather mishaps (soft L1)."""
LOYALTY = 0.1
"""How much a device's constants cling to those of all."""

_STEPS = tuple(sign * step for step in (1 / 8, 1 / 4, 1 / 2, 1, 3 / 2, 2) for sign in (-1, 1))  # of a slot
_ROUNDS = 4, 2  # in common, and for each
_LEAST_NS = 1.0
_MOST_LEFT = 0.5  # of the error without slots

Parts = Sequence[tuple[Record, Observed]]


def with_frames(parts: Parts, fluid: Constants, radio: Integers) -> Constants:
    """`fluid` with the frames that the ends of transfers show; `radio` [devices] numbers the devices' radios.

    They are kept if they halve the median error in the record. Where slots are short against latencies they do not: as
    fluid all of them come out a little off, with slots some of them by a whole one, and which floors step well there is
    chance.
    """
    if (slotted := _in_slots(parts, fluid, radio)) is None:
        return fluid
    before, after = (np.median(np.abs(residuals(parts, each))) for each in (fluid, slotted))
    return slotted if after < _MOST_LEFT * before else fluid


def _in_slots(parts: Parts, fluid: Constants, radio: Integers) -> Constants | None:
    """The constants with a frame for each radio and direction that has one; None if none has."""
    groups = []
    for number, way in product(range(radio.max() + 1), (0, 1)):
        is_its = radio == number
        times = [observed.times[is_its[observed.asked.transfers[:, 0]], (0, 2)[way]] for _, observed in parts]
        ends = np.concatenate(times)
        if (frame := find(ends[~np.isnan(ends)])) is not None:
            links = 2 * np.flatnonzero(is_its) + way
            slot_ns = frame.period_ns / len(frame.occasions_ns)
            fluid = _framed(fluid, links, frame.period_ns, frame.occasions_ns)
            waited_ns = np.zeros_like(fluid.floor_ns)  # for slots: no longer in the floors
            waited_ns[links] = slot_ns
            fluid = fluid._replace(
                floor_ns=np.maximum(fluid.floor_ns - waited_ns, _LEAST_NS),
                message_floor_ns=np.maximum(fluid.message_floor_ns - waited_ns, _LEAST_NS),
            )
            groups.append((links, slot_ns))
    if not groups:
        return None
    known = fluid

    def off(floor_ns: Floats) -> Floats:
        return residuals(parts, known._replace(floor_ns=floor_ns))

    fluid = fluid._replace(floor_ns=_searched(fluid.floor_ns, off, groups))
    if not any(len(observed.come_ns) for _, observed in parts):
        return fluid._replace(message_floor_ns=fluid.floor_ns)
    of_transfers = fluid

    def messages_off(floor_ns: Floats) -> Floats:
        return message_residuals(parts, of_transfers._replace(message_floor_ns=floor_ns))

    return fluid._replace(message_floor_ns=_searched(fluid.message_floor_ns, messages_off, groups))


def _framed(constants: Constants, links: Integers, period_ns: float, occasions_ns: Floats) -> Constants:
    periods_ns = constants.period_ns.copy()
    periods_ns[links] = period_ns
    most = max(constants.occasions_ns.shape[1], len(occasions_ns))
    occasions = np.pad(constants.occasions_ns, ((0, 0), (0, most - constants.occasions_ns.shape[1])), mode="edge")
    occasions[links] = np.pad(occasions_ns, (0, most - len(occasions_ns)), mode="edge")
    return constants._replace(period_ns=periods_ns, occasions_ns=occasions)


def _searched(floors: Floats, off: Callable[[Floats], Floats], groups: Sequence[tuple[Integers, float]]) -> Floats:
    """The best floors for groups of links, each with what its slots last; `off` gives the residuals with floors."""

    def cost(floors: Floats) -> float:
        return soft(off(floors))

    def clinging(floors: Floats) -> float:
        return soft(off(floors)) + soft(LOYALTY * (floors - in_common) / in_common)

    for _ in range(_ROUNDS[0]):
        for links, slot_ns in groups:
            floors = _step(floors, links, slot_ns, cost)
    in_common = np.maximum(floors, _LEAST_NS)
    for _ in range(_ROUNDS[1]):
        for links, slot_ns in groups:
            for link in links:
                floors = _step(floors, link, slot_ns, clinging)
    return floors


def soft(off: Floats) -> float:
    """The sum of soft L1, as least squares take it for the other constants."""
    return float(np.sum(np.sqrt(1 + (off / SCALE) ** 2) - 1))


def _step(floors: Floats, links: Integers, slot_ns: float, cost: Callable[[Floats], float]) -> Floats:
    """The best of some floors that are a step away for these links; the same if none is better."""
    best, least = floors, cost(floors) * (1 - 1e-6)
    for step in _STEPS:
        other = floors.copy()
        other[links] = np.maximum(other[links] + step * slot_ns, _LEAST_NS)
        if (found := cost(other)) < least:
            best, least = other, found
    return best
