# SPDX-License-Identifier: GPL-2.0-only
"""What a transfer's outcome says was radiated, against closed forms and against what ns-3 says by other ways."""

from math import hypot, log10

import pytest

from bridge.network import NS_PER_S, Status, Transfer, TransferOutcome, Wait
from tests.support.lte_air import heard
from tests.support.nr_counts import counted
from tests.support.ns3_worker import Call, Step, play

MS = 1_000_000
LENGTH = [Step([Transfer(0, 400_000, 2 * MS, 400_000)], 20 * MS)]

# NR at 3.5 GHz: UMi with line of sight, TR 38.901 table 7.4.1-1, from the gNB at 10 m to a device at 1.5 m.
PRBS, SLOT_S = 273, 0.5e-3
DOWN_S, UP_S = SLOT_S * 12 / 14, SLOT_S * 13 / 14  # without the symbols of PDCCH and PUCCH
ARRAY_DB = 10 * log10(32)  # of the gNB's antennas, along the direct way
NR = {"pattern": "DDDDU", "line_of_sight": "always"}
MOST_W = 10**2.3 / 1000


def nr_loss_db(distance_m: float) -> float:
    return 32.4 + 21 * log10(hypot(distance_m, 10 - 1.5)) + 20 * log10(3.5)


def nr_transfer(ns3: Call, **given: object) -> tuple[TransferOutcome, int, int, int]:
    """A transfer of one device, the PRBs that it took down and up, summed over blocks, and its blocks up."""
    played = ns3(counted, LENGTH, NR | given)
    down, up = (played.during(0, 0, is_uplink) for is_uplink in (False, True))
    return played.outcomes[0].transfers[0], down.prbs, up.prbs, up.blocks


@pytest.mark.parametrize("distance_m", [20.0, 60.0])
@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_an_nr_device_radiates_what_power_control_says_and_the_gnb_its_power_per_prb(ns3, distance_m, factor):
    nominal_dbm = -90.0
    came, down_prbs, up_prbs, _ = nr_transfer(
        ns3, distances_m=[distance_m], nominal_power_dbm=nominal_dbm, path_loss_factor=factor
    )
    loss_db = nr_loss_db(distance_m) - ARRAY_DB
    prb_dbm = nominal_dbm + 10 * log10(2) + factor * loss_db  # at 30 kHz; far below what it can
    assert prb_dbm + 10 * log10(PRBS) < 23
    assert came.uplink_air_j == pytest.approx(10 ** (prb_dbm / 10) / 1000 * up_prbs * UP_S, rel=0.01)
    assert came.downlink_air_j == pytest.approx(10 / PRBS * down_prbs * DOWN_S, rel=1e-6)


def test_a_far_nr_device_spreads_its_whole_power_over_the_prbs_of_each_block(ns3):
    came, _, _, blocks = nr_transfer(ns3, distances_m=[400.0], nominal_power_dbm=-60.0, path_loss_factor=1.0)
    assert came.uplink_air_j == pytest.approx(MOST_W * blocks * UP_S, rel=1e-6)


def test_what_is_sent_again_counts_each_time(ns3):
    """At a BLER of a half; the fading is so quick that reports are of another channel."""
    fading = {"target_bler": 0.5, "fading": True, "fading_speed_mps": 30.0}
    given = fading | {"distances_m": [150.0], "gnb_power_dbm": 10.0}
    played = ns3(counted, [Step([Transfer(0, 4_000_000, 0, 1000)], 20 * MS)], NR | given)
    down = played.during(0, 0, False)
    assert down.blocks > 1.2 * down.first_blocks
    assert played.outcomes[0].transfers[0].downlink_air_j == pytest.approx(0.01 / PRBS * down.prbs * DOWN_S, rel=1e-6)


def test_other_users_are_not_counted(ns3):
    """The gNB sends to them all the time, and the device radiates for itself alone."""
    loads = [{"kind": "full-buffer", "users": 3}, {"kind": "full-buffer", "users": 3, "direction": "up"}]
    given = NR | {"distances_m": [30.0], "other_users_distances_m": [30.0], "background": loads}
    played = ns3(counted, LENGTH, given)
    (came,) = played.outcomes[0].transfers
    assert came.downlink_air_j == pytest.approx(10 / PRBS * played.during(0, 0, False).prbs * DOWN_S, rel=1e-6)
    assert played.during(0, 1, False).prbs > 0


