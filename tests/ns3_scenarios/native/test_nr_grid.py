# SPDX-License-Identifier: GPL-2.0-only
"""How NR's PRBs are divided: groups and parts of them, configured grants, and who gets how many."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import nr_mac

PRBS = st.sampled_from([11, 24, 51, 106, 133, 162, 217, 264, 273])
GROUP = {36: 2, 72: 4, 144: 8, 275: 16}  # TS 38.214 table 5.1.2.2.1-1, configuration 1


@settings(deadline=None, max_examples=60)
@given(prbs=PRBS, data=st.data())
def test_nobody_gets_a_prb_that_another_has_or_that_is_blocked(ns3, prbs, data):
    blocked = data.draw(st.lists(st.booleans(), min_size=prbs, max_size=prbs))
    if data.draw(st.booleans()):
        blocked = [prb < prbs // 3 for prb in range(prbs)]
    wishes = data.draw(st.lists(st.integers(1, prbs), max_size=30))
    size, found = ns3(nr_mac.taken, prbs, blocked, wishes)
    assert size == next(group for most, group in GROUP.items() if prbs <= most)
    every = [prb for got in found for prb in got]
    assert len(set(every)) == len(every)
    assert not any(blocked[prb] for prb in every)
    for wish, got in zip(wishes, found, strict=True):
        assert len(got) in ((0, wish) if wish < size else (0, *range(wish, wish + size)))


@settings(deadline=None, max_examples=60)
@given(prbs=PRBS, each=st.integers(1, 40), data=st.data())
def test_only_the_configured_prbs_of_devices_with_another_grant_are_free(ns3, prbs, each, data):
    most = (prbs - 1) // each
    granted = data.draw(st.lists(st.booleans(), min_size=min(1, most), max_size=most))
    free, own, least = ns3(nr_mac.configured, prbs, each, granted)
    held = {prb for prbs_of, is_granted in zip(own, granted, strict=True) if not is_granted for prb in prbs_of}
    assert free == [prb for prb in range(prbs) if prb not in held]
    assert all(len(prbs_of) == each for prbs_of in own)
    assert len({prb for prbs_of in own for prb in prbs_of}) == each * len(granted)
    assert least == [1] * len(granted)


@settings(deadline=None, max_examples=40)
@given(prbs=PRBS, count=st.integers(1, 40), slots=st.integers(1, 60))
def test_in_turn_equal_devices_have_had_equally_many_prbs_up_to_a_group(ns3, prbs, count, slots):
    """Whatever the last group is short of: 273 PRBs are 17 groups of 16 and one PRB."""
    found = ns3(nr_mac.turns, prbs, "rr", [(1e9, prbs)] * count, slots)
    assert all(sum(slot) == prbs for slot in found)
    had = [sum(each) for each in zip(*found, strict=True)]
    assert max(had) - min(had) <= max(size for size in GROUP.values() if size <= 16)


@pytest.mark.parametrize("kind", ["rr", "pf"])
def test_in_turn_what_one_does_not_need_goes_to_the_others_and_nobody_saves_up(ns3, kind):
    """A device that needs 5 PRBs' worth and one whose power reaches one PRB get what they can use, in every slot."""
    five = 5 * 2.0 * nr_mac.ELEMENTS
    found = ns3(nr_mac.turns, 273, kind, [(1e9, 273), (five, 273), (1e9, 1), (1e9, 3)], 50)
    assert all(slot[1:] == [16, 1, 3] for slot in found[5:])
    assert all(slot[0] >= 273 - 16 - 16 - 1 for slot in found[5:])


WAITING = st.tuples(*[st.one_of(st.just(0), st.integers(1, 10_000))] * 2)


