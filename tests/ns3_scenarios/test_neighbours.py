# SPDX-License-Identifier: GPL-2.0-only
"""Scripts whose nodes have to find each other: no first burst is lost to that, and what is missing is named."""

import math

import pytest

from bridge.network import NS_PER_S, Status, Transfer
from cosim.networks.probe import PROBE_BYTES, Probe
from tests import ROOT
from tests.support.ns3_worker import Call, Played, Step, play

LANS = ROOT / "tests" / "support" / "lans.py"
EACH = [Step([Transfer(i, PROBE_BYTES, 0, PROBE_BYTES)]) for i in range(2)]
PAYLOAD_BYTES = 1472


def played(ns3: Call, kind: str, steps: list[Step], **parameters: object) -> Played:
    result: Played = ns3(play, steps, parameters, f"{LANS}:{kind}")
    return result


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("kind", ["Lan", "Second", "AdHoc", "Mesh"])
def test_the_first_burst_arrives(ns3, kind, transport):
    for outcome in played(ns3, kind, EACH, transport=transport).outcomes:
        assert outcome.transfers[0].status is Status.DONE
        assert outcome.notes == ()


def test_nobody_asks_for_an_address(ns3):
    """The downlink of second.py takes its airtime on the cable, then the last frame's on the segment: no ARP before."""
    outcome = played(ns3, "Second", EACH[:1]).outcomes[0]
    datagrams = math.ceil(PROBE_BYTES / PAYLOAD_BYTES)
    last_bytes = PROBE_BYTES - (datagrams - 1) * PAYLOAD_BYTES + 28  # IPv4, UDP
    cable_ns = (PROBE_BYTES + datagrams * (28 + 2)) * 8 * NS_PER_S // 5_000_000 + 2_000_000  # PPP
    segment_ns = (last_bytes + 18) * 8 * NS_PER_S // 100_000_000 + 6560  # Ethernet II
    assert outcome.transfers[0].downlink_end_ns == pytest.approx(cable_ns + segment_ns, abs=2000)


@pytest.mark.parametrize("routing", ["olsr", "aodv", "dsdv"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_before_its_routes_exist_an_ad_hoc_network_fails_and_then_works(ns3, routing, transport):
    small = Step([Transfer(i, 3000, 0, 3000) for i in range(2)], 0, NS_PER_S // 2)
    result = played(ns3, "AdHoc", [small] * 40, routing=routing, transport=transport)
    statuses = [[transfer.status for transfer in outcome.transfers] for outcome in result.outcomes]
    assert statuses[-1] == [Status.DONE] * 2
    if routing == "olsr":
        assert Status.DONE not in statuses[0]
        assert "no route at" in result.outcomes[0].notes[0]


def test_tcp_goes_on_in_the_same_exchange_as_soon_as_there_is_a_route(ns3):
    outcome = played(ns3, "AdHoc", EACH[:1], routing="olsr", transport="tcp").outcomes[0]
    assert outcome.transfers[0].status is Status.DONE
    assert 2 * NS_PER_S < outcome.now_ns < 12 * NS_PER_S  # OLSR says hello every 2 s


@pytest.mark.parametrize(
    ("forgotten", "transport", "place"),
    [
        ("server", "udp", "no route at the edge server (node 0) to 10.1.2.2"),
        ("server", "tcp", "no route at the edge server (node 0) to 10.1.2.2"),
        ("router", "udp", "no route at node 1 to 10.9.9.9"),
        ("device", "udp", "no route at host0 (node 2) to 10.1.1.1"),
        ("device", "tcp", "no route at host0 (node 2) to 10.1.1.1"),
    ],
)
def test_a_forgotten_route_is_told_with_its_node_once(ns3, forgotten, transport, place):
    steps = [Step([Transfer(0, 100_000, 0, 100_000)], 0, 2 * NS_PER_S)] * 2
    first, second = played(ns3, "Second", steps, forgotten=forgotten, transport=transport).outcomes
    assert [note.partition(";")[0] for note in first.notes] == [f"host0: {place}"]
    assert second.notes == ()
    assert first.transfers[0].status is (Status.LOST if transport == "udp" else Status.LATE)
    assert Probe("host0", first.transfers[0], first.links[0], first.notes).problem == first.notes[0]


def test_where_arp_has_no_answer_it_is_named_with_the_remedy(ns3):
    steps = [Step([Transfer(0, 100_000, 0, 100_000)], 0, 10 * NS_PER_S)]
    outcome = played(ns3, "Lan", steps, phantom=True).outcomes[0]
    assert outcome.transfers[0].status is Status.LOST
    (note,) = outcome.notes
    assert note.startswith("host0: ARP has no answer or no room at the edge server (node 0) to 10.1.0.99; ")
    assert "ns3::ArpCache::PendingQueueSize" in note
