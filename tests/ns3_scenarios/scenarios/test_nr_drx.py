# SPDX-License-Identifier: GPL-2.0-only
"""Devices of an NR cell that listen by turns: what waits for them, and what does not."""

from itertools import count

import pytest

from bridge.network import NS_PER_S, RequestError, Status, Transfer
from ns3_scenarios.scenarios.nr import Nr
from tests.support.nr_access import MS, PUCCH, SYMBOLS, Air
from tests.support.nr_connections import connected
from tests.support.nr_counts import counted
from tests.support.nr_drx import blocks
from tests.support.ns3_worker import Step, play

DISTANCE_M = 50.0
STEADY = {"path_loss": "friis", "distances_m": [DISTANCE_M]}
ROUNDING_NS = 3
HOP_NS = 20  # at most, of the cable between edge server and gNB
CYCLES = [
    {"cycle_s": 0.16, "on_duration_s": 0.01, "inactivity_s": 0.02},
    {"cycle_s": 0.064, "on_duration_s": 0.002, "inactivity_s": 0.0},
    {"cycle_s": 0.32, "on_duration_s": 0.05, "inactivity_s": 0.008},
]
CARRIERS = [(0, "FDD", 20), (1, "DDDSU", 100), (1, "DDDDDDDSUU", 40), (2, "DSUUD", 100)]


def on_duration(air: Air, drx: dict[str, float], device: int, from_ns: int) -> int:
    """The first slot with data down that begins then or later and in an on-duration."""
    cycle_ms = round(drx["cycle_s"] * 1000)
    for slot in count(air.from_ns(from_ns + air.lead * air.symbol_ns)):
        at_ms = slot * air.slot_ns / MS
        since_ms = (at_ms - 61 * device % cycle_ms) % cycle_ms
        if since_ms < drx["on_duration_s"] * 1000 and air.down(slot) == slot and at_ms >= 61 * device % cycle_ms:
            return slot
    raise AssertionError


def answered(air: Air, from_ns: int) -> int:
    """The uplink slot that a scheduling request brings, which goes in the first uplink slot."""
    request = next(slot for slot in count(air.from_ns(from_ns)) if air.is_uplink(slot))
    known_ns = (request + 1) * air.slot_ns + (air.gnb_decoding + air.lead) * air.symbol_ns
    return air.granted(air.from_ns(known_ns) * air.slot_ns)


@pytest.mark.parametrize("drx", CYCLES)
@pytest.mark.parametrize(("numerology", "pattern", "bandwidth_mhz"), CARRIERS)
def test_what_goes_down_waits_for_its_device_and_what_goes_up_for_nobody(ns3, numerology, pattern, bandwidth_mhz, drx):
    """Each device's own on-duration; by first principles, for pauses of any length."""
    air = Air(numerology, pattern, DISTANCE_M, {})
    steps = [
        Step([Transfer(i % 3, 1000, 70 * MS + 5_391_733 * i, 1000)], 40 * MS + 11_137_321 * i, NS_PER_S)
        for i in range(12)
    ]
    carrier = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz}
    devices = {"path_loss": "friis", "distances_m": [DISTANCE_M] * 3}
    played = ns3(play, steps, devices | carrier | {"drx": drx, "request_grant_bytes": 2000}, "nr")
    for i, outcome in enumerate(played.outcomes):
        (came,) = outcome.transfers
        assert came.status == Status.DONE
        slots = [on_duration(air, drx, i % 3, came.downlink_begin_ns + late_ns) for late_ns in (0, HOP_NS)]
        down_ns = [air.down_end(slot) + air.decoding * air.symbol_ns for slot in slots]
        assert down_ns[0] - ROUNDING_NS <= came.downlink_end_ns <= down_ns[1] + ROUNDING_NS
        slot = answered(air, came.compute_end_ns)
        up_ns = slot * air.slot_ns + (SYMBOLS - PUCCH + air.gnb_decoding) * air.symbol_ns
        assert up_ns - ROUNDING_NS <= came.uplink_end_ns <= up_ns + HOP_NS


def test_a_device_that_was_told_of_something_listens_on(ns3):
    """What comes within the inactivity timer does not wait, whichever way the last one went."""
    steps = [Step([Transfer(0, 1000, 0, 1000)], (55 if i else 130) * MS, NS_PER_S) for i in range(8)]
    off, on = (ns3(play, steps, STEADY | {"drx": drx}, "nr") for drx in ("off", {}))
    assert on.took_ns(0)[0] > off.took_ns(0)[0]
    for step in range(1, 8):
        (came,) = on.outcomes[step].transfers
        assert came.uplink_end_ns - came.downlink_begin_ns < 10 * MS


def test_a_saturated_device_notices_nothing(ns3):
    """It is told of something new all the time."""
    steps = [Step([Transfer(0, 4_000_000, 0, 2_000_000)], 5 * MS)]
    off, on = (ns3(play, steps, STEADY | {"drx": drx}, "nr") for drx in ("off", {}))
    assert off.outcomes == on.outcomes


