# SPDX-License-Identifier: GPL-2.0-only
"""Several NR cells in a process that has ns-3: what each sent in each slot, what disturbed it, and what came of it."""

import math
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bridge.network import Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS, neighbour_sites
from ns3_scenarios.scenarios.nr_multicell import NrMulticell
from ns3_scenarios.simulation import Simulation
from ns3_scenarios.wheel import loader
from tests.support.leaving import move_at
from tests.support.ns3_worker import Played, Step, carry_out
from tests.support.still import open_still

MS = 1_000_000
HEARD = """
#ifndef HEARD_CELLS
#define HEARD_CELLS
/// Of each transmission its PRBs (a digit of text each), its power on each, and what interferes on all PRBs; and
/// of each block what its cell's trace has.
struct HeardCells
{
    struct Sent
    {
        int64_t slot;
        bool isUplink;
        uint32_t cell;
        uint32_t device;
        std::string prbs;
        double psdMw;
        std::vector<double> interferenceMw;
    };

    struct Block
    {
        uint32_t cell;
        int64_t slot;
        bool isUplink;
        uint32_t device;
        double sinrDb;
    };

    ns3::cosim::NrCells* cells;
    std::vector<Sent> sent;
    std::vector<Block> blocks;
    std::vector<ns3::cosim::NrMobilityTrace> moves;
    bool isListening{true};

    explicit HeardCells(ns3::Ptr<ns3::cosim::NrCells> all)
        : cells(ns3::PeekPointer(all))
    {
        std::function<void(int64_t)> slot = [this](int64_t number) { Note(number); };
        cells->TraceConnectWithoutContext("Slot", ns3::Callback<void, int64_t>(slot));
        std::function<void(const ns3::cosim::NrMobilityTrace&)> move = [this](const auto& came) {
            moves.push_back(came);
        };
        cells->TraceConnectWithoutContext("Mobility",
                                          ns3::Callback<void, const ns3::cosim::NrMobilityTrace&>(move));
        for (uint32_t cell = 0; cell < cells->CountCells(); cell++)
        {
            std::function<void(const ns3::cosim::NrBlockTrace&)> block = [this, cell](const auto& came) {
                blocks.push_back({cell, came.slot, came.isUplink, came.device, came.sinrDb});
            };
            cells->Get(cell)->TraceConnectWithoutContext(
                "Block", ns3::Callback<void, const ns3::cosim::NrBlockTrace&>(block));
        }
    }

    std::string GetKind(size_t move) const
    {
        static const std::vector<std::string> KINDS{
            "reported", "refused", "commanded", "arrived", "failed", "reestablished", "reselected"};
        return KINDS[static_cast<size_t>(moves[move].kind)];
    }

    void Note(int64_t slot)
    {
        if (!isListening)
        {
            return;
        }
        ns3::cosim::NrGrid grid(cells->Get(0)->GetPrbs());
        for (uint32_t cell = 0; cell < cells->CountCells(); cell++)
        {
            for (bool isUplink : {false, true})
            {
                for (const auto& each : cells->Get(cell)->GetSent(isUplink, slot))
                {
                    std::string prbs(grid.GetPrbs(), '0');
                    grid.ForEach(each.allocation, [&prbs](uint32_t, uint32_t begin, uint32_t end) {
                        std::fill(prbs.begin() + begin, prbs.begin() + end, '1');
                    });
                    sent.push_back({slot, isUplink, cell, each.device, prbs, each.psdMw,
                                    cells->GetInterferenceMw(each.device, isUplink, slot)});
                }
            }
        }
    }
};
#endif
"""


class Sent(Struct, frozen=True):
    """A transmission: on which PRBs, with which power on each, and what interferes with it on all of the carrier's."""

    slot: int
    is_uplink: bool
    cell: int
    device: int
    prbs: list[bool]
    psd_mw: float
    interference_mw: list[float]


class Block(Struct, frozen=True):
    """A block as its cell's trace has it."""

    cell: int
    slot: int
    is_uplink: bool
    device: int
    sinr_db: float


class Move(Struct, frozen=True):
    """What befell a device between cells, numbered from 0."""

    kind: str
    time_ns: int
    device: int
    cell: int
    other: int


