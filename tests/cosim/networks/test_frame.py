# SPDX-License-Identifier: Apache-2.0
"""Frames: found in the ends of transfers, and followed, against slots that are counted one by one."""

import math
from itertools import count

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cosim.networks.cursor import at_begin
from cosim.networks.fluid import ALL, carry, convey
from cosim.networks.frame import APART_NS, find
from cosim.networks.frame_fit import with_frames
from cosim.networks.link_model import fit_constants
from cosim.networks.links import Channel, Constants, Exchanges, messages_of, undisturbed
from cosim.networks.observed import Observed, predict
from cosim.networks.recorded_channel import Record

PATTERNS = st.text("DSU", min_size=2, max_size=10).filter(lambda slots: "U" in slots and "D" in slots)
BIT_PER_NS = 0.04  # of all time together, whatever slots there are


def slot_ends(pattern: str, kind: str, slot_ns: float, decoding_ns: float, until_ns: float) -> list[float]:
    """When what is sent in slots of a kind is known, one slot after the other."""
    slots = range(int(until_ns // slot_ns) + 1)
    return [(slot + 1) * slot_ns + decoding_ns for slot in slots if pattern[slot % len(pattern)] == kind]


@settings(deadline=None, max_examples=30)
@given(PATTERNS, st.sampled_from("DU"), st.integers(0, 3), st.floats(0, 400_000), st.integers(0, 2**31))
def test_a_pattern_of_slots_is_found_in_what_came_at_their_ends(pattern, kind, numerology, decoding_ns, seed):
    draw = np.random.default_rng(seed)
    slot_ns = 1e6 / 2**numerology
    assume(len(pattern) * slot_ns <= 20e6)
    known = np.array(slot_ends(pattern, kind, slot_ns, decoding_ns, 1e9))
    came = draw.choice(known, 300) + draw.uniform(0, 500, 300)
    found = find(came)
    times = np.concatenate([found.occasions_ns + lap * found.period_ns for lap in range(int(1e9 / found.period_ns))])
    expected = known[(known > 0.1e9) & (known < 0.9e9)]
    said = np.sort(times[(times > 0.1e9 - 1000) & (times < 0.9e9 + 1000)])
    assert abs(len(said) - len(expected)) <= 2
    assert np.min(np.abs(said[:, None] - expected[None, :]), axis=0).max() < APART_NS
    assert np.min(np.abs(said[:, None] - known[None, :]), axis=1).max() < APART_NS


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 300), st.integers(0, 2**31))
def test_where_there_is_no_order_none_is_found(times, seed):
    assert find(np.random.default_rng(seed).uniform(0, 1e10, times)) is None


def still(links: int) -> Channel:
    """Links of a pool each, alike and always."""
    capacity = np.full(links, BIT_PER_NS * 1e9)
    return Channel(np.arange(links + 1), np.zeros(links), capacity, np.arange(links), np.zeros(links), links, np.inf)


def framed(floor_ns: float, period_ns: float, occasions_ns: list[float], links: int = 2) -> Constants:
    floors = np.full(links, floor_ns)
    plain = undisturbed(floors, np.ones(links), np.zeros(links), floors)
    return plain._replace(period_ns=np.full(links, period_ns), occasions_ns=np.tile(occasions_ns, (links, 1)))


def one_transfer(constants: Constants, size_bytes: int, depart_ns: float, compute_ns: int) -> np.ndarray:
    """The times of a transfer."""
    asked = Exchanges(
        np.array([0, 1]),
        np.array([depart_ns]),
        np.array([depart_ns + 1e12]),
        np.array([[0, size_bytes, compute_ns, size_bytes]]),
        np.zeros((1, 2), dtype=bool),
        np.array([np.nan]),
        ALL,
    )
    times = np.empty((1, 3))
    channel = still(2)
    carry(channel, constants, at_begin(channel), None, asked, np.empty(1), times, np.empty(1, np.int64))
    return times[0]


def through_uplink_slots(size_bytes: int, ready_ns: float, period_ns: float, end_ns: float) -> float:
    """One slot in a period, whose content is known `end_ns` into it: what is ready when one is takes the next ones."""
    left = 8 * size_bytes
    for period in count(math.ceil((ready_ns - end_ns) / period_ns) + 1):
        left -= BIT_PER_NS * period_ns
        if left <= 0:
            return period * period_ns + end_ns
    raise AssertionError


@settings(deadline=None)
@given(st.integers(1, 200_000), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 8_000_000))
def test_answers_end_with_the_slot_that_takes_their_last_byte(size_bytes, depart_ns, compute_ns, floor_ns):
    """DDDSU at 30 kHz: one uplink slot in 2.5 ms, from 2 ms on, and 10 symbols until what it carried is known."""
    period_ns, end_ns = 2.5e6, 357_142.0
    bits = 8 * size_bytes / (BIT_PER_NS * period_ns)
    assume(abs(bits - round(bits)) > 0.01)  # what ends just with a slot may be said to end with the next
    constants = framed(float(floor_ns), period_ns, [end_ns])
    down_ns, computed_ns, up_ns = one_transfer(constants, size_bytes, float(depart_ns), compute_ns)
    for ready_ns, came_ns in ((depart_ns + floor_ns, down_ns), (computed_ns + floor_ns, up_ns)):
        phase = (ready_ns - end_ns) % period_ns
        assume(min(phase, period_ns - phase) > 2 * APART_NS)
        assert came_ns == pytest.approx(through_uplink_slots(size_bytes, ready_ns, period_ns, end_ns), abs=1)
    assert computed_ns == down_ns + compute_ns


