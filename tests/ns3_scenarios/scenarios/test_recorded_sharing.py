# SPDX-License-Identifier: GPL-2.0-only
"""Recorded links that share what they carry, against processor sharing in closed form."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import CHANNEL_ROW, NS_PER_S, Status, Transfer, Wait
from tests.support.ns3_worker import Step, play

MS = 1_000_000
PACKET_BYTES, HEADERS_BYTES = 1500, 28
APART_NS = 5
"""How far rounding of each packet to the next ns, and of a part to 1e-9 bit, may lead."""


def write(path: Path, header: str, *rows: Sequence[float]) -> str:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))
    return str(path)


def wire_bits(payload_bytes: int) -> int:
    packets = -(-payload_bytes // (PACKET_BYTES - HEADERS_BYTES))
    return 8 * (payload_bytes + packets * HEADERS_BYTES)


def finished_ns(alone_ns: Sequence[float], others: int) -> list[float]:
    """When each of several flows that begin together is through, all getting the same part of the time.

    Egalitarian processor sharing: between the ends of two, those that are left and the others share evenly.
    """
    order = sorted(range(len(alone_ns)), key=alone_ns.__getitem__)
    ends, now_ns, before_ns = [0.0] * len(alone_ns), 0.0, 0.0
    for place, flow in enumerate(order):
        now_ns += (alone_ns[flow] - before_ns) * (len(alone_ns) - place + others)
        before_ns = alone_ns[flow]
        ends[flow] = now_ns
    return ends


flows = st.lists(st.tuples(st.integers(1, 60_000), st.sampled_from([10**6, 7_654_321, 10**8])), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(asked=flows, others=st.integers(0, 3), is_down=st.booleans())
def test_links_of_one_pool_get_equal_parts_of_the_time(ns3, tmp_path_factory, asked, others, is_down):
    folder = tmp_path_factory.mktemp("pool")
    files = [
        write(folder / f"{i}.csv", "time_s,rate_bps,pool,others", (0, rate_bps, 7, others))
        for i, (_, rate_bps) in enumerate(asked)
    ]
    free = [write(folder / "free.csv", "time_s,rate_bps", (0, 10**12))] * len(asked)
    ways = {"downlink": files, "uplink": free} if is_down else {"downlink": free, "uplink": files}
    sizes = [(size, 1) if is_down else (1, size) for size, _ in asked]
    step = Step([Transfer(i, down, 0, up) for i, (down, up) in enumerate(sizes)])
    outcome = ns3(play, [step], ways, "recorded").outcomes[0]
    ends = finished_ns([wire_bits(size) * NS_PER_S / rate_bps for size, rate_bps in asked], others)
    for came, end_ns in zip(outcome.transfers, ends, strict=True):
        found_ns = came.downlink_end_ns if is_down else came.uplink_end_ns - came.compute_end_ns
        assert found_ns == pytest.approx(end_ns, abs=APART_NS * (1 + len(asked)))


def test_a_pool_that_only_one_link_has_changes_nothing(ns3, tmp_path):
    """To the nanosecond, over many rows, some of them empty."""
    rates_bps = [10**7, 0, 3_333_333, 10**8, 0, 10**6]
    rows = [(i / 100, rate_bps, 0.002 * (i % 3), 0.05) for i, rate_bps in enumerate(rates_bps)]
    steps = [Step([Transfer(i, 30_000, 0, 30_000) for i in range(2)], 0, NS_PER_S)] * 4
    played = []
    for sharing in ([], [0, 0]):
        header = "time_s,rate_bps,delay_s,loss" + (",pool,others" if sharing else "")
        ways = [
            write(tmp_path / f"{link}.csv", header, *((*row, *([link, 0] if sharing else [])) for row in rows))
            for link in range(4)
        ]
        outcomes = ns3(play, steps, {"downlink": ways[:2], "uplink": ways[2:]}, "recorded").outcomes
        played.append([(outcome.now_ns, outcome.transfers, outcome.links) for outcome in outcomes])
    assert played[0] == played[1]


def test_a_link_moves_to_another_pool_while_it_is_carrying(ns3, tmp_path):
    """Two links of 12 Mbit/s, 1 ms a packet alone; after 10 ms the second goes, after 15 ms another user comes."""
    header = "time_s,rate_bps,pool,others"
    stays = write(tmp_path / "stays.csv", header, (0, 12_000_000, 1, 0), (0.015, 12_000_000, 1, 1), (90, 1, 1, 1))
    goes = write(tmp_path / "goes.csv", header, (0, 12_000_000, 1, 0), (0.010, 12_000_000, 2, 0), (90, 1, 2, 0))
    step = Step([Transfer(i, 20 * (PACKET_BYTES - HEADERS_BYTES), 0, 1) for i in range(2)])
    outcome = ns3(play, [step], {"downlink": [stays, goes]}, "recorded").outcomes[0]
    # 5 packets of either by 10 ms; then 5 of the first by 15 ms, and 10 more at half the rate.
    ends = [transfer.downlink_end_ns for transfer in outcome.transfers]
    assert ends == pytest.approx([35 * MS, 25 * MS], abs=APART_NS * 20)


def test_both_directions_of_a_link_may_share(ns3, tmp_path):
    """As on Wi-Fi: an answer crosses at half the rate for as long as the other device's question does."""
    channel = write(tmp_path / "channel.csv", "time_s,rate_bps,pool", (0, 12_000_000, 0))
    payload = PACKET_BYTES - HEADERS_BYTES
    step = Step([Transfer(0, payload, 0, 10 * payload), Transfer(1, 8 * payload, 0, 1)])
    outcome = ns3(play, [step], {"devices": 2, "downlink": channel, "uplink": channel}, "recorded").outcomes[0]
    first, second = outcome.transfers
    assert (first.downlink_end_ns, second.downlink_end_ns) == pytest.approx((2 * MS, 16 * MS), abs=100)
    # 7 of 10 packets by then; the 29 bytes of the other answer share with the rest.
    assert first.uplink_end_ns == pytest.approx(19 * MS + wire_bits(1) / 12 * 1000, abs=100)


