# SPDX-License-Identifier: GPL-2.0-only
"""Messages of users over cables, where every time has a closed form: beside exchanges and between them."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct

from bridge.network import Conveyed, Delivery, Message, Network, Outcome, RequestError, Status, Transfer
from tests.ns3_scenarios.test_transfers import airtime_ns
from tests.support.ns3_worker import Call
from tests.support.still import open_still

RATE_BPS, DELAY_NS = 1_000_000, 1_000_000
LATE_NS = 10**9


class Talk(Struct, frozen=True):
    """A call of `convey`, or an exchange if there are transfers, at so long after the beginning."""

    until_ns: int = 0
    messages: Sequence[Message] = ()
    transfers: Sequence[Transfer] = ()


def talk(talks: Sequence[Talk], parameters: dict[str, Any], scenario: str = "wired-star") -> list[Conveyed | Outcome]:
    network = open_still(scenario, parameters, 1, None)
    try:
        return [_asked(network, each) for each in talks]
    finally:
        network.close()


def _asked(network: Network, asked: Talk) -> Conveyed | Outcome:
    if asked.transfers:
        return network.exchange(asked.transfers, asked.until_ns, asked.until_ns + 10**10)
    return network.convey(asked.messages, asked.until_ns)


def star(ns3: Call, *talks: Talk, devices: int = 2, **parameters: object) -> list[Any]:
    return ns3(talk, talks, {"rates_bps": [RATE_BPS] * devices, "delay_s": DELAY_NS / 1e9, **parameters})


def message(number: int, size_bytes: int, begin_ns: int = 0, device: int = 0, up: bool = False) -> Message:
    return Message(number, device, up, size_bytes, begin_ns, begin_ns + LATE_NS)


def took_ns(size_bytes: int) -> int:
    return airtime_ns(size_bytes, RATE_BPS, DELAY_NS)


def test_each_takes_its_airtime_both_ways_and_ends_the_call(ns3):
    asked = [message(7, 5000, 10, up=True), message(8, 300, 20, device=1), message(9, 40, 10**8)]
    first, second, third, fourth = star(ns3, Talk(10**9, asked), Talk(10**9), Talk(5 * 10**7), Talk(10**9))
    ends = [20 + took_ns(300), 10 + took_ns(5000), 10**8 + took_ns(40)]
    assert first == Conveyed(ends[0], (Delivery(8, Status.DONE, ends[0]),))
    assert second == Conveyed(ends[1], (Delivery(7, Status.DONE, ends[1]),))
    assert third == Conveyed(5 * 10**7, ())
    assert fourth == Conveyed(ends[2], (Delivery(9, Status.DONE, ends[2]),))


def test_an_exchange_and_messages_go_their_ways_at_once(ns3):
    """On cables of their own each is as if it were alone; on one they queue, whoever came first."""
    transfer = Transfer(0, 20_000, 1000, 20_000)
    alone = star(ns3, Talk(1000, transfers=[transfer]))[0].transfers[0]
    sent = [message(0, 900, 2000, device=1, up=True), message(1, 900, 3000, device=1), message(2, 4, 1000)]
    late_ns = took_ns(4) - DELAY_NS  # message 2 is handed over first, and the transfer waits for the cable
    end = Talk(alone.uplink_end_ns + late_ns)
    begun, beside, told = star(ns3, Talk(0, sent), Talk(1000, transfers=[transfer]), end)
    assert begun == Conveyed(0, ())
    ends_ns = [getattr(alone, name) for name in ("downlink_end_ns", "compute_end_ns", "uplink_end_ns")]
    came = beside.transfers[0]
    assert [came.downlink_end_ns, came.compute_end_ns, came.uplink_end_ns] == [each + late_ns for each in ends_ns]
    assert told.now_ns == beside.now_ns
    assert told.deliveries == (
        Delivery(2, Status.DONE, 1000 + took_ns(4)),
        Delivery(0, Status.DONE, 2000 + took_ns(900)),
        Delivery(1, Status.DONE, 3000 + took_ns(900)),
    )


def test_a_full_link_delays_each_by_those_before(ns3):
    asked = [message(number, 1000, number) for number in range(5)]
    told = star(ns3, Talk(0, asked), *[Talk(10**9)] * 5)
    ends = [each for conveyed in told for each in conveyed.deliveries]
    airtime = took_ns(1000) - DELAY_NS
    assert ends == [Delivery(k, Status.DONE, (k + 1) * airtime + DELAY_NS) for k in range(5)]


def test_what_is_lost_or_late_is_told_apart_at_its_deadline(ns3):
    late = Message(1, 1, True, 200_000, 50, 10**8)
    told = star(ns3, Talk(0, [message(0, 3000), late]), Talk(2 * LATE_NS), Talk(2 * LATE_NS), drop=(1,))
    assert told[1:] == [
        Conveyed(10**8, (Delivery(1, Status.LATE, 10**8),)),
        Conveyed(LATE_NS, (Delivery(0, Status.LOST, LATE_NS),)),
    ]


def test_what_makes_no_sense_is_refused(ns3):
    for asked, field in (
        (Message(0, 2, False, 1, 0, 1), "messages.device"),
        (Message(-1, 0, False, 1, 0, 1), "messages.message"),
        (Message(0, 0, False, 0, 0, 1), "messages.size_bytes"),
        (Message(0, 0, False, 1, 5, 1), "messages.deadline_ns"),
    ):
        with pytest.raises(RequestError, match=field):
            star(ns3, Talk(0, [asked]))


def test_messages_are_datagrams_also_where_exchanges_are_streams(ns3):
    sent = [message(0, 3000, up=True), message(1, 3000, device=1)]
    transfer = Transfer(0, 20_000, 1000, 20_000)
    told = star(ns3, Talk(0, sent), Talk(1000, transfers=[transfer]), Talk(2 * LATE_NS), transport="tcp")
    assert told[1].transfers[0].status is Status.DONE
    up, down = sorted(told[2].deliveries, key=lambda each: each.message)
    assert down == Delivery(1, Status.DONE, took_ns(3000))
    assert up.status is Status.DONE
    assert up.end_ns >= took_ns(3000)  # an acknowledgement may have been before it


def beside(ns3: Call, scenario: str, parameters: dict[str, Any], messages: int, transfers: int) -> tuple[int, int]:
    """How long an exchange takes, and the last of some messages to device 1: one that begins with it, others behind."""
    return ns3(_beside, scenario, {"devices": 2, **parameters}, messages, transfers)


def _beside(scenario: str, parameters: dict[str, Any], messages: int, transfers: int) -> tuple[int, int]:
    network = open_still(scenario, parameters, 1, None)
    try:
        begin_ns = network.now_ns
        sent = [message(number, 200_000, begin_ns + number, device=1) for number in range(messages)]
        network.convey(sent, begin_ns)
        asked = [Transfer(device, 300_000, 0, 100) for device in range(transfers)]
        outcome = network.exchange(asked, begin_ns, begin_ns + 10**10)
        assert all(each.status is Status.DONE for each in outcome.transfers)
        told: list[Delivery] = []
        while len(told) < messages:
            told += network.convey((), max(network.now_ns, begin_ns + 2 * LATE_NS)).deliveries
        assert all(each.status is Status.DONE for each in told)
        return outcome.now_ns - begin_ns, max((each.end_ns - begin_ns for each in told), default=0)
    finally:
        network.close()


@pytest.mark.parametrize(
    ("scenario", "parameters"),
    [
        ("lte", {}),
        ("nr", {}),
        ("wifi", {"transport": "udp"}),
        ("wired", {"kind": "csma", "rate_bps": 50_000_000}),
    ],
)
def test_on_one_radio_what_a_user_is_told_delays_hidden_states_and_they_it(ns3, scenario, parameters):
    """All share what goes down: what is last there is later by about as much as the others take."""
    without_ns, _ = beside(ns3, scenario, parameters, 0, 1)
    _, alone_ns = beside(ns3, scenario, parameters, 2, 0)
    exchange_ns, told_ns = beside(ns3, scenario, parameters, 2, 1)
    assert exchange_ns > 1.2 * without_ns
    assert told_ns > 1.2 * alone_ns
