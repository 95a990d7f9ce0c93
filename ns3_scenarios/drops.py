# SPDX-License-Identifier: GPL-2.0-only
"""What the network layer dropped of a device's transfers and why (native/drop-log.h), in words, with the remedy."""

from collections.abc import Sequence
from typing import Any

from .topology import Topology

_MOST_NAMED = 3

REASONS = {
    "NO_ROUTE": (
        "no route",
        "let the script set routes at both ends and at each node between, or wait for its routing protocol",
    ),
    "INTERFACE_DOWN": ("its interface is down", "let the script set it up"),
    "TTL_EXPIRED": ("time to live at its end", "the routes lead in a circle"),
    "ARP": (
        "ARP has no answer or no room",
        "is that an address of a node in reach? A script that sets ns3::ArpCache::PendingQueueSize needs to hold a "
        "transfer's packets",
    ),
}
"""What each of the native enumeration's reasons is called, and its remedy; in the order of their numbers."""


def described(ns: Any, topology: Topology, rows: Sequence[int]) -> tuple[str, ...]:
    """A sentence for each node and reason. `rows`: device, reason, node and IPv4 address as numbers, over and over."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i in range(0, len(rows), 4):
        device, reason, node, address = rows[i : i + 4]
        found.setdefault((node, reason), []).append((device, address))
    return tuple(_sentence(ns, topology, node, reason, met) for (node, reason), met in found.items())


def _sentence(ns: Any, topology: Topology, node: int, reason: int, met: Sequence[tuple[int, int]]) -> str:
    names = _some([topology.devices[device].name for device, _ in met])
    targets = _some(list(dict.fromkeys(_dotted(address) for _, address in met)))
    what, remedy = tuple(REASONS.values())[reason]
    return f"{names}: {what} at {_node(ns, topology, node)} to {targets}; {remedy}"


def _some(words: Sequence[str]) -> str:
    more = [f"{len(words) - _MOST_NAMED} more"] if len(words) > _MOST_NAMED else []
    return ", ".join([*words[:_MOST_NAMED], *more])


def _node(ns: Any, topology: Topology, number: int) -> str:
    """A node by what the scenario calls it, and ns-3's number of it."""
    places = [("the edge server", topology.edge_server), *((each.name, each.node) for each in topology.devices)]
    named = next((name for name, node in places if node.GetId() == number), None)
    named = named or str(ns.Names.FindName(ns.NodeList.GetNode(number))) or None
    return f"{named} (node {number})" if named else f"node {number}"


def _dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
