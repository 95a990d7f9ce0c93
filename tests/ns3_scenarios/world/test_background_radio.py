# SPDX-License-Identifier: GPL-2.0-only
"""Background traffic on the air: shares of the band, queues that stay bounded, contention, and determinism."""

import math
from itertools import count, pairwise

import pytest

from bridge.network import NS_PER_S, Status, Transfer, Wait
from tests.support.background_flows import MANY, Load, down, down_ns, observe, up, up_ns
from tests.support.leaving import Leaving
from tests.support.ns3_worker import Step, play

MS = 1_000_000
IP_UDP_BYTES = 20 + 8
PAYLOAD_BYTES = 1472
ATTACHED_NS = 600 * MS


# LTE


NEAR = {"path_loss": "friis", "distances_m": [40.0], "other_users_distances_m": [40.0]}
BLOCK_BYTES = 2_000_000
# TS 36.213 table 7.1.7.2.1-1 at I_TBS 26, by resource blocks. 100 of them are 25 groups of 4 (table 7.1.6.1-1), of
# which each of n users has floor(25 / n) under round robin.
BLOCK_BITS = {100: 75376, 48: 35160, 24: 17568}
PF_WINDOW_NS = 99 * MS  # ns-3's default


def full(users: int, direction: str) -> list[Load]:
    return [{"kind": "full-buffer", "users": users, "direction": direction, "begin_s": 0.5}] if users else []


