# SPDX-License-Identifier: GPL-2.0-only
"""NR cells that release connections, in a process that has ns-3: what came of exchanges, and of the connections."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tests.support.nr_counts import Counts, counts_of
from tests.support.ns3_worker import Played, Step, carry_out
from tests.support.still import open_still

NOTED = """
#ifndef NOTED_CONNECTIONS
#define NOTED_CONNECTIONS
struct NotedConnections
{
    std::vector<ns3::cosim::NrConnectionTrace> came;
    std::vector<uint32_t> cells;

    void Listen(ns3::Ptr<ns3::cosim::NrCell> cell, uint32_t number)
    {
        std::function<void(const ns3::cosim::NrConnectionTrace&)> note = [this, number](const auto& each) {
            came.push_back(each);
            cells.push_back(number);
        };
        cell->TraceConnectWithoutContext("Connection",
                                         ns3::Callback<void, const ns3::cosim::NrConnectionTrace&>(note));
    }

    std::string GetKind(size_t i) const
    {
        static const std::vector<std::string> KINDS{
            "released", "paged", "preamble", "unheard", "collided", "connected", "given up"};
        return KINDS[static_cast<size_t>(came[i].kind)];
    }
};
#endif
"""


class Event(Struct, frozen=True):
    """Of a device's connection, in a cell, both numbered from 0."""

    kind: str
    time_ns: int
    device: int
    cell: int


class Connected(Struct, frozen=True):
    """What came of the steps, of the connections meanwhile, and of the cell's counts."""

    played: Played
    events: list[Event]
    counts: list[tuple[Counts, Counts]]

    def times(self, kind: str, device: int = 0) -> list[int]:
        """In ns."""
        return [event.time_ns for event in self.events if (event.kind, event.device) == (kind, device)]


def connected(steps: Sequence[Step], parameters: dict[str, Any], scenario: str = "nr", seed: int = 1) -> Connected:
    """Open a network, carry out the steps, and close it."""
    import cppyy

    network = open_still(scenario, parameters, seed)
    try:
        cppyy.cppdef(NOTED)
        noted = cppyy.gbl.NotedConnections()
        kept = network._topology.keep[0]
        cells = [kept] if scenario == "nr" else [kept.Get(i) for i in range(kept.CountCells())]
        for i, cell in enumerate(cells):
            noted.Listen(cell, i)
        played = Played(network.info, [], [])
        for step in steps:
            played.departed_ns.append(network.now_ns + step.gap_ns)
            played.outcomes.append(carry_out(network, step))
        events = [
            Event(str(noted.GetKind(i)), int(came.timeNs), int(came.device), int(noted.cells[i]))
            for i, came in enumerate(noted.came)
        ]
        return Connected(played, events, counts_of(cells[0]))
    finally:
        network.close()
