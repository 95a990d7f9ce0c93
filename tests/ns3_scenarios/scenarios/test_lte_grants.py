# SPDX-License-Identifier: GPL-2.0-only
"""What LTE's schedulers grant against what there is to send, from ns-3's statistics of MAC, RLC and PDCP."""

import math
from pathlib import Path

import pytest

from bridge.network import NS_PER_S, Status, Transfer
from ns3_scenarios.simulation import open_network
from tests.support.leaving import play_leaving
from tests.support.ns3_worker import Played, Step, carry_out, play

MS = 1_000_000
US = 1_000
NEAR_M = 40.0
BLOCK_BYTES = 400_000
# TS 36.213 table 7.1.7.2.1-1 at I_TBS 26, by resource blocks. Uplink schedulers divide 100 of them evenly among the
# devices, round robin in the downlink 25 groups of 4 (table 7.1.6.1-1); proportional fair gives one device all.
BLOCK_BITS = {100: 75376, 25: 18336, 24: 17568, 12: 8760}
GROUP_RB = 4
IP_UDP_BYTES = 20 + 8
PAYLOAD_BYTES = 1472


def measure(steps: list[Step], parameters: dict[str, object], folder: Path) -> Played:
    """`play` with ns-3's statistics in `folder`, and a while for the last acknowledgements."""
    parameters = {"path_loss": "friis", "outputs": ["statistics"], **parameters}
    network = open_network("lte", parameters, 1, folder=str(folder))
    try:
        outcomes = [carry_out(network, step) for step in [*steps, Step([], 300 * MS)]]
        return Played(network.info, [], outcomes)
    finally:
        network.close()


def rows(file: Path) -> list[dict[str, float]]:
    header, *lines = file.read_text().splitlines()
    names = header.removeprefix("%").split()
    return [dict(zip(names, map(float, line.split()), strict=False)) for line in lines]


def blocks(direction: int, devices: int) -> list[Transfer]:
    sizes = ((BLOCK_BYTES, 1), (1, BLOCK_BYTES))[direction]
    return [Transfer(device, sizes[0], 0, sizes[1]) for device in range(devices)]


