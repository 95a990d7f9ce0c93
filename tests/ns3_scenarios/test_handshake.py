# SPDX-License-Identifier: GPL-2.0-only
"""TCP connections that are let go at every moment of their opening, on every radio."""

from typing import Any

import pytest

from bridge.network import NS_PER_S, Outcome, Status, Transfer, Wait
from ns3_scenarios.simulation import Simulation, open_network

COMING_S = 1.0
SILENT_S = 0.15  # less than any radio takes to notice
# The device comes when nothing can cross: its first SYN meets no one.
LIFE = [
    {"kind": "absence", "intervals_s": [[0.0, COMING_S]]},
    {"kind": "outage", "intervals_s": [[COMING_S, COMING_S + SILENT_S]]},
]
ENDLESS_BYTES = 10_000_000
ATTEMPTS = 60

RADIOS: dict[str, tuple[str, dict[str, Any], int]] = {
    "wired": ("wired", {"devices": 2, "delay_s": 0.001}, 100_000),
    "csma": ("wired", {"devices": 2, "kind": "csma"}, 4_000),
    "lte": ("lte", {"devices": 2}, 1_000_000),
    "lte-multicell": ("lte-multicell", {"devices": 2}, 1_000_000),
    "nr": ("nr", {"distances_m": [50, 60], "line_of_sight": "always"}, 250_000),
    "nr-multicell": ("nr-multicell", {"devices": 2, "line_of_sight": "always"}, 250_000),
    "wifi": ("wifi", {"devices": 2}, 50_000),
    "recorded": ("recorded", {"devices": 2}, 1_000_000),
    "mixed": ("mixed", {"lte_devices": 1, "wifi_devices": 1}, 1_000_000),
}
"""Scenario, parameters, and a step that leads through the handshake in fewer than `ATTEMPTS`."""


def everyone(network: Simulation, size_bytes: int, limit_ns: int, wait: Wait = Wait.ALL) -> Outcome:
    asked = [Transfer(i, size_bytes, 0, size_bytes) for i in range(len(network.info.devices))]
    return network.exchange(asked, network.now_ns, network.now_ns + limit_ns, wait)


def let_go(scenario: str, parameters: dict[str, Any], step_ns: int, attempts: int) -> tuple[set[Status], Outcome]:
    """Cut a transfer off a step later each time, its connection being opened when the one before was cut off."""
    network = open_network(scenario, {"transport": "tcp", **parameters}, 1)
    try:
        if "life" in parameters:
            coming_ns = max(network.now_ns, round(COMING_S * NS_PER_S))
            network.exchange([], coming_ns, coming_ns)
            everyone(network, 1, round(SILENT_S * NS_PER_S / 2))
        came: set[Status] = set()
        for attempt in range(attempts):
            came |= {transfer.status for transfer in everyone(network, ENDLESS_BYTES, attempt * step_ns).transfers}
        return came, everyone(network, 3000, 20 * NS_PER_S)
    finally:
        network.close()


@pytest.mark.parametrize("radio", RADIOS)
@pytest.mark.parametrize("life", [[], LIFE], ids=["there", "coming"])
def test_a_connection_is_let_go_at_every_moment_of_its_opening(ns3, radio, life):
    scenario, parameters, step_ns = RADIOS[radio]
    came, last = ns3(let_go, scenario, {**parameters, **({"life": life} if life else {})}, step_ns, ATTEMPTS)
    assert Status.DONE not in came
    downlinks_ns = [transfer.downlink_end_ns - transfer.downlink_begin_ns for transfer in last.transfers]
    assert life or max(downlinks_ns) < 2 * ATTEMPTS * step_ns  # a SYN that met no one is sent again in seconds
    assert [transfer.status for transfer in last.transfers] == [Status.DONE] * 2


def test_every_nanosecond_at_which_something_arrives_is_among_them(ns3):
    """At 8 Mbit/s a byte lasts 1 µs: SYN, SYN with acknowledgement and acknowledgement arrive at whole microseconds."""
    parameters = {"devices": 1, "rate_bps": 8_000_000}
    came, last = ns3(let_go, "wired", parameters, 1000, 300)
    assert came == {Status.LATE}
    assert last.transfers[0].status is Status.DONE


@pytest.mark.parametrize(("outage_s", "deadline_s"), [(0.4, 0.5), (9.5, 10.0), (9.5, 12.5)])
def test_an_outage_from_the_start_costs_the_exchanges_that_it_covers(ns3, outage_s, deadline_s):
    life = [{"kind": "outage", "intervals_s": [[0.0, outage_s]]}]
    first, second = ns3(two_exchanges, {"devices": 1, "life": life}, round(deadline_s * NS_PER_S))
    assert [first, second] == [Status.LATE, Status.DONE]


def two_exchanges(parameters: dict[str, Any], limit_ns: int) -> list[Status]:
    network = open_network("wired", {"transport": "tcp", **parameters}, 1)
    try:
        return [everyone(network, 3000, limit_ns).transfers[0].status for _ in range(2)]
    finally:
        network.close()
