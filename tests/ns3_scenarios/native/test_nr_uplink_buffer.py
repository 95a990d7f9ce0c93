# SPDX-License-Identifier: GPL-2.0-only
"""What NR's gNB knows of a device's buffer, and when a device asks."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import nr_mac


def test_a_status_report_says_at_least_what_waits_and_little_more(ns3):
    sizes = [*range(300), *(int(1.1**power) for power in range(60, 190))]
    found = ns3(nr_mac.status, sizes)
    assert found[0] == 0
    assert found == sorted(found)
    assert all(size <= told <= max(1.065 * size + 1, 10) for size, told in zip(sizes[1:], found[1:], strict=True))
    assert len(set(found)) <= 256  # values that eight bits have


BYTES = st.integers(0, 10_000)
STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("LearnStatus"), st.tuples(BYTES, BYTES)),
            st.tuples(st.sampled_from(["LearnRequest", "Grant"]), BYTES),
        ),
        st.one_of(st.integers(0, 2), st.integers(0, 60)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(STEPS)
@example([(("Grant", 5), 0), (("Grant", 8), 0), (("LearnStatus", (100, 0)), 0)])  # for slots 5 and 0, told in 0
def test_what_the_gnb_believes_is_the_latest_report_less_later_grants(ns3, steps):
    """A device uses grants for the group that goes first, and asks if something of it may have come."""
    slot, ordered = 0, []
    for (method, count), gap in steps:
        slot += gap if method == "Grant" else 0
        # Grants of two carriers are for slots in any order; reports are of earlier slots.
        ordered.append((method, count, slot + count % 8 if method == "Grant" else slot - gap))
    reported, since, grants, wanted = (0, 0), -1, [], []
    for method, count, at in ordered:
        if method == "Grant":
            grants.append((at, count))
        elif method == "LearnRequest":
            reported, since = (count, reported[1]), at + 1
            grants = [grant for grant in grants if grant[0] > at]
        elif at >= since:
            reported, since = count, at
            grants = [grant for grant in grants if grant[0] > at]
        granted = sum(bytes_ for _, bytes_ in grants)
        wanted.append((max(reported[0] - granted, 0), min(reported[1], max(sum(reported) - granted, 0))))
    assert ns3(nr_mac.wanted, ordered) == wanted


def test_a_device_asks_once_and_again_when_its_status_was_of_no_avail(ns3):
    timer_ns = 1000
    steps = [
        ("Request", ((0, 0), 0, timer_ns), False, False),  # nothing waits
        ("Request", ((500, 0), 10, timer_ns), True, True),
        ("Request", ((500, 0), 20, timer_ns), False, True),  # it has asked
        ("AddGrant", (), None, True),
        ("UseGrant", (), None, True),
        ("TellStatus", ((300, 0),), None, False),
        ("Send", (100,), None, False),
        ("Request", ((300, 0), 1099, timer_ns), False, False),  # the gNB knows
        ("Request", ((300, 0), 1100, timer_ns), True, True),  # retxBSR-Timer has run out
        ("TellStatus", ((0, 0),), None, False),
        ("Send", (1200,), None, False),
        ("AddGrant", (), None, False),
        ("Request", ((50, 0), 1201, timer_ns), False, False),  # a grant will do
        ("UseGrant", (), None, False),
        ("Request", ((50, 0), 1202, timer_ns), True, True),  # new data behind an empty status
    ]
    found = ns3(nr_mac.requests, [(method, given) for method, given, _, _ in steps])
    assert found == [(returned, is_open) for _, _, returned, is_open in steps]


def test_what_goes_before_all_that_waits_is_asked_for_at_once_and_nothing_else_is(ns3):
    """TS 38.321 clause 5.4.5: a regular report, and without a grant a request (clause 5.4.4), for data of higher
    priority than any that waits already."""
    timer_ns = 1000
    steps = [
        ("TellStatus", ((0, 900),), None, False),
        ("Send", (100,), None, False),
        ("Request", ((0, 900), 110, timer_ns), False, False),  # the gNB knows
        ("Request", ((50, 900), 120, timer_ns), True, True),  # of this it does not
        ("TellStatus", ((40, 900),), None, False),
        ("Send", (200,), None, False),
        ("Request", ((90, 2000), 210, timer_ns), False, False),  # more of both
        ("TellStatus", ((40, 0),), None, False),
        ("Send", (300,), None, False),
        ("Request", ((40, 500), 310, timer_ns), False, False),  # what goes behind asks for nothing
        ("TellStatus", ((0, 500),), None, False),
        ("Send", (400,), None, False),
        ("AddGrant", (), None, False),
        ("Request", ((70, 500), 410, timer_ns), False, False),  # a grant will do
        ("UseGrant", (), None, False),
        ("Request", ((70, 500), 420, timer_ns), True, True),
    ]
    found = ns3(nr_mac.requests, [(method, given) for method, given, _, _ in steps])
    assert found == [(returned, is_open) for _, _, returned, is_open in steps]