@pytest.mark.parametrize("scheduler", ["pf", "rr"])
@pytest.mark.parametrize("devices", [4, 8])
@pytest.mark.parametrize("direction", [0, 1], ids=["down", "up"])
def test_a_scheduler_grants_little_more_than_there_is_to_send(ns3, tmp_path, direction, devices, scheduler):
    """And the transfers take the time that the standard's transport block sizes give, and a first grant's."""
    parameters = {"distances_m": [NEAR_M] * devices, "scheduler": scheduler}
    played = ns3(measure, [Step(blocks(direction, devices))], parameters, tmp_path / "out")
    way, size = (("Dl", "sizeTb1"), ("Ul", "size"))[direction]
    granted_bytes = sum(row[size] for row in rows(tmp_path / "out" / f"{way}MacStats.txt"))
    handed_bytes = sum(row["TxBytes"] for row in rows(tmp_path / "out" / f"{way}PdcpStats.txt"))
    assert handed_bytes > devices * BLOCK_BYTES
    assert handed_bytes < granted_bytes < 1.08 * handed_bytes
    came = played.outcomes[0].transfers
    if direction == 0:
        begin_ns, end_ns = min(t.downlink_begin_ns for t in came), max(t.downlink_end_ns for t in came)
        bits = BLOCK_BITS[100] if scheduler == "pf" else devices * BLOCK_BITS[100 // GROUP_RB // devices * GROUP_RB]
        first_ms = 5
    else:
        begin_ns, end_ns = min(t.compute_end_ns for t in came), max(t.uplink_end_ns for t in came)
        bits = devices * BLOCK_BITS[100 // devices]
        first_ms = 12
    least_ms = 8 * handed_bytes / bits
    assert least_ms < (end_ns - begin_ns) / MS < 1.03 * least_ms + first_ms


@pytest.mark.parametrize("devices", [1, 4])
def test_whenever_it_departs_a_small_transfer_takes_the_same_time(ns3, devices):
    """But for the way to the next subframe, and the subframes in which the other devices have theirs.

    An acknowledgement that is due does not take the grant of the data.
    """
    gaps_ns = [gap * MS + 100 * US * i for i, gap in enumerate((0, 1, 3, 5, 9, 13, 30, 2, 4, 7) * 4)]
    steps = [Step([Transfer(i, 8192, 0, 8192) for i in range(devices)], gap_ns) for gap_ns in gaps_ns]
    played = ns3(play, steps, {"path_loss": "friis", "distances_m": [NEAR_M] * devices})
    came = [transfer for outcome in played.outcomes for transfer in outcome.transfers]
    for took_ns in (
        [transfer.downlink_end_ns - transfer.downlink_begin_ns for transfer in came],
        [transfer.uplink_end_ns - transfer.compute_end_ns for transfer in came],
    ):
        assert max(took_ns) - min(took_ns) <= devices * MS


@pytest.mark.parametrize("direction", [0, 1], ids=["down", "up"])
def test_what_the_headers_leave_over_does_not_wait(ns3, direction):
    """Two blocks' worth, a few bytes more each time: the last ones take a subframe more, or two."""
    sizes = range(18_300, 18_520, 6)
    steps = [Step([Transfer(0, *((size, 0, 1), (1, 0, size))[direction])], 60 * MS) for size in sizes]
    played = ns3(play, steps, {"path_loss": "friis", "distances_m": [NEAR_M]})
    took_ns = [max(played.took_ns(step)) for step in range(len(steps))]
    assert max(took_ns) - min(took_ns) <= 2 * MS


def test_what_was_lost_in_the_air_is_sent_again_as_soon_as_the_receiver_asks(ns3):
    """A STATUS PDU names one lost PDU, for ns-3 gives it 4 bytes, and t-StatusProhibit parts two of them."""
    leaves_ms, away_ms, size = 32, 20, 100_000
    away = {"leaves_s": (200.5 + leaves_ms) / 1000, "returns_s": (200.5 + leaves_ms + away_ms) / 1000}
    steps = [Step([], 200 * MS), Step([Transfer(0, size, 0, 1)])]
    played = ns3(play_leaving, steps, {"distances_m": [NEAR_M, NEAR_M], **away})
    took_ns = played.outcomes[1].transfers[0].downlink_end_ns - played.departed_ns[1]
    pdus, prohibit_ms, there_and_back_ms = math.ceil(8 * size / BLOCK_BITS[100]), 10, 20
    assert leaves_ms + away_ms < took_ns / MS < leaves_ms + away_ms + pdus * prohibit_ms + there_and_back_ms


def test_other_users_get_one_grant_for_each_packet(ns3, tmp_path):
    """Each of theirs fits in one, and comes alone."""
    users = 4
    load = {"kind": "on-off", "users": users, "rate_bps": 1e6, "mean_off_s": 0.0, "times": "fixed"}
    parameters = {"distances_m": [NEAR_M], "other_users_distances_m": [NEAR_M], "background": [load]}
    ns3(measure, [Step([], 2 * NS_PER_S)], parameters, tmp_path / "out")
    grants = rows(tmp_path / "out" / "DlMacStats.txt")
    packets = sum(row["nTxPDUs"] for row in rows(tmp_path / "out" / "DlPdcpStats.txt"))
    assert packets == pytest.approx(users * 1e6 * 2.26 / (8 * PAYLOAD_BYTES), rel=0.1)
    assert len(grants) == pytest.approx(packets, rel=0.02)


def test_what_is_cancelled_before_any_of_it_was_sent_gets_no_grants(ns3, tmp_path):
    steps = [Step(blocks(0, 8), 0, MS), Step([Transfer(0, 1, 0, 1)], 100 * MS)]
    ns3(measure, steps, {"distances_m": [NEAR_M] * 8}, tmp_path / "out")
    assert len(rows(tmp_path / "out" / "DlMacStats.txt")) < 20


@pytest.mark.parametrize("scheduler", ["pf", "rr"])
def test_with_fading_at_the_edge_everything_arrives(ns3, scheduler):
    parameters = {
        "fading": "umi",
        "fading_speed_mps": 30.0,
        "line_of_sight": "always",
        "distances_m": [200.0, 300.0, 400.0, 500.0],
        "scheduler": scheduler,
    }
    steps = [Step([Transfer(i, 100_000, 0, 50_000) for i in range(4)], 10 * MS)] * 4
    played = ns3(play, steps, parameters)
    assert {came.status for outcome in played.outcomes for came in outcome.transfers} == {Status.DONE}
