# SPDX-License-Identifier: Apache-2.0
"""Frames of radios: where time has slots, what comes through comes through at the end of one.

A radio's frame repeats every `period_ns`; the `occasions_ns` are the times within it at which something can have come
through: for TDD with the pattern DDDSU the ends of three D and a S downwards, and of one U upwards, each with what the
receiver takes to decode. Nobody has to say which they are: the ends of recorded transfers show it (`find`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PERIODS_NS = 125_000 * np.arange(1, 161)
"""Those looked for: whole numbers of the shortest slot, up to 20 ms. Ours; patterns of TS 38.331 are among them."""
APART_NS = 10_000
"""Times nearer to each other are one: what differs between devices is how long waves and wires take."""
LEAST_GAIN = 1.0  # nats for each end: less of an order is not worth its slots
MOST_CHANCE = 1e-6
"""Of ends without any order, that one is found in them, at most: n nats are gained by chance exp(-n) of the time."""


class Frame(NamedTuple):
    """`occasions_ns` rise, from 0 up to below `period_ns`."""

    period_ns: float
    occasions_ns: Floats


def find(ends_ns: Floats) -> Frame | None:
    """The frame whose occasions these times are; None if they have no such order.

    That of the shortest description: each frame is a code for the times, which names the bins of `APART_NS` that are in
    use, log B nats for each of the k of B in a period, and then for each time which of them it is, log k. The gain is
    against log B for each time.
    """
    best, found = LEAST_GAIN * len(ends_ns) + np.log(len(PERIODS_NS) / MOST_CHANCE), None
    for period_ns in PERIODS_NS.tolist():
        bins, used = np.log(period_ns / APART_NS), _bins_in_use(*_together(ends_ns, period_ns))
        gain = len(ends_ns) * (bins - np.log(max(used, 1))) - used * bins
        if gain > best + 1e-9:
            best, found = gain, period_ns
    if found is None:
        return None
    phases_ns, begins = _together(ends_ns, found)
    occasions_ns = [np.median(each) % found for each in np.split(phases_ns, begins[1:])]
    return Frame(float(found), np.sort(np.array(occasions_ns)))


def _together(ends_ns: Floats, period_ns: float) -> tuple[Floats, Integers]:
    """The times within a period, rising, from where a cluster begins on to a period later; and where each begins."""
    phases_ns = np.sort(ends_ns % period_ns)
    begins = np.flatnonzero(np.diff(phases_ns, prepend=phases_ns[-1:] - period_ns) > APART_NS)
    turn = begins[0] if len(begins) else 0
    return np.concatenate([phases_ns[turn:], phases_ns[:turn] + period_ns]), begins - turn


def _bins_in_use(phases_ns: Floats, begins: Integers) -> int:
    """How many bins clusters fill."""
    if not len(phases_ns):
        return 0
    first = begins if len(begins) else np.zeros(1, np.int64)  # without a gap anywhere
    last = np.append(first[1:], len(phases_ns)) - 1
    return int(np.sum(1 + (phases_ns[last] - phases_ns[first]) // APART_NS))
