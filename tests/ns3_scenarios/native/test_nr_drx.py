# SPDX-License-Identifier: GPL-2.0-only
"""When a device listens, held against the timers of TS 38.321 clause 5.7 as told here anew."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nr_drx import PROCESSES, Happening, listening

SLOTS = 900
PDCCH, PUSCH, SYMBOLS = 2, 13, 14
SUBFRAMES = 10_240  # until SFN is 0 again

Interval = tuple[Fraction, Fraction]


def told(
    numerology: int,
    device: int,
    times_ms: tuple[int, int, int],
    retransmissions: tuple[int, int],
    happenings: Sequence[Happening],
    slots: int,
    first_slot: int = 0,
) -> list[bool]:
    """The same, in ms: timers as intervals in which they run."""
    cycle, on_duration, inactivity = times_ms
    rtt_symbols, retransmission_slots = retransmissions
    slot_ms = Fraction(1, 2**numerology)
    until_ms = int((first_slot + slots) * slot_ms) + 1
    running: list[Interval] = [
        (Fraction(subframe), Fraction(subframe + on_duration))
        for subframe in range(until_ms)
        if subframe % SUBFRAMES % cycle == 61 * device % cycle
    ]
    expected: dict[tuple[bool, int], Interval] = {}
    found = []
    for slot in range(first_slot, first_slot + slots):
        now = slot * slot_ms
        found.append(any(begin <= now < end for begin, end in [*running, *expected.values()]))
        for what in [each for each in happenings if each.slot == slot]:
            if what.kind == "learn":
                expected.pop((what.is_uplink, what.process), None)
                if what.is_so:
                    heard = now + PDCCH * slot_ms / SYMBOLS
                    running.append((heard, heard + inactivity))
            elif what.kind == "send" or not what.is_so:
                sent = now + slot_ms * (Fraction(PUSCH, SYMBOLS) if what.kind == "send" else 1)
                begin = sent + rtt_symbols * slot_ms / SYMBOLS
                expected[what.kind == "send", what.process] = (begin, begin + retransmission_slots * slot_ms)
    return found


happening = st.builds(
    Happening,
    slot=st.integers(0, SLOTS),
    kind=st.sampled_from(["learn", "answer", "send"]),
    process=st.integers(0, PROCESSES - 1),
    is_uplink=st.booleans(),
    is_so=st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(
    numerology=st.integers(0, 3),
    device=st.integers(0, 300),
    times_ms=st.tuples(
        st.sampled_from([10, 32, 70, 160, 1280]), st.sampled_from([1, 5, 8]), st.sampled_from([0, 7, 60])
    ),
    retransmissions=st.tuples(st.sampled_from([0, 13, 56]), st.sampled_from([0, 1, 8, 33])),
    happenings=st.lists(happening, max_size=25),
)
def test_a_device_listens_when_its_timers_run(ns3, numerology, device, times_ms, retransmissions, happenings):
    happenings.sort(key=lambda each: each.slot)
    given_ = (numerology, device, times_ms, retransmissions, happenings, SLOTS)
    assert ns3(listening, *given_) == told(*given_)


@pytest.mark.parametrize("cycle_ms", [60, 70, 160])
@pytest.mark.parametrize("device", [0, 1, 5])
def test_cycles_go_by_the_number_of_the_frame_which_begins_again(ns3, cycle_ms, device):
    """After 10.24 s, in which 60 and 70 ms do not fit whole times."""
    given_ = (1, device, (cycle_ms, 4, 0), (0, 0), [], 800, 2 * SUBFRAMES - 400)
    assert ns3(listening, *given_) == told(*given_)
