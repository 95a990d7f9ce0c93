# SPDX-License-Identifier: GPL-2.0-only
"""Several NR cells in a process that has ns-3: what each sent in each slot, what disturbed it, and what came of it."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bridge.network import Transfer, Wait
from ns3_scenarios.wheel import loader
from tests.support.still import open_still

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

    explicit HeardCells(ns3::Ptr<ns3::cosim::NrCells> all)
        : cells(ns3::PeekPointer(all))
    {
        std::function<void(int64_t)> slot = [this](int64_t number) { Note(number); };
        cells->TraceConnectWithoutContext("Slot", ns3::Callback<void, int64_t>(slot));
        for (uint32_t cell = 0; cell < cells->CountCells(); cell++)
        {
            std::function<void(const ns3::cosim::NrBlockTrace&)> block = [this, cell](const auto& came) {
                blocks.push_back({cell, came.slot, came.isUplink, came.device, came.sinrDb});
            };
            cells->Get(cell)->TraceConnectWithoutContext(
                "Block", ns3::Callback<void, const ns3::cosim::NrBlockTrace&>(block));
        }
    }

    void Note(int64_t slot)
    {
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


def heard(parameters: dict[str, Any], asked: Sequence[Transfer], limit_ns: int) -> tuple[list[Sent], list[Block]]:
    """Everything that cells and devices sent during an exchange of so long."""
    import cppyy

    network = open_still("nr-multicell", parameters, 1)
    try:
        loader.load(("spectrum",), ("nr-cells.h",))
        cppyy.cppdef(HEARD)
        found = cppyy.gbl.HeardCells(network._topology.keep[0])
        network.exchange(asked, network.now_ns, network.now_ns + limit_ns, Wait.DEADLINE)
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