@settings(deadline=None)
@given(PATTERNS, st.integers(1, 100_000), st.integers(10**7, 2 * 10**7))
def test_what_flows_through_several_slots_of_a_pattern_ends_with_one(pattern, size_bytes, depart_ns):
    """From the first end of a slot on, at the mean rate, and to the first end after the last bit."""
    slot_ns, decoding_ns = 5e5, 357_142.0
    ends = slot_ends(pattern, "D", slot_ns, decoding_ns, 0.1e9)
    period_ns = len(pattern) * slot_ns
    occasions = sorted((end % period_ns) for end in ends[: pattern.count("D")])
    begin_ns = next(end for end in ends if end >= depart_ns - APART_NS)
    last_ns = max(begin_ns, depart_ns) + 8 * size_bytes / BIT_PER_NS
    assume(min(abs(last_ns - APART_NS - end) for end in ends) > 10)
    came_ns = one_transfer(framed(0.0, period_ns, occasions), size_bytes, float(depart_ns), 0)[0]
    assert came_ns == pytest.approx(max(next(end for end in ends if end >= last_ns - APART_NS), last_ns), abs=1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50_000), st.integers(0, 10**8)), min_size=1, max_size=6))
def test_messages_of_one_link_go_through_slots_one_behind_the_other(sent):
    period_ns, end_ns = 2.5e6, 321_464.0
    sizes, begins = np.array(sent).T
    messages = messages_of(
        np.arange(len(sent)),
        np.zeros(len(sent)),
        sizes,
        begins,
        np.full(len(sent), 10**12),
        np.zeros(len(sent), dtype=bool),
    )
    channel, constants = still(2), framed(0.0, period_ns, [end_ns])
    convey(channel, constants, at_begin(channel), messages, np.inf, False)
    free_ns = 0.0
    for size_bytes, begin_ns, came_ns in zip(sizes[messages.number], messages.begin_ns, messages.end_ns, strict=True):
        asks_ns = math.ceil((begin_ns - APART_NS - end_ns) / period_ns) * period_ns + end_ns
        last_ns = max(asks_ns, begin_ns, free_ns) + 8 * size_bytes / BIT_PER_NS
        assert came_ns - last_ns < period_ns
        assert came_ns >= last_ns - 1
        assert (came_ns - end_ns) % period_ns == pytest.approx(0, abs=APART_NS + 1) or came_ns == pytest.approx(last_ns)
        free_ns = last_ns


def recorded(constants: Constants, seed: int = 3) -> tuple[Record, Observed]:
    """Layers of decode and a few of prefill at four devices that share nothing, as they come out with constants."""
    draw = np.random.default_rng(seed)
    rows, first = [], [0]
    for number in range(120):
        for device in draw.choice(4, 2, replace=False):
            size = 8192 * (int(draw.integers(5, 30)) if number % 6 == 0 else 1)
            rows.append((device, size, int(draw.integers(500_000, 4_000_000)), size))
        first.append(len(rows))
    depart_ns = np.cumsum(draw.uniform(0.1e9, 0.2e9, 120))
    asked = Exchanges(
        np.array(first),
        depart_ns,
        depart_ns + 5e9,
        np.array(rows, np.int64),
        np.zeros((len(rows), 2), dtype=bool),
        np.full(len(rows), np.nan),
        ALL,
    )
    channel = still(8)._replace(capacity_bps=np.full(8, 100e6), pool=np.arange(8) % 2, pools=2)
    came = predict(channel, constants, Observed(asked, np.empty(0), np.empty(0)))
    return Record(channel, np.full(8, 20.0)), Observed(asked, came.end_ns, came.times)


def test_a_record_in_slots_is_met_to_the_slot():
    """Devices differ by whole slots, as where for some of them the last bytes just don't fit."""
    truth = framed(5e6, 2.5e6, [321_464.0], 8)
    truth = truth._replace(floor_ns=np.repeat([5e6, 5e6, 7.5e6, 5e6], 2) + 0.4e6)
    part = recorded(truth)
    found = fit_constants([part])
    assert (found.period_ns == 2.5e6).all()
    came = predict(part[0].channel, found, part[1])
    assert np.mean(np.abs(came.end_ns - part[1].end_ns) < APART_NS) > 0.9
    fluid = fit_constants([part], with_overhead=False)
    assert not fluid.period_ns.any()
    came = predict(part[0].channel, fluid, part[1])
    assert np.mean(np.abs(came.end_ns - part[1].end_ns) < APART_NS) < 0.5


def test_slots_are_left_out_where_which_one_it_is_is_chance():
    """Latencies of some 20 ms, down and up, end with any of several slots of 1 ms: few are met."""
    record, seen = recorded(framed(5e6, 1e6, [321_464.0], 8))
    later_ns = 1e6 * np.random.default_rng(4).integers(0, 5, (len(seen.times), 2)).cumsum(axis=1)
    times = seen.times + later_ns[:, [0, 0, 1]]
    ends_ns = np.maximum.reduceat(times[:, 2], seen.asked.first[:-1])
    assert find(times[:, 2]) is not None
    assert not fit_constants([(record, Observed(seen.asked, ends_ns, times))]).period_ns.any()


def test_no_frame_where_none_is():
    plain = undisturbed(np.full(8, 3e6), np.full(8, 0.9), np.zeros(8))
    record = recorded(plain)
    assert with_frames([record], plain, np.zeros(4, np.int64)) is plain