@settings(deadline=None, max_examples=100)
@given(
    kind=st.sampled_from(["rr", "pf"]),
    bits=st.floats(0.05, 7.4),
    slots=st.integers(1, 9).flatmap(
        lambda count: st.lists(st.lists(WAITING, min_size=count, max_size=count), min_size=1, max_size=6)
    ),
)
def test_what_goes_behind_gets_what_is_left_by_what_goes_first(ns3, kind, bits, slots):
    """Whoever they are: while anybody lacks PRBs for the first logical channel group nobody has any for the second, but
    the rest of its last group of 16; and while anybody lacks any, none is left. By the block's own bits, of which an
    element bears more or less than the 2.0 that devices are compared by."""
    found = ns3(nr_mac.shared, 273, kind, [[(waiting, 273) for waiting in slot] for slot in slots], bits=bits)

    def block(prbs: int) -> int:
        return int(bits * nr_mac.ELEMENTS * prbs)

    for waiting, prbs in zip(slots, found, strict=True):
        first = [8 * bytes_ for bytes_, _ in waiting]
        both = [8 * (before + behind) for before, behind in waiting]
        if any(block(each) < wanted for each, wanted in zip(prbs, first, strict=True)):
            assert all(each == 0 or block(each - 16) < wanted for each, wanted in zip(prbs, first, strict=True))
            assert all(each == 0 for each, wanted in zip(prbs, first, strict=True) if wanted == 0)
        if any(block(each) < wanted for each, wanted in zip(prbs, both, strict=True)):
            assert sum(prbs) == 273
        assert all(each == 0 or block(each - 16) < wanted for each, wanted in zip(prbs, both, strict=True))


@pytest.mark.parametrize("kind", ["rr", "pf"])
def test_many_whose_power_reaches_one_prb_share_a_group(ns3, kind):
    found = ns3(nr_mac.turns, 273, kind, [(1e9, 1)] * 256, 3)
    assert all(slot == [1] * 256 for slot in found)


@pytest.mark.parametrize("kind", ["rr", "pf"])
@pytest.mark.parametrize("room", [(13, 10_000), (10_000, 13)])
def test_no_more_devices_are_granted_than_there_is_control_and_are_answers_for_and_all_in_time(ns3, kind, room):
    found = ns3(nr_mac.turns, 273, kind, [(1e9, 3)] * 40, 40, *room)  # two each: six devices in a slot
    assert all(sum(prbs > 0 for prbs in slot) == 6 for slot in found)
    had = [sum(each) for each in zip(*found, strict=True)]
    assert max(had) - min(had) <= 3


@pytest.mark.parametrize(
    ("prbs", "symbols", "elements"), [(273, 2, 90), (273, 1, 45), (106, 2, 34), (51, 3, 24), (24, 2, 8), (11, 2, 2)]
)
def test_the_pdcch_has_as_many_elements_as_its_coreset(ns3, prbs, symbols, elements):
    """Six PRBs at a time, and six resource element groups an element: TS 38.213 clause 10.1, TS 38.211 clause 7.3.2."""
    found, reports, levels = ns3(nr_mac.control, prbs, symbols, 10, [-20.0, -8.0, -3.0, 2.0, 8.0, 30.0])
    assert found == elements == prbs // 6 * 6 * symbols // 6
    assert levels == sorted(levels, reverse=True)
    assert set(levels) <= {1, 2, 4, 8, 16}
    assert levels[0] == max(level for level in (1, 2, 4, 8, 16) if level <= elements)
    assert levels[-1] == 1
    assert reports >= 1


def test_the_pucch_takes_fewer_reports_the_longer_they_are(ns3):
    """25 bits and 11 of CRC at rate 0.35 in QPSK on 8 elements of each PRB take 7 of them."""
    assert ns3(nr_mac.control, 273, 1, 10, [])[1] == 273 // 7
    assert ns3(nr_mac.control, 273, 2, 10, [])[1] == 2 * 273 // 7
    assert ns3(nr_mac.control, 273, 1, 18, [])[1] < 273 // 7


def test_the_pucch_takes_so_many_harq_answers(ns3):
    """24 PRBs have 288 cyclic shifts. One bit takes 2 and two 4 of them; then PRBs of 12, each of 5.6 bits: 8 elements
    of QPSK at rate 0.35. From 12 bits on, 6 of CRC come on top."""
    found = ns3(nr_mac.answers, 24, 1, [(5, 0)] * 12)
    total = [2, 4, 12, 12, 12, 24, 24, 24, 24, 24, 24, 48]
    assert [288 - free for _, free in found] == total
    assert [cost for cost, _ in found] == [after - before for before, after in itertools.pairwise([0, *total])]


@pytest.mark.parametrize("symbols", [1, 2])
def test_each_slot_and_each_device_have_their_own_answers(ns3, symbols):
    found = ns3(nr_mac.answers, 11, symbols, [(5, 0), (5, 1), (8, 0), (5, 1), (8, 0), (8, 2)])
    room = 12 * 11 * symbols
    assert found == [(2, room - 2), (2, room - 4), (2, room - 2), (2, room - 6), (2, room - 4), (2, room - 6)]
