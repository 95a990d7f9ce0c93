# SPDX-License-Identifier: GPL-2.0-only
"""What NR's gNB knows of a device's buffer, and when a device asks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import nr_mac


def test_a_status_report_says_at_least_what_waits_and_little_more(ns3):
    sizes = [*range(300), *(int(1.1**power) for power in range(60, 190))]
    found = ns3(nr_mac.status, sizes)
    assert found[0] == 0
    assert found == sorted(found)
    assert all(size <= told <= max(1.065 * size + 1, 10) for size, told in zip(sizes[1:], found[1:], strict=True))
    assert len(set(found)) <= 256  # values that eight bits have


STEPS = st.lists(
    st.tuples(st.sampled_from(["LearnStatus", "LearnRequest", "Grant"]), st.integers(0, 10_000), st.integers(0, 60)),
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_what_the_gnb_believes_is_the_latest_report_less_later_grants(ns3, steps):
    slot, ordered = 0, []
    for method, count, gap in steps:
        slot += gap if method == "Grant" else 0
        ordered.append((method, count, slot if method == "Grant" else slot - gap))  # reports are of earlier slots
    reported, since, grants, wanted = 0, -1, [], []
    for method, count, at in ordered:
        if method == "Grant":
            grants.append((at, count))
        elif method == "LearnRequest":
            reported, since = count, at + 1
            grants = [grant for grant in grants if grant[0] > at]
        elif at >= since:
            reported, since = count, at
            grants = [grant for grant in grants if grant[0] > at]
        wanted.append(max(reported - sum(granted for _, granted in grants), 0))
    assert ns3(nr_mac.wanted, ordered) == wanted


def test_a_device_asks_once_and_again_when_its_status_was_of_no_avail(ns3):
    timer_ns = 1000
    steps = [
        ("Request", (0, 0, timer_ns), False, False),  # nothing waits
        ("Request", (500, 10, timer_ns), True, True),
        ("Request", (500, 20, timer_ns), False, True),  # it has asked
        ("AddGrant", (), None, True),
        ("UseGrant", (), None, True),
        ("TellStatus", (300,), None, False),
        ("Send", (100,), None, False),
        ("Request", (300, 1099, timer_ns), False, False),  # the gNB knows
        ("Request", (300, 1100, timer_ns), True, True),  # retxBSR-Timer has run out
        ("TellStatus", (0,), None, False),
        ("Send", (1200,), None, False),
        ("AddGrant", (), None, False),
        ("Request", (50, 1201, timer_ns), False, False),  # a grant will do
        ("UseGrant", (), None, False),
        ("Request", (50, 1202, timer_ns), True, True),  # new data behind an empty status
    ]
    found = ns3(nr_mac.requests, [(method, given) for method, given, _, _ in steps])
    assert found == [(returned, is_open) for _, _, returned, is_open in steps]
