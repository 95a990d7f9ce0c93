# SPDX-License-Identifier: GPL-2.0-only
"""NR's uplink at its edges: configured grants beside dynamic ones, and devices whose power reaches few PRBs."""

from itertools import pairwise
from math import hypot, log10

import pytest

from bridge.network import NS_PER_S, Status, Transfer, Wait
from tests.support import nr_physics
from tests.support.nr_blocks import heard_by_exchange
from tests.support.nr_counts import counted
from tests.support.ns3_worker import Call, Step, play

MS = 1_000_000
SLOTS_PER_S = 400  # for uplink, of DDDSU at 30 kHz


def sending(devices: int, rate_bps: float) -> list[dict[str, object]]:
    load = {"kind": "on-off", "direction": "up", "rate_bps": rate_bps, "mean_off_s": 0.0, "times": "fixed"}
    return [load | {"device": device} for device in range(devices)]


@pytest.mark.parametrize("prbs", [0, 5, 25, 34])
@pytest.mark.parametrize("scheduler", ["pf", "rr"])
def test_configured_grants_leave_the_uplink_its_load(ns3, scheduler, prbs):
    """8 devices of 12 Mb/s each, whether all their PRBs are configured, some, or none."""
    rate_bps, seconds = 12e6, 0.5
    given = {"devices": 8, "line_of_sight": "always", "scheduler": scheduler, "configured_grant_prbs": prbs}
    steps = [Step([], 0, length_ns, Wait.DEADLINE) for length_ns in (100 * MS, round(seconds * NS_PER_S))]
    played = ns3(counted, steps, given | {"background": sending(8, rate_bps)})
    for device, link in enumerate(played.outcomes[1].links):
        assert played.during(1, device, True).bytes >= rate_bps / 8 * seconds
        assert link.bsr_bytes < rate_bps / 8 * 0.01  # what comes in 10 ms: nothing piles up


@pytest.mark.parametrize(("devices", "prbs"), [(8, 25), (8, 34), (32, 8), (128, 2)])
def test_saturated_devices_get_as_much_with_configured_grants_as_without(ns3, devices, prbs):
    def delivered(configured_prbs: int) -> int:
        given = {"devices": devices, "distances_m": [40.0] * devices, "line_of_sight": "always"}
        steps = [Step([Transfer(i, 1, 0, 10**7) for i in range(devices)], 50 * MS, 300 * MS, Wait.DEADLINE)]
        played = ns3(counted, steps, given | {"configured_grant_prbs": configured_prbs})
        return sum(played.during(0, device, True).bytes for device in range(devices))

    assert delivered(prbs) > 0.9 * delivered(0)


def test_one_busy_device_leaves_idle_ones_their_configured_prbs_and_takes_its_own(ns3):
    """Of 273, the seven others keep 175."""
    given = {"distances_m": [40.0] * 8, "line_of_sight": "always", "configured_grant_prbs": 25}
    steps = [Step([Transfer(0, 1, 0, 10**7)], 50 * MS, length_ns, Wait.DEADLINE) for length_ns in (100 * MS, 500 * MS)]
    counts = ns3(counted, steps, given).during(1, 0, True)
    assert 0.85 * (273 - 175) < counts.prbs / (SLOTS_PER_S / 2) <= 273 - 175


# Power

DISTANCE_M = 200.0
LOSS_DB = 35.3 * log10(hypot(DISTANCE_M, 10 - 1.5)) + 22.4 + 21.3 * log10(3.5)  # UMi, TR 38.901 table 7.4.1-1, NLOS
ARRAY_DB = 10 * log10(32)
NOISE_DBM = -174 + 10 * log10(12 * 30e3) + 5  # of a PRB at the gNB
LEAST_BYTES = 4 + 9  # buffer status report, headers, and a byte of data
FAR = {"distances_m": [DISTANCE_M], "line_of_sight": "never", "target_bler": 0.1}


def least_power_dbm(ns3: Call, prbs: int) -> float:
    """By which an MCS of the table for 256QAM on so many PRBs has a block for data and a BLER of a tenth."""
    blocks = ns3(nr_physics.blocks, [(prbs, 144, 2, mcs, 1) for mcs in range(28)])
    bits = [(mcs, size) for mcs, (size, _, _) in enumerate(blocks) if size >= 8 * LEAST_BYTES]
    least_db = min(ns3(nr_physics.threshold, [(2, mcs, size, 0.1) for mcs, size in bits]))
    return least_db + 10 * log10(prbs) + NOISE_DBM + LOSS_DB - ARRAY_DB