class Jumping(NrMulticell, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first device jumps along its `way`: virtual times in s, and x in m from then on."""

    name = "nr-jumping"
    way: tuple[tuple[float, float], ...] = ()

    def build(self, ns: Any) -> Any:
        topology = super().build(ns)
        for when_s, x_m in self.way:
            move_at(ns, topology.devices[0], when_s, x_m)
        return topology


def moved(steps: Sequence[Step], parameters: dict[str, Any]) -> tuple[Played, list[Move]]:
    """What came of the steps, and what befell the devices from the end of `attach` on."""
    import cppyy

    SCENARIOS[Jumping.name] = Jumping
    still = {"fading": False, "shadowing_sigma_db": 0.0, "nominal_power_dbm": -80, "path_loss_factor": 1.0}
    network = open_still(Jumping.name, still | parameters, 1)
    try:
        loader.load(("spectrum",), ("nr-cells.h",))
        cppyy.cppdef(HEARD)
        found = cppyy.gbl.HeardCells(network._topology.keep[0])
        found.isListening = False
        played = Played(network.info, [], [])
        for step in steps:
            played.departed_ns.append(network.now_ns + step.gap_ns)
            played.outcomes.append(carry_out(network, step))
        moves = [
            Move(str(found.GetKind(i)), int(move.timeNs), int(move.device), int(move.cell), int(move.other))
            for i, move in enumerate(found.moves)
        ]
        return played, moves
    finally:
        network.close()


Both = list[tuple[float, float]]


def agreeing(places_m: Sequence[Sequence[float]], loads: Sequence[float]) -> list[tuple[Both, Both]]:
    """SINRs down and up, in dB, of devices of a cell among six: of neighbours that are computed and of full cells.

    For each load, the share of its PRBs that each cell uses. NaN where another one serves the device. Devices of the
    full cells stand where the neighbours' users do.
    """
    still = {"line_of_sight": "never", "shadowing_sigma_db": 0.0, "fading": False, "layers": 1, "bandwidth_mhz": 20}
    computed: list[Both] = []
    for load in loads:
        around = {"sites": 6, "load": load / len(neighbour_sites.AZIMUTHS_DEG)}
        network = open_still("nr", still | {"positions_m": places_m, "neighbours": around}, 1)
        try:
            links = network.exchange([], network.now_ns, network.now_ns + MS, Wait.DEADLINE).links
            computed.append([(link.downlink_sinr_db, link.uplink_sinr_db) for link in links])
            neighbours = network._topology.keep[1][1]
            users = [neighbours.GetUserPosition(i, user) for i in range(18) for user in range(10)]
            users_m = [[at.x, at.y, at.z] for at in users]
        finally:
            network.close()
    all_m = [*places_m, *users_m]
    movement = {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * len(all_m)}
    full = still | {"cells": 7, "positions_m": all_m, "movement": movement, "scheduler": "rr"}
    network = open_still("nr-multicell", full, 1)
    try:
        simulated = [_of_full_cells(network, len(places_m), load) for load in loads]
    finally:
        network.close()
    return list(zip(computed, simulated, strict=True))


def _of_full_cells(network: Simulation, inner: int, load: float) -> Both:
    """Of the first devices, while 30 around each other site share this part of the PRBs."""
    outer = len(network.info.devices) - inner
    network._topology.apply_shares([*(0.0 for _ in range(inner)), *(load / 30 for _ in range(outer))])
    found = []
    for size in ((150_000, 1), (1, 100_000)):  # several times what fits
        asked = [Transfer(inner + i, size[0], 0, size[1]) for i in range(outer)]
        found.append(network.exchange(asked, network.now_ns, network.now_ns + 120 * MS, Wait.DEADLINE).links[:inner])
    return [
        (down.downlink_sinr_db, up.uplink_sinr_db) if down.cell == up.cell == 1 else (math.nan, math.nan)
        for down, up in zip(*found, strict=True)
    ]


def heard(
    parameters: dict[str, Any], asked: Sequence[Transfer], limit_ns: int, shares: Sequence[float] | None = None
) -> tuple[list[Sent], list[Block]]:
    """Everything that cells and devices sent during an exchange of so long."""
    import cppyy

    network = open_still("nr-multicell", parameters, 1)
    try:
        loader.load(("spectrum",), ("nr-cells.h",))
        cppyy.cppdef(HEARD)
        found = cppyy.gbl.HeardCells(network._topology.keep[0])
        network.exchange(asked, network.now_ns, network.now_ns + limit_ns, Wait.DEADLINE, shares)
        sent = [
            Sent(
                each.slot,
                bool(each.isUplink),
                each.cell,
                each.device,
                [prb == "1" for prb in str(each.prbs)],
                each.psdMw,
                list(each.interferenceMw),
            )
            for each in found.sent
        ]
        blocks = [Block(each.cell, each.slot, bool(each.isUplink), each.device, each.sinrDb) for each in found.blocks]
        return sent, blocks
    finally:
        network.close()