@pytest.mark.parametrize("users", [1, 3])
def test_beside_full_buffers_an_lte_downlink_has_its_share(ns3, users):
    """Proportional fair lets the device, idle until then, catch up at first.

    It has the whole band until its average rate, 1 - exp(-t/W), meets that of the others, exp(-t/W) / n, at
    W ln(1 + 1/n), which saves n times so long.
    """
    step = Step([down(BLOCK_BYTES)], ATTACHED_NS)
    took_ns = {
        (scheduler, n): down_ns(ns3(observe, "lte", full(n, "down"), [step], **NEAR, scheduler=scheduler), 0)
        for scheduler in ("rr", "pf")
        for n in (0, users)
    }
    slower = BLOCK_BITS[100] / BLOCK_BITS[100 // 4 // (users + 1) * 4]
    assert took_ns["rr", users] == pytest.approx(slower * took_ns["rr", 0], rel=0.02)
    saved_ns = users * PF_WINDOW_NS * math.log(1 + 1 / users)
    equal_ns = (users + 1) * took_ns["pf", 0]
    assert equal_ns - saved_ns < took_ns["pf", users] < equal_ns


@pytest.mark.parametrize("users", [1, 3])
@pytest.mark.parametrize("scheduler", ["pf", "rr"])
def test_beside_full_buffers_an_lte_uplink_has_its_share(ns3, users, scheduler):
    """Of what arrives from all meanwhile, which is no more than the table's highest rate."""
    steps = [Step([], ATTACHED_NS), Step([up(BLOCK_BYTES)])]
    seen = ns3(observe, "lte", full(users, "up"), steps, **NEAR, scheduler=scheduler)
    others = sum(after.arrived - before.arrived for before, after in zip(*seen.flows, strict=True))
    assert BLOCK_BYTES / (BLOCK_BYTES + others) == pytest.approx(1 / (users + 1), rel=0.05)
    rate_bps = 8 * (BLOCK_BYTES + others) * NS_PER_S / (seen.played.outcomes[1].now_ns - seen.played.departed_ns[1])
    assert 60e6 < rate_bps < BLOCK_BITS[100] * 1000


@pytest.mark.parametrize("profile", ["20mhz", "100mhz-2x2"])
@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_device_overloaded_by_itself_holds_a_bounded_queue_and_recovers(ns3, profile, direction):
    """1 Gbit/s is beyond any profile. Cancelled transfers take their own bytes out of the queue, none of the load's."""
    limit_bytes = 600_000
    load = {"kind": "on-off", "rate_bps": 1e9, "mean_off_s": 0, "device": 0, "direction": direction}
    load |= {"outstanding_bytes": limit_bytes, "begin_s": 0.5, "end_s": 1.2}
    both = Transfer(0, 200_000, 0, 200_000)
    steps = [Step([both], 500 * MS), *[Step([both], 50 * MS, 12 * MS)] * 4, Step([both], 50 * MS)]
    steps += [Step([], NS_PER_S), Step([both])]
    seen = ns3(observe, "lte", [load], steps, **NEAR, profile=profile)
    fresh = ns3(observe, "lte", [], [Step([], 2 * NS_PER_S), Step([both])], **NEAR, profile=profile)
    statuses = [came.status for outcome in seen.played.outcomes for came in outcome.transfers]
    assert statuses == [Status.DONE, *[Status.LATE] * 4, Status.DONE, Status.DONE]
    most_bytes = limit_bytes * (PAYLOAD_BYTES + IP_UDP_BYTES + 2) / PAYLOAD_BYTES + 1500  # PDCP; the rest of one SDU
    queues = [outcome.links[0].rlc_queue_bytes for outcome in seen.played.outcomes]
    assert max(queues) <= most_bytes
    if direction == "down":
        assert min(queues[:5]) > 0.4 * limit_bytes
    (flow,) = seen.flows[-1]
    assert flow.offered == pytest.approx(0.7e9 / 8, rel=1e-3)
    assert flow.dropped > 0
    assert flow.arrived == flow.offered - flow.dropped
    for took in (down_ns, up_ns):
        assert took(seen, -1) == pytest.approx(took(fresh, -1), abs=12 * MS)


@pytest.mark.parametrize("away_s", [0.9, 3.0])
def test_a_load_that_is_stuck_grows_no_queue_and_goes_on_later(ns3, away_s):
    """Out of coverage, RLC keeps what was outstanding and a packet of each attempt.

    In 3 s ns-3 has taken the connection down, and the queue with it. The first attempt comes after 10 ms and each
    further one after 5/4 of the time before.
    """
    load = {"kind": "full-buffer", "device": 0, "outstanding_bytes": 100_000, "begin_s": 0.5}
    parameters = {"distances_m": [40.0, 50.0], "leaves_s": 1.0, "returns_s": 1.0 + away_s}
    moments_s = [0, 0.9, 0.95 + away_s, 1.2 + 1.25 * away_s, 1.7 + 1.25 * away_s]  # from when the network is ready
    steps = [Step([], round((b - a) * NS_PER_S), 0) for a, b in pairwise(moments_s)]
    seen = ns3(observe, Leaving.name, [load], steps, **parameters)
    _, (left,), (resumed,), (later,) = seen.flows
    attempts = next(n for n in count() if 0.01 * (1.25**n - 1) / 0.25 > away_s)
    packet_bytes = PAYLOAD_BYTES + IP_UDP_BYTES + 2
    queue_bytes = seen.played.outcomes[1].links[0].rlc_queue_bytes
    waiting_bytes = left.offered - left.arrived
    assert waiting_bytes <= 100_000 + attempts * PAYLOAD_BYTES
    if away_s > 2:
        assert queue_bytes is None
    else:
        assert 0 < queue_bytes <= waiting_bytes / PAYLOAD_BYTES * packet_bytes
    assert later.arrived - resumed.arrived == pytest.approx(0.5 * 73e6 / 8, rel=0.05)


def test_a_user_out_of_coverage_is_no_burden_but_its_share_of_nothing(ns3):
    """Its downlink is never scheduled; nothing waits for it, and nothing aborts."""
    users = {**NEAR, "other_users_distances_m": [1e6]}
    load = {"kind": "full-buffer"}
    step = Step([Transfer(0, 200_000, 0, 200_000)], ATTACHED_NS)
    alone, beside = (ns3(observe, "lte", background, [step], **users) for background in ([], [load]))
    assert down_ns(beside, 0) == pytest.approx(down_ns(alone, 0), abs=2 * MS)
    assert beside.flows[0][0].arrived == 0


# Wi-Fi


@pytest.mark.parametrize("users", [1, 3])
def test_stations_that_always_send_have_equal_chances_at_the_air(ns3, users):
    """EDCA gives each the same share; collisions, which one alone does not have, cost a third at the most."""
    parameters = {"transport": "udp", "distances_m": [3.0], "other_users_distances_m": [3.0]}
    step = Step([up(4_000_000)], ATTACHED_NS)
    alone_ns, beside_ns = (up_ns(ns3(observe, "wifi", full(n, "up"), [step], **parameters), 0) for n in (0, users))
    assert (users + 1) * 0.95 < beside_ns / alone_ns < (users + 1) * 4 / 3


@pytest.mark.parametrize("users", [1, 3])
def test_the_access_point_serves_in_order_of_arrival(ns3, users):
    """What each user has waiting, 1 MB, is before the block, and what comes in after it is behind it."""
    parameters = {"transport": "udp", "distances_m": [3.0], "other_users_distances_m": [3.0]}
    step = Step([down(4_000_000)], ATTACHED_NS)
    alone_ns, beside_ns = (down_ns(ns3(observe, "wifi", full(n, "down"), [step], **parameters), 0) for n in (0, users))
    assert beside_ns / alone_ns == pytest.approx((4 + users) / 4, rel=0.05)


# Determinism


RICH = {"fading": "umi", "shadowing_sigma_db": None, "distances_m": [30.0, 50.0, 90.0]}
CASES = [
    ("lte", RICH),
    ("lte", {"devices": 3, "profile": "100mhz-2x2", "transport": "tcp"}),
    ("wifi", {"devices": 3}),
    ("wired", {"devices": 3, "kind": "csma", "rate_bps": 10**8}),
]


def ordinary(devices: int) -> list[Step]:
    asked = [Transfer(i, 20_000 + i, i * MS, 9_000) for i in range(devices)]
    return [Step(asked, 3_333_333), Step(asked, 0, 3 * MS), Step(asked, 10 * MS, NS_PER_S, Wait.ANY)]


@pytest.mark.parametrize(("scenario", "parameters"), CASES)
def test_the_same_seed_gives_the_same_to_the_nanosecond(ns3, another, scenario, parameters):
    first, again = (ns3(observe, scenario, MANY, ordinary(3), 5, **parameters) for _ in range(2))
    elsewhere = another(observe, scenario, MANY, ordinary(3), 5, **parameters)
    assert first == again == elsewhere
    assert first.flows != ns3(observe, scenario, MANY, ordinary(3), 6, **parameters).flows


@pytest.mark.parametrize(("scenario", "parameters"), CASES)
def test_a_load_that_never_begins_leaves_all_draws_as_they_are(ns3, scenario, parameters):
    load = {"kind": "on-off", "device": 0, "rate_bps": 1e6, "begin_s": 1000}
    with_load = ns3(observe, scenario, [load], ordinary(3), 5, **parameters).played
    without = ns3(play, ordinary(3), parameters, scenario, 5)
    assert (with_load.outcomes, with_load.departed_ns) == (without.outcomes, without.departed_ns)
