# SPDX-License-Identifier: GPL-2.0-only
"""Link state against link budgets by hand and the tables of TS 36.213."""

import math
from collections.abc import Sequence

import pytest

from bridge.network import LinkState, Transfer, Wait
from tests.support.ns3_worker import Call, Step, play

MS = 1_000_000
DOWNLINK_HZ = 2.12e9
LIGHT_MPS = 299_792_458
BAND_HZ = 100 * 180e3
THERMAL_DBM_PER_HZ = -174
DEVICE_NOISE_FIGURE_DB, BS_NOISE_FIGURE_DB = 9, 5
BS_DBM, DEVICE_DBM = 40, 23

# TS 36.213 table 7.2.3-1, bits per symbol of CQI 1 to 15.
CQI_EFFICIENCY = (
    0.1523, 0.2344, 0.3770, 0.6016, 0.8770, 1.1758, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023,
    4.5234, 5.1152, 5.5547,
)  # fmt: skip
# TS 36.213 table 7.1.7.2.1-1, the column of 100 resource blocks, by I_TBS.
TRANSPORT_BLOCK_BITS = (
    2792, 3624, 4584, 5736, 7224, 8760, 10296, 12216, 14112, 15840, 17568, 19848, 22920, 25456, 28336, 30576, 32856,
    36696, 39232, 43816, 46888, 51024, 55056, 57336, 61664, 63776, 75376,
)  # fmt: skip


def downlink_tbs_index(mcs: int) -> int:
    """TS 36.213 table 7.1.7.1-1."""
    return mcs - (mcs > 9) - (mcs > 16)


def uplink_tbs_index(mcs: int) -> int:
    """TS 36.213 table 8.6.1-1."""
    return mcs - (mcs > 10) - (mcs > 20)


def links(ns3: Call, distances_m: Sequence[float], **parameters: object) -> tuple[LinkState, ...]:
    """The links' state after each device has sent and received a little."""
    asked = [Transfer(i, 3000, 0, 3000) for i in range(len(distances_m))]
    played = ns3(play, [Step(asked, 0, 500 * MS)], {"distances_m": distances_m, **parameters})
    return played.outcomes[0].links


def distance_3d_m(ground_m: float, bs_height_m: float) -> float:
    return math.hypot(ground_m, bs_height_m - 1.5)


def free_space_db(ground_m: float) -> float:
    return 20 * math.log10(4 * math.pi * distance_3d_m(ground_m, 10) * DOWNLINK_HZ / LIGHT_MPS)


def street_canyon_los_db(ground_m: float) -> float:
    """TR 38.901 table 7.4.1-1, UMi LOS, short of the breakpoint."""
    return 32.4 + 21 * math.log10(distance_3d_m(ground_m, 10)) + 20 * math.log10(DOWNLINK_HZ / 1e9)


def street_canyon_nlos_db(ground_m: float) -> float:
    """TR 38.901 table 7.4.1-1, UMi NLOS."""
    return 35.3 * math.log10(distance_3d_m(ground_m, 10)) + 22.4 + 21.3 * math.log10(DOWNLINK_HZ / 1e9)


def macro_los_db(ground_m: float) -> float:
    """TR 38.901 table 7.4.1-1, UMa LOS, short of the breakpoint."""
    return 28 + 22 * math.log10(distance_3d_m(ground_m, 25)) + 20 * math.log10(DOWNLINK_HZ / 1e9)


@pytest.mark.parametrize(
    ("parameters", "loss_db", "distances_m"),
    [
        ({"path_loss": "friis"}, free_space_db, [100.0, 1000.0, 1500.0]),
        ({"path_loss": "umi", "line_of_sight": "always"}, street_canyon_los_db, [20.0, 60.0, 120.0]),
        ({"path_loss": "umi", "line_of_sight": "never"}, street_canyon_nlos_db, [60.0, 120.0, 180.0]),
        ({"path_loss": "uma", "line_of_sight": "always"}, macro_los_db, [60.0, 120.0, 300.0]),
    ],
    ids=["friis", "umi-los", "umi-nlos", "uma-los"],
)
def test_sinr_is_the_link_budget(ns3, parameters, loss_db, distances_m):
    for link, distance_m in zip(links(ns3, distances_m, **parameters), distances_m, strict=True):
        noise_dbm = THERMAL_DBM_PER_HZ + 10 * math.log10(BAND_HZ)
        received_dbm = BS_DBM - loss_db(distance_m)
        assert link.downlink_sinr_db == pytest.approx(received_dbm - noise_dbm - DEVICE_NOISE_FIGURE_DB, abs=0.05)
        if link.uplink_sinr_db < 30:  # nearer by, power control holds the device below its full power
            received_dbm = DEVICE_DBM - loss_db(distance_m)
            assert link.uplink_sinr_db == pytest.approx(received_dbm - noise_dbm - BS_NOISE_FIGURE_DB, abs=0.05)