FAILING = {
    "line_of_sight": "never",
    "gnb_power_dbm": 15.0,
    "fading": True,
    "fading_speed_mps": 15.0,
    "target_bler": 0.5,
}


@pytest.mark.parametrize("rlc", [{}, {"arq": {}}])
def test_blocks_that_fail_wait_for_their_device_and_nothing_is_lost(ns3, rlc):
    """A device listens for 1 ms of 40, and for retransmissions."""
    drx = {"cycle_s": 0.04, "on_duration_s": 0.001, "inactivity_s": 0.0, "harq_rtt_symbols": 13}
    steps = [Step([Transfer(i, 20_000, 3 * MS, 20_000) for i in range(3)], 17 * MS, 60 * NS_PER_S) for _ in range(3)]
    found = ns3(counted, steps, FAILING | {"distances_m": [60.0, 70.0, 80.0]} | rlc | {"drx": drx})
    assert {came.status for outcome in found.outcomes for came in outcome.transfers} == {Status.DONE}
    for device in range(3):
        assert sum(way.first_errors for way in found.counts[-1][device]) > 2


@pytest.mark.parametrize("drx", CYCLES)
def test_no_block_goes_down_to_a_device_that_sleeps(ns3, drx):
    """Each in an on-duration, after another new one, or when its retransmission is expected."""
    air, rtt_symbols, retransmission_slots = Air(1, "DDDSU", 70.0, {}), 13, 8
    timers = drx | {"harq_rtt_symbols": rtt_symbols, "retransmission_slots": retransmission_slots}
    # Computing lasts beyond each exchange, so that nothing ever goes up.
    steps = [Step([Transfer(0, 3000 * k, NS_PER_S, 1)], 7_137_321 * k, 400 * MS) for k in range(1, 12)]
    sent = ns3(blocks, steps, FAILING | {"distances_m": [70.0], "drx": timers})
    assert not any(block.is_uplink for block in sent)
    assert sum(block.transmission > 1 for block in sent) > 5
    until_ns, expected = 0, []
    for block in sent:
        begin_ns = block.slot * air.slot_ns
        is_expected = any(from_ns <= begin_ns < to_ns for from_ns, to_ns in expected)
        is_on = begin_ns % round(drx["cycle_s"] * NS_PER_S) < drx["on_duration_s"] * NS_PER_S
        assert is_on or is_expected or begin_ns < until_ns
        if block.transmission == 1:
            until_ns = begin_ns + 2 * air.symbol_ns + round(drx["inactivity_s"] * NS_PER_S)
        if not block.is_decoded:
            from_ns = (air.answer(block.slot) + 1) * air.slot_ns + rtt_symbols * air.symbol_ns
            expected.append((from_ns, from_ns + retransmission_slots * air.slot_ns))


def test_a_connection_begins_with_a_device_that_listens(ns3):
    """Its data come as if there were no DRX, after paging and set-up."""
    connection = {"inactivity_s": 0.1, "paging_cycle_s": 0.32}
    steps = [Step([Transfer(0, 1000, 150 * MS, 1000)], 150 * MS + 7_137_321 * i, 3 * NS_PER_S) for i in range(3)]
    off, on = (ns3(connected, steps, STEADY | {"connection": connection, "drx": drx}) for drx in ("off", {}))
    assert off.events == on.events
    assert off.played.outcomes == on.played.outcomes


def test_a_handover_begins_with_a_device_that_listens(ns3):
    """What goes down to a device that drives from cell to cell comes, and with the same handovers."""
    drive = {
        **{"bandwidth_mhz": 20, "path_loss": "log-distance", "inter_site_distance_m": 300.0},
        **{"positions_m": [[115.0, 65.0, 1.5]], "drx": {"inactivity_s": 0.005}},
        "movement": {"kind": "constant-velocity", "velocities_mps": [[40.0, 23.0, 0.0]]},
    }
    steps = [Step([Transfer(0, 2000, 0, 2000)], 33 * MS, NS_PER_S) for _ in range(20)]
    played = ns3(play, steps, drive, "nr-multicell")
    assert {outcome.links[0].cell for outcome in played.outcomes} == {1, 2}
    assert {outcome.transfers[0].status for outcome in played.outcomes} == {Status.DONE}


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"drx": "on"}, "drx"),
        ({"drx": {"cycle_s": 0.1}}, "drx.cycle_s"),
        ({"drx": {"on_duration_s": 0.2}}, "drx.on_duration_s"),
        ({"drx": {"on_duration_s": 0.0}}, "drx.on_duration_s"),
        ({"drx": {"inactivity_s": 3.0}}, "drx.inactivity_s"),
        ({"drx": {"harq_rtt_symbols": 57}}, "drx.harq_rtt_symbols"),
        ({"drx": {"retransmission_slots": 321}}, "drx.retransmission_slots"),
    ],
)
def test_bad_cycles_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        Nr.parse(parameters)
    assert refusal.value.field == f"radio.{field}"
