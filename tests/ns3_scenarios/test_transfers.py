# SPDX-License-Identifier: GPL-2.0-only
"""Transfers over cables, where every time has a closed form."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import NS_PER_S, RequestError, Status, Transfer, Wait
from tests.support.ns3_worker import Call, Played, Step, play

PAYLOAD_BYTES = 1472
HEADERS_BYTES = 20 + 8 + 2  # IPv4, UDP, PPP
RATES_BPS = (1_000_000, 2_000_000, 8_000_000, 40_000_000)  # a byte lasts a whole number of ns


def star(ns3: Call, steps: list[Step], **parameters: object) -> Played:
    return ns3(play, steps, parameters, "wired-star")


def airtime_ns(payload_bytes: int, rate_bps: int, delay_ns: int) -> int:
    """From the first bit sent to the last bit received of a block of UDP datagrams."""
    datagrams = math.ceil(payload_bytes / PAYLOAD_BYTES)
    return (payload_bytes + datagrams * HEADERS_BYTES) * 8 * NS_PER_S // rate_bps + delay_ns


transfers = st.builds(
    Transfer,
    device=st.just(0),
    downlink_bytes=st.integers(1, 200_000),
    compute_ns=st.integers(0, 10**9),
    uplink_bytes=st.integers(1, 200_000),
)


@settings(max_examples=30, deadline=None)
@given(
    asked=st.lists(transfers, min_size=1, max_size=4),
    rates=st.lists(st.sampled_from(RATES_BPS), min_size=4, max_size=4),
    delay_us=st.integers(1, 100_000),
    gap_ns=st.integers(0, 10**8),
)
def test_udp_takes_exactly_its_airtime(ns3, asked, rates, delay_us, gap_ns):
    asked = [Transfer(i, t.downlink_bytes, t.compute_ns, t.uplink_bytes) for i, t in enumerate(asked)]
    played = star(ns3, [Step(asked, gap_ns)] * 2, rates_bps=rates, delay_s=delay_us / 10**6)
    for outcome, depart_ns in zip(played.outcomes, played.departed_ns, strict=True):
        ends = []
        for transfer, came in zip(asked, outcome.transfers, strict=True):
            down_ns = airtime_ns(transfer.downlink_bytes, rates[transfer.device], delay_us * 1000)
            up_ns = airtime_ns(transfer.uplink_bytes, rates[transfer.device], delay_us * 1000)
            assert came.status is Status.DONE
            assert came.downlink_begin_ns == depart_ns
            assert came.downlink_end_ns == depart_ns + down_ns
            assert came.compute_end_ns == depart_ns + down_ns + transfer.compute_ns
            assert came.uplink_end_ns == depart_ns + down_ns + transfer.compute_ns + up_ns
            ends.append(came.uplink_end_ns)
        assert outcome.now_ns == max(ends)
        assert all(link.connected and link.cqi is None for link in outcome.links)


def test_tcp_brings_every_byte_no_faster_than_the_cable(ns3):
    asked = [Transfer(0, 300_000, 5_000_000, 200_000)]
    played = star(ns3, [Step(asked)] * 3, rates_bps=[8_000_000], transport="tcp")
    segment_share = 1448 / (1448 + 20 + 32 + 2)
    for outcome, depart_ns in zip(played.outcomes, played.departed_ns, strict=True):
        came = outcome.transfers[0]
        assert came.status is Status.DONE
        for took_ns, payload_bytes in (
            (came.downlink_end_ns - depart_ns, 300_000),
            (came.uplink_end_ns - came.compute_end_ns, 200_000),
        ):
            least_ns = payload_bytes / segment_share * 1000
            assert least_ns < took_ns < 1.5 * least_ns


def test_wait_any_ends_with_the_first_and_cancels_the_others(ns3):
    rates = [1_000_000, 8_000_000, 2_000_000]
    asked = [Transfer(i, 10_000, 0, 10_000) for i in range(3)]
    played = star(ns3, [Step(asked, wait=Wait.ANY)], rates_bps=rates)
    statuses = [came.status for came in played.outcomes[0].transfers]
    assert statuses == [Status.LATE, Status.DONE, Status.LATE]
    assert played.outcomes[0].now_ns == 2 * airtime_ns(10_000, 8_000_000, 1_000_000)


def test_wait_deadline_goes_on_when_all_is_done(ns3):
    played = star(ns3, [Step([Transfer(0, 1000, 0, 1000)], 5, NS_PER_S, Wait.DEADLINE)])
    assert played.outcomes[0].transfers[0].status is Status.DONE
    assert played.outcomes[0].now_ns == NS_PER_S + 5


@pytest.mark.parametrize(("spare_ns", "status"), [(0, Status.DONE), (-1, Status.LATE)])
def test_an_answer_at_the_deadline_is_in_time(ns3, spare_ns, status):
    needed_ns = airtime_ns(5000, 8_000_000, 1_000_000) + 7 + airtime_ns(3000, 8_000_000, 1_000_000)
    played = star(ns3, [Step([Transfer(0, 5000, 7, 3000)], 0, needed_ns + spare_ns)])
    came = played.outcomes[0].transfers[0]
    assert came.status is status
    assert came.compute_end_ns is not None
    assert played.outcomes[0].now_ns == needed_ns + spare_ns


@pytest.mark.parametrize(("wait", "end_ns"), [(Wait.ALL, 3), (Wait.ANY, 3), (Wait.DEADLINE, 13)])
def test_an_exchange_of_nothing_moves_the_clock(ns3, wait, end_ns):
    played = star(ns3, [Step([], 3, 10, wait)])
    assert played.outcomes[0].now_ns == end_ns
    assert played.outcomes[0].transfers == ()


@settings(max_examples=20, deadline=None)
@given(cut_ns=st.integers(0, 400_000_000), uplink_bytes=st.integers(1, 100_000))
def test_a_cancelled_transfer_leaves_nothing_behind(ns3, cut_ns, uplink_bytes):
    """Wherever it was cut, the next one takes exactly its airtime, once the packets in the cables are gone."""
    cut = Step([Transfer(0, 100_000, 1_000_000, 100_000)], 0, cut_ns)
    packet_ns = airtime_ns(PAYLOAD_BYTES, 8_000_000, 1_000_000)
    after = Step([Transfer(0, 30_000, 0, uplink_bytes)], packet_ns)
    played = star(ns3, [cut, after], rates_bps=[8_000_000])
    assert played.took_ns(1) == [
        airtime_ns(30_000, 8_000_000, 1_000_000) + airtime_ns(uplink_bytes, 8_000_000, 1_000_000)
    ]


def test_packets_still_in_the_cable_are_not_counted_to_the_next_exchange(ns3):
    """With a second of cable, a whole cancelled block is on its way when the next exchange begins."""
    cut = Step([Transfer(0, 14_720, 0, 1)], 0, 100_000_000)
    after = Step([Transfer(0, 14_720, 0, 1)])
    played = star(ns3, [cut, after], rates_bps=[8_000_000], delay_s=1.0)
    assert played.took_ns(1) == [airtime_ns(14_720, 8_000_000, NS_PER_S) + airtime_ns(1, 8_000_000, NS_PER_S)]


@pytest.mark.parametrize("dropped", [0, 3, 6])
def test_a_dropped_datagram_is_lost_and_a_dropped_segment_is_sent_again(ns3, dropped):
    """The first, one in the middle, and the last: nothing behind it tells of its loss."""
    asked = [Step([Transfer(0, 7 * PAYLOAD_BYTES, 0, 100)], 0, 5 * NS_PER_S)]
    assert star(ns3, asked, drop=[dropped]).outcomes[0].transfers[0].status is Status.LOST
    assert star(ns3, asked, drop=[dropped + 3], transport="tcp").outcomes[0].transfers[0].status is Status.DONE


def refused(ask: dict[str, object]) -> tuple[str, bool]:
    """The field that a request is refused with, and whether the clock stood still."""
    from ns3_scenarios.simulation import open_network

    network = open_network("wired-star", {"rates_bps": [10**6, 10**6]}, 1)
    try:
        network.exchange([Transfer(0, 10, 0, 10)], 50, NS_PER_S)
        before_ns = network.now_ns
        request = {"transfers": [], "depart_ns": before_ns, "deadline_ns": before_ns + NS_PER_S, **ask}
        with pytest.raises(RequestError) as refusal:
            network.exchange(**request)
        return refusal.value.field, network.now_ns == before_ns
    finally:
        network.close()


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        ({"depart_ns": 0}, "depart_ns"),
        ({"deadline_ns": 0}, "deadline_ns"),
        ({"deadline_ns": 2**63}, "deadline_ns"),
        ({"transfers": [Transfer(2, 1, 0, 1)]}, "transfers.device"),
        ({"transfers": [Transfer(0, 0, 0, 1)]}, "transfers.downlink_bytes"),
        ({"transfers": [Transfer(0, 1, -1, 1)]}, "transfers.compute_ns"),
        ({"transfers": [Transfer(1, 1, 0, 1)] * 2}, "transfers.device"),
        ({"bandwidth_shares": [0.5, 0.5]}, "bandwidth_shares"),
    ],
)
def test_a_senseless_request_is_refused_by_name_and_the_clock_stands(ns3, ask, field):
    assert ns3(refused, ask) == (field, True)