def test_a_far_device_sends_on_fewer_prbs_down_to_one_and_then_says_that_it_cannot(ns3):
    """No cliff: half a decibel less power never costs more than a half of the rate, until nothing carries."""
    end_dbm = min(least_power_dbm(ns3, prbs) for prbs in (1, 2, 4))
    powers_dbm = [
        end_dbm + over / 10 for over in (300, 200, 150, 120, 90, 60, 50, 40, 30, 25, 20, 15, 10, 5, 1, -1, -30)
    ]
    rates = []
    for power_dbm in powers_dbm:
        steps = [Step([Transfer(0, 1000, 0, 1000)], 50 * MS, 10 * NS_PER_S)]
        (outcome,) = ns3(play, steps, FAR | {"device_power_dbm": power_dbm}, "nr").outcomes
        (came,), (link,) = outcome.transfers, outcome.links
        is_in_reach = power_dbm > end_dbm
        assert came.status == (Status.DONE if is_in_reach else Status.UNREACHABLE)
        assert link.connected == is_in_reach
        assert (link.uplink_rate_bps > 0) == is_in_reach
        rates.append(link.uplink_rate_bps)
    assert all(near >= far for near, far in pairwise(rates))
    (steps_down,) = [[near / far for near, far in pairwise(rates[9:15])]]
    assert max(steps_down) < 2.5


@pytest.mark.parametrize("device_power_dbm", [-0.5, -1.0])
def test_the_threshold_of_the_whole_carrier_is_none(ns3, device_power_dbm):
    """There the SINR over the whole carrier is -12 dB, below the lowest MCS; 16 PRBs get 12 dB more."""
    steps = [Step([Transfer(0, 1000, 0, 1000)], 50 * MS, NS_PER_S)]
    played = ns3(play, steps, FAR | {"device_power_dbm": device_power_dbm}, "nr")
    assert played.outcomes[0].transfers[0].status == Status.DONE
    assert played.took_ns(0)[0] < 100 * MS


@pytest.mark.parametrize("scheduler", ["pf", "rr"])
def test_many_far_devices_are_served_beside_a_near_one(ns3, scheduler):
    power_dbm = least_power_dbm(ns3, 4) + 1
    given = {
        "distances_m": [DISTANCE_M] * 60 + [20.0],
        "line_of_sight": "never",
        "device_power_dbm": power_dbm,
        "target_bler": 0.1,
    }
    steps = [Step([Transfer(i, 100, 0, 1000) for i in range(60)] + [Transfer(60, 100, 0, 500_000)], 50 * MS)]
    played = ns3(play, steps, given | {"scheduler": scheduler}, "nr")
    assert {came.status for came in played.outcomes[0].transfers} == {Status.DONE}


def test_a_small_carrier_s_pdcch_is_shared_by_both_directions(ns3):
    """11 PRBs have two elements a slot; with FDD every slot has grants for both."""
    given = {"pattern": "FDD", "bandwidth_mhz": 5, "distances_m": [40.0] * 6, "line_of_sight": "always"}
    both = [Transfer(i, 30_000, 0, 1) for i in range(6)]
    busy = given | {"background": sending(6, 20e6)}
    (outcome,) = ns3(play, [Step(both, 200 * MS, 2 * NS_PER_S)], busy, "nr").outcomes
    assert {came.status for came in outcome.transfers} == {Status.DONE}


@pytest.mark.parametrize(
    "parameters",
    [{}, {"target_bler": 0.1, "mcs_table": "64qam-low"}, {"device_power_dbm": 0.0, "distances_m": [150.0]}],
)
def test_a_message_that_a_block_can_take_is_sent_in_one_that_a_group_of_prbs_less_could_not_take(ns3, parameters):
    """By its size (TS 38.214 clause 5.1.3.2), with fading: not by what each PRB alone would bear. Upwards one goes
    before it, which a scheduling request brings."""
    sizes = [700 * i for i in range(1, 16)]
    asked = [[Transfer(0, size, 0, size)] for size in sizes]
    settings = {"devices": 1, "fading": True, "distances_m": [60.0], "line_of_sight": "always"} | parameters
    for size, blocks in zip(sizes, ns3(heard_by_exchange, asked, 0.04, settings), strict=True):
        for is_uplink, most in ((False, 1), (True, 2)):
            first = [block for block in blocks if block.is_uplink == is_uplink and block.transmission == 1]
            assert len(first) <= most
            assert 8 * size < sum(block.bits for block in first)
            last = first[-1]
            group = 16 if last.prbs % 16 == 0 else last.prbs % 16
            before = sum(block.bits for block in first[:-1])
            assert before + last.bits * (last.prbs - group) / last.prbs < 8 * (size * 1.2 + 100)