@pytest.mark.parametrize(
    "given",
    [
        {"distances_m": [40.0], "line_of_sight": "always"},
        {"distances_m": [150.0], "line_of_sight": "never"},
        {"distances_m": [40.0], "line_of_sight": "always", "scheduler": "rr"},
        {"distances_m": [40.0], "line_of_sight": "always", "profile": "20mhz-2x2"},
        {"distances_m": [100.0, 30.0], "line_of_sight": "always", "path_loss_factor": 0.8},
    ],
)
def test_lte_counts_what_ns3_sends(ns3, given):
    """Down every data frame of the eNB; up the power that power control reports for each frame of a device."""
    transfers = [Transfer(device, 200_000, 2 * MS, 200_000) for device in range(len(given["distances_m"]))]
    found = ns3(heard, [Step(transfers, 50 * MS)], given)
    came = found.outcomes[0].transfers
    assert {transfer.status for transfer in came} == {Status.DONE}
    part = 1e-5 if len(came) == 1 else 0.03  # RLC's last reports, when one transfer has ended and the other has not
    down_j, up_j = found.radiated_j[0]
    assert sum(transfer.downlink_air_j for transfer in came) == pytest.approx(down_j, rel=part)
    assert sum(transfer.uplink_air_j for transfer in came) == pytest.approx(up_j, rel=part)


def test_an_lte_device_at_the_end_of_its_power_radiates_all_of_it_in_each_subframe(ns3):
    given = {"distances_m": [40.0], "line_of_sight": "always", "nominal_power_dbm": 24}
    found = ns3(heard, LENGTH, given)
    (came,) = found.outcomes[0].transfers
    subframes = came.uplink_air_j / (MOST_W * 1e-3 * 13 / 14)
    assert subframes == pytest.approx(round(subframes), abs=0.01)
    assert subframes > 20


@pytest.mark.parametrize("scenario", ["lte", "nr"])
def test_a_near_device_spends_less_than_a_far_one_with_the_same_bytes(ns3, scenario):
    given = {"distances_m": [20.0, 60.0, 150.0], "line_of_sight": "always"}
    transfers = [Transfer(device, 100_000, 0, 100_000) for device in range(3)]
    near, middle, far = (
        (transfer.downlink_air_j, transfer.uplink_air_j)
        for transfer in ns3(play, [Step(transfers, 50 * MS)], given, scenario).outcomes[0].transfers
    )
    assert near[1] < middle[1] / 3 < far[1] / 9
    assert near[0] < 1.1 * far[0]


@pytest.mark.parametrize("scenario", ["lte", "nr"])
def test_what_is_late_has_what_was_radiated_by_then_and_the_next_transfer_only_its_own(ns3, scenario):
    given = {"distances_m": [40.0, 40.0], "line_of_sight": "always"}
    whole = Step([Transfer(0, 400_000, 0, 400_000)], 50 * MS)
    cut = Step([Transfer(0, 400_000, 0, 400_000)], 50 * MS, 15 * MS, Wait.DEADLINE)
    (full,) = ns3(play, [whole], given, scenario).outcomes[0].transfers
    first, pause, again = ns3(play, [cut, Step([], 0, NS_PER_S // 2, Wait.DEADLINE), whole], given, scenario).outcomes
    (late,), (done,) = first.transfers, again.transfers
    assert (late.status, done.status) == (Status.LATE, Status.DONE)
    assert 0 < late.downlink_air_j <= full.downlink_air_j
    assert late.uplink_air_j < full.uplink_air_j
    assert done.downlink_air_j == pytest.approx(full.downlink_air_j, rel=0.1)
    assert done.uplink_air_j == pytest.approx(full.uplink_air_j, rel=0.1)
    assert pause.transfers == ()


@pytest.mark.parametrize("scenario", ["wifi", "wired"])
def test_a_radio_that_does_not_count_says_nothing(ns3, scenario):
    steps = [Step([Transfer(0, 10_000, 0, 10_000)], 50 * MS)]
    (came,) = ns3(play, steps, {"devices": 2}, scenario).outcomes[0].transfers
    assert (came.downlink_air_j, came.uplink_air_j) == (None, None)


def test_of_two_radios_each_says_what_it_knows(ns3):
    steps = [Step([Transfer(device, 10_000, 0, 10_000) for device in range(2)], 50 * MS)]
    played = ns3(play, steps, {"lte_devices": 1, "wifi_devices": 1}, "mixed")
    cellular, local = played.outcomes[0].transfers
    assert cellular.downlink_air_j > 0
    assert cellular.uplink_air_j > 0
    assert (local.downlink_air_j, local.uplink_air_j) == (None, None)
    assert played.info.air_w == (pytest.approx((10, MOST_W)), pytest.approx((10**1.6 / 1000,) * 2))


def test_one_that_is_unreachable_radiates_nothing(ns3):
    given = {
        "devices": 2,
        "line_of_sight": "always",
        "life": [{"kind": "absence", "devices": [1], "intervals_s": [[0]]}],
    }
    steps = [Step([Transfer(device, 10_000, 0, 10_000) for device in range(2)], 50 * MS)]
    _, away = ns3(play, steps, given, "nr").outcomes[0].transfers
    assert (away.status, away.downlink_air_j, away.uplink_air_j) == (Status.UNREACHABLE, 0, 0)