def test_what_was_cut_shares_no_longer(ns3, tmp_path):
    channel = write(tmp_path / "channel.csv", "time_s,rate_bps,pool", (0, 12_000_000, 0))
    payload = PACKET_BYTES - HEADERS_BYTES
    cut = Step([Transfer(i, 1000 * payload, 0, 1) for i in range(2)], 0, 10 * MS)
    step = Step([Transfer(0, 10 * payload, 0, 1)])
    played = ns3(play, [cut, step], {"devices": 2, "downlink": channel}, "recorded")
    assert {transfer.status for transfer in played.outcomes[0].transfers} == {Status.LATE}
    assert played.outcomes[1].transfers[0].downlink_end_ns - played.departed_ns[1] == 10 * MS


def test_the_record_tells_pools_and_others(ns3, tmp_path):
    """Links of their own keep numbers that no shared one has."""
    own = write(tmp_path / "own.csv", "time_s,rate_bps", (0, 10**6))
    shared = write(
        tmp_path / "shared.csv", "time_s,rate_bps,pool,others", (0, 10**6, 0, 3), (0.5, 10**6, 5, 0), (9, 10**6, 5, 0)
    )
    ways = {"downlink": [own, shared, shared], "uplink": own}
    outcome = ns3(play, [Step([], limit_ns=NS_PER_S, wait=Wait.DEADLINE)], ways, "recorded").outcomes[0]
    told: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for time_ns, device, direction, others, pool, _, _ in CHANNEL_ROW.iter_unpack(outcome.channel):
        told.setdefault((device, direction), []).append((time_ns, pool, others))
    first, then = told[1, 0]
    assert told[2, 0] == [first, then]
    assert (first[2], then[2]) == (3, 0)
    assert then[0] == NS_PER_S // 2
    pools = [row[1] for rows in told.values() for row in rows]
    assert len(set(pools)) == len(pools) - 2 == 6
