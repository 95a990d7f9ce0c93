# SPDX-License-Identifier: GPL-2.0-only
"""Devices of an NR cell that lose their connections when they are idle: paging, random access and set-up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import CHANNEL_FIELDS, CHANNEL_ROW, NS_PER_S, RequestError, Status, Transfer, Wait
from ns3_scenarios.scenarios.nr import Nr
from tests.support.nr_access import Air
from tests.support.nr_connections import Connected, connected
from tests.support.ns3_worker import Call, Step, play

MS = 1_000_000
DISTANCE_M = 50.0
STEADY = {"path_loss": "friis", "distances_m": [DISTANCE_M]}
SOON = {"inactivity_s": 0.1, "paging_cycle_s": 0.32}
ROUNDING_NS = 3
HOP_NS = 20  # at most, of the cable between edge server and gNB

CARRIERS = [(0, "FDD", 20), (1, "DDDSU", 100), (1, "DDDDDDDSUU", 40), (2, "DSUUD", 100), (0, "DDSU", 20)]
CONNECTIONS = [
    {},
    {"release_to": "inactive", "preamble_period_s": 0.02, "preamble_offset_slots": 7},
    {"core_s": 0.0, "paging_cycle_s": 0.64},
]
TIMES = [{}, {"gnb_lead_symbols": 28, "gnb_decoding_symbols": 14, "least_k2_slots": 2}]


def pauses(steps: int) -> list[Step]:
    """1 KB down after a pause, and up after as long a computation, at any instant of a slot."""
    return [
        Step([Transfer(0, 1000, 150 * MS + 7_391_733 * i, 1000)], 150 * MS + 11_137_321 * i, 3 * NS_PER_S)
        for i in range(steps)
    ]


def check_latencies(found: Connected, air: Air, identity: int = 0) -> None:
    """Each packet wakes the device, and comes when steps and slots say."""
    for outcome in found.played.outcomes:
        (came,) = outcome.transfers
        assert came.status == Status.DONE
        paged = {air.paged_preamble(came.downlink_begin_ns + late_ns, identity) for late_ns in (0, HOP_NS)}
        down_ns = [air.downlink_end(preamble) for preamble in sorted(paged)]
        assert down_ns[0] - ROUNDING_NS <= came.downlink_end_ns <= down_ns[-1] + ROUNDING_NS
        up_ns = air.uplink_end(air.preamble(came.compute_end_ns))
        assert up_ns - ROUNDING_NS <= came.uplink_end_ns <= up_ns + HOP_NS
    assert len(found.times("released")) == len(found.times("connected")) == 2 * len(found.played.outcomes)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize(("numerology", "pattern", "bandwidth_mhz"), CARRIERS)
def test_a_packet_after_a_pause_takes_what_its_steps_take(
    ns3: Call, numerology, pattern, bandwidth_mhz, connection, times
):
    connection = SOON | connection
    carrier = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz}
    found = ns3(connected, pauses(4), STEADY | carrier | times | {"connection": connection})
    check_latencies(found, Air(numerology, pattern, DISTANCE_M, connection, **times))


@settings(max_examples=20, deadline=None)
@given(
    gaps_ns=st.lists(st.integers(120 * MS, 900 * MS), min_size=1, max_size=3),
    compute_ns=st.integers(120 * MS, 400 * MS),
    carrier=st.sampled_from(CARRIERS),
    connection=st.sampled_from(CONNECTIONS),
)
def test_so_it_does_at_any_instant(ns3, gaps_ns, compute_ns, carrier, connection):
    numerology, pattern, bandwidth_mhz = carrier
    connection = SOON | connection
    steps = [Step([Transfer(0, 1000, compute_ns, 1000)], gap_ns, 3 * NS_PER_S) for gap_ns in gaps_ns]
    slots = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz}
    found = ns3(connected, steps, STEADY | slots | {"connection": connection})
    check_latencies(found, Air(numerology, pattern, DISTANCE_M, connection))


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize(("release_to", "took_ms"), [("inactive", 26), ("idle", 73)])
def test_the_page_has_what_its_steps_take(release_to, took_ms, times):
    air = Air(1, "DDDSU", DISTANCE_M, {"release_to": release_to}, **times)
    preamble = air.preamble(0)
    assert round((air.uplink_end(preamble) - preamble * air.slot_ns) / MS) == took_ms


def test_each_device_is_paged_in_its_own_frame(ns3):
    """TS 38.304 clause 7.1 with N = T and Ns = 1; identities are 397 apart, modulo 1024."""
    steps = [Step([Transfer(i, 1000, 0, 1) for i in range(8)], 401 * MS + 33_217_321 * k) for k in range(4)]
    connection = SOON | {"release_to": "inactive"}
    found = ns3(connected, steps, {"path_loss": "friis", "distances_m": [50.0] * 8, "connection": connection})
    air = Air(1, "DDDSU", DISTANCE_M, connection)
    for device in range(8):
        begins_ns = [outcome.transfers[device].downlink_begin_ns for outcome in found.played.outcomes]
        pages_ns = [air.page(begin_ns, 397 * device % 1024) * air.slot_ns for begin_ns in begins_ns]
        assert found.times("paged", device) == pages_ns
    frames = {time_ns // (10 * MS) % 32 for device in range(8) for time_ns in found.times("paged", device)}
    assert len(frames) == 8


def test_all_who_wake_at_once_are_served_in_the_end(ns3):
    """24 devices and two preambles: most collide, again and again, and nothing is lost."""
    crowd = {"path_loss": "friis", "distances_m": [50.0] * 24, "connection": SOON | {"preambles": 2}}
    steps = [Step([Transfer(i, 1000, 400 * MS, 1000) for i in range(24)], 0, 60 * NS_PER_S)]
    found = ns3(connected, steps, crowd)
    (outcome,) = found.played.outcomes
    assert {came.status for came in outcome.transfers} == {Status.DONE}
    kinds = [event.kind for event in found.events]
    assert kinds.count("collided") > 24
    assert kinds.count("connected") == 24
    assert kinds.count("preamble") == kinds.count("collided") + kinds.count("connected")


def test_a_busy_device_stays_connected(ns3):
    """It is released so long after its last block, to the slot of that one, and not before."""
    steps = [Step([Transfer(0, 1000, 0, 1000)], 60 * MS, NS_PER_S) for _ in range(5)]
    found = ns3(connected, [*steps, Step([], 0, 300 * MS, Wait.DEADLINE)], STEADY | {"connection": SOON})
    (released_ns,) = found.times("released")
    last_ns = found.played.outcomes[4].transfers[0].uplink_end_ns
    assert 0 < last_ns + 100 * MS - released_ns < MS  # the end of the block, and its beginning
    assert not found.times("preamble")


def test_a_connection_that_outlasts_the_run_changes_nothing(ns3):
    steps = pauses(3)
    always, long = (
        ns3(play, steps, STEADY | {"connection": each}, "nr") for each in ("always", {"inactivity_s": 99.0})
    )
    assert always.outcomes == long.outcomes == ns3(play, steps, STEADY, "nr").outcomes


def test_the_same_seed_gives_the_same_again_and_another_one_other_preambles(ns3):
    crowd = {"path_loss": "friis", "distances_m": [50.0] * 6, "connection": SOON | {"preambles": 3}}
    steps = [Step([Transfer(i, 1000, 300 * MS, 1000) for i in range(6)])]
    first, again, other = (ns3(connected, steps, crowd, "nr", seed) for seed in (1, 1, 2))
    assert first == again
    assert first.events != other.events


def test_what_a_deadline_cancels_leaves_the_next_exchange_alone(ns3):
    """While it is paged, or in random access: its data go, the connection comes or is given up."""
    air = Air(1, "DDDSU", DISTANCE_M, SOON)
    page_ns = round(air.page(300 * MS, 0) * air.slot_ns)
    before, within = page_ns - 300 * MS - 2 * MS, page_ns - 300 * MS + 30 * MS
    for limit_ns, kinds in ((before, ["given up"]), (within, ["paged", "preamble", "connected"])):
        steps = [
            Step([Transfer(0, 1000, 0, 1000)], 300 * MS, limit_ns),
            Step([Transfer(0, 2000, 0, 2000)], 700 * MS, 2 * NS_PER_S),
        ]
        found = ns3(connected, steps, STEADY | {"connection": SOON})
        late, done = (outcome.transfers[0] for outcome in found.played.outcomes)
        assert late.status == Status.LATE
        assert done.status == Status.DONE
        until_ns = found.played.departed_ns[1]
        assert [event.kind for event in found.events if event.time_ns < until_ns and event.kind != "released"] == kinds
        assert found.counts[0][False].dropped == 0
        assert found.counts[0][False].blocks == 1  # of the first nothing was sent


@pytest.mark.parametrize(
    ("gap_ms", "begin_ms", "kind", "least"),
    [(260, 250, "paged", 2), (10, 200, "unheard", 2), (260, 321, "connected", 1)],
)
def test_a_device_that_is_out_of_range_gets_its_data_when_it_is_back(ns3, gap_ms, begin_ms, kind, least):
    """It does not hear its pages, or is not heard, or nothing more than set-up comes through; its data wait."""
    cut = {"kind": "outage", "devices": [0], "intervals_s": [[begin_ms / 1000, 1.0]]}
    steps = [Step([Transfer(0, 1000, 300 * MS, 1000)], gap_ms * MS, 5 * NS_PER_S)]
    found = ns3(connected, steps, STEADY | {"connection": SOON, "life": [cut]})
    (came,) = found.played.outcomes[0].transfers
    assert came.status == Status.DONE
    assert came.uplink_end_ns > NS_PER_S
    assert sum(time_ns < NS_PER_S for time_ns in found.times(kind)) >= least
    assert found.counts[0][False].blocks == found.counts[0][True].blocks == 1


def test_a_device_that_is_away_comes_back_to_its_connection(ns3):
    """It switches off while it is in random access, with what waits for it; the next exchange reaches it."""
    absent = {"kind": "absence", "devices": [0], "intervals_s": [[0.345, 0.9]]}
    steps = [Step([Transfer(0, 1000, 0, 1000)], 260 * MS), Step([Transfer(0, 1000, 0, 1000)], NS_PER_S)]
    found = ns3(connected, steps, STEADY | {"connection": SOON, "life": [absent]})
    assert [outcome.transfers[0].status for outcome in found.played.outcomes] == [Status.UNREACHABLE, Status.DONE]


def test_nothing_is_reported_of_a_device_that_is_released(ns3):
    """Its link stays as it was; with the connection reports begin anew."""
    fading = {"distances_m": [50.0, 50.0], "fading": True, "connection": {"inactivity_s": 0.3, "paging_cycle_s": 0.32}}
    ping = [Transfer(1, 100, 0, 100)]  # keeps the other one connected
    found = ns3(play, [Step(ping, 50 * MS) for _ in range(20)], fading, "nr")
    sleeping, awake = ([outcome.links[i].downlink_sinr_db for outcome in found.outcomes[-8:]] for i in range(2))
    assert len(set(sleeping)) == 1
    assert len(set(awake)) > 4
    record = b"".join(outcome.channel for outcome in found.outcomes[-8:])
    names = [name for name, _ in CHANNEL_FIELDS]
    rows = [dict(zip(names, row, strict=True)) for row in CHANNEL_ROW.iter_unpack(record)]
    for device in range(2):  # what the link could carry goes on being recorded
        assert len({row["sinr_db"] for row in rows if (row["device"], row["direction"]) == (device, 0)}) > 4


@pytest.mark.parametrize("release_to", ["idle", "inactive"])
def test_a_released_device_wakes_up_in_the_strongest_cell(ns3, release_to):
    """It drove on, unheard; with the connection it is in the other cell, with what has waited in the first."""
    drive = {
        **{"bandwidth_mhz": 20, "path_loss": "log-distance", "inter_site_distance_m": 300.0},
        **{"positions_m": [[100.0, 0.0, 1.5]], "connection": SOON | {"release_to": release_to}},
        "movement": {"kind": "constant-velocity", "velocities_mps": [[40.0, 23.0, 0.0]]},
    }
    steps = [Step([], 0, 3 * NS_PER_S, Wait.DEADLINE), Step([Transfer(0, 100_000, 0, 1000)], 0, 5 * NS_PER_S)]
    found = ns3(connected, steps, drive, "nr-multicell")
    (came,) = found.played.outcomes[1].transfers
    assert came.status == Status.DONE
    assert [outcome.links[0].cell for outcome in found.played.outcomes] == [1, 2]
    assert [(event.kind, event.cell) for event in found.events] == [
        ("released", 0),
        ("paged", 0),
        ("preamble", 1),
        ("connected", 1),
    ]


@pytest.mark.parametrize(
    "slots", [{"mini_slot_symbols": 7}, {"special_symbols": [6, 2, 6], "special_pusch_symbols": 6}]
)
def test_halves_of_slots_and_data_in_special_ones_lose_nothing(ns3, slots):
    """Connections come by whole uplink slots, or their halves: never later than without, and the same DRX cycles."""
    parameters = STEADY | {"connection": SOON, "drx": {"inactivity_s": 0.02}}
    whole, other = (ns3(connected, pauses(3), parameters | given) for given in ({}, slots))
    for before, after in zip(whole.played.outcomes, other.played.outcomes, strict=True):
        assert after.transfers[0].status == before.transfers[0].status == Status.DONE
    assert other.times("paged") == whole.times("paged")
    assert len(other.times("connected")) == len(whole.times("connected")) == 6


def test_testbed_pays_for_a_pause(ns3):
    """By default it is released after 10 s, to idle, and listens each 1.28 s: as its steps and its times say."""
    times = {"gnb_lead_symbols": 28, "gnb_decoding_symbols": 14, "least_k2_slots": 2}
    steps = [Step([Transfer(0, 1000, 11 * NS_PER_S, 1000)], 11 * NS_PER_S, 30 * NS_PER_S)]
    found = ns3(connected, steps, STEADY | {"timing": "testbed"})
    check_latencies(found, Air(1, "DDDSU", DISTANCE_M, {"paging_cycle_s": 1.28}, **times))


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"connection": "never"}, "connection"),
        ({"connection": {"inactivity_s": 0.0}}, "connection.inactivity_s"),
        ({"connection": {"release_to": "sleep"}}, "connection.release_to"),
        ({"connection": {"paging_cycle_s": 1.0}}, "connection.paging_cycle_s"),
        ({"connection": {"preamble_period_s": 0.015}}, "connection.preamble_period_s"),
        ({"connection": {"preamble_offset_slots": 20}}, "connection.preamble_offset_slots"),
        ({"connection": {"preambles": 65}}, "connection.preambles"),
        ({"connection": {"response_window_s": 0.0001}}, "connection.response_window_s"),
        (
            {"connection": {}, "numerology": 0, "bandwidth_mhz": 20, "pattern": "D" + 19 * "U"},
            "connection.response_window_s",
        ),
        ({"connection": {"contention_resolution_s": 1.0}}, "connection.contention_resolution_s"),
        ({"connection": {"backoff_s": 2.0}}, "connection.backoff_s"),
        ({"connection": {"core_s": -1.0}}, "connection.core_s"),
    ],
)
def test_bad_connections_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        Nr.parse(parameters)
    assert refusal.value.field == f"radio.{field}"