def test_shadowing_is_the_same_both_ways_and_differs_between_devices(ns3):
    distances_m = [150.0] * 8
    shadowed = links(ns3, distances_m, path_loss="log-distance", shadowing_sigma_db=6.0)
    for link in shadowed:
        budget_db = (BS_DBM - DEVICE_NOISE_FIGURE_DB) - (DEVICE_DBM - BS_NOISE_FIGURE_DB)
        if link.uplink_sinr_db < 30:  # at the device's full power
            assert link.downlink_sinr_db - link.uplink_sinr_db == pytest.approx(budget_db, abs=0.01)
    assert len({round(link.downlink_sinr_db, 3) for link in shadowed}) == 8
    plain = links(ns3, distances_m, path_loss="log-distance")
    deviations = [link.downlink_sinr_db - plain[0].downlink_sinr_db for link in shadowed]
    assert 2 < math.sqrt(sum(d * d for d in deviations) / 8) < 12  # chi-square, 8 degrees, sigma 6: p = 0.998


def test_cqi_mcs_and_rate_are_those_of_the_tables(ns3):
    before_mcs = 28
    for link in links(ns3, [50.0 * 1.25**i for i in range(16)], path_loss="log-distance"):
        ratio = 10 ** (link.downlink_sinr_db / 10)
        assert CQI_EFFICIENCY[link.cqi - 1] <= math.log2(1 + ratio) or link.cqi == 15  # Shannon
        gap = -math.log(5 * 5e-5) / 1.5  # of uncoded QAM at a bit error rate of 5e-5: coding does better
        assert link.cqi == 15 or CQI_EFFICIENCY[link.cqi] > math.log2(1 + ratio / gap)
        index = downlink_tbs_index(link.downlink_mcs)
        assert link.downlink_rate_bps == TRANSPORT_BLOCK_BITS[index] * 1000
        lowest, highest = {1: (0, 9), 2: (9, 15), 3: (15, 26)}[1 + (link.cqi > 6) + (link.cqi > 9)]  # QPSK, 16, 64QAM
        assert lowest <= index <= highest
        assert link.downlink_mcs <= before_mcs
        before_mcs = link.downlink_mcs
        if link.uplink_mcs is not None:
            assert link.uplink_rate_bps == TRANSPORT_BLOCK_BITS[uplink_tbs_index(link.uplink_mcs)] * 1000


def test_two_layers_and_five_carriers_multiply_the_rate(ns3):
    near = [20.0]
    for profile, downlink, uplink in (("20mhz", 1, 1), ("20mhz-2x2", 2, 1), ("100mhz-2x2", 10, 5)):
        link = links(ns3, near, profile=profile)[0]
        assert link.downlink_rate_bps == downlink * TRANSPORT_BLOCK_BITS[26] * 1000
        assert link.uplink_rate_bps == uplink * TRANSPORT_BLOCK_BITS[26] * 1000


def test_the_default_devices_have_clearly_different_usable_links(ns3):
    asked = [Transfer(i, 20_000, 0, 20_000) for i in range(8)]
    played = ns3(play, [Step(asked, 0, 400 * MS)], {"neighbours": {}, "shadowing_sigma_db": None})
    assert {came.status for came in played.outcomes[0].transfers} == {"done"}
    downlinks = [link.downlink_sinr_db for link in played.outcomes[0].links]
    assert max(downlinks) - min(downlinks) > 15


def test_a_buffer_status_report_tells_of_a_cancelled_uplink_and_then_of_its_end(ns3):
    bulk = Step([Transfer(0, 1, 0, 2_000_000)], 0, 80 * MS)
    parameters = {"devices": 1, "profile": "100mhz-2x2"}
    played = ns3(play, [bulk, Step([], 0, 10 * MS, Wait.DEADLINE)], parameters)
    cut, later = (outcome.links[0] for outcome in played.outcomes)
    assert cut.bsr_bytes >= 150_000  # the highest index of TS 36.321 table 6.1.3.1-1
    assert later.bsr_bytes <= 1552  # the rest of one packet, rounded up by that table
    assert later.rlc_queue_bytes == 0
