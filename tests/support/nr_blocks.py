# SPDX-License-Identifier: GPL-2.0-only
"""The transport blocks of an NR cell in a process of its own, as its trace has them."""

from typing import Any

from msgspec import Struct

from bridge.network import NS_PER_S, Transfer, Wait
from ns3_scenarios.wheel import loader
from tests.support.still import open_still

HEARD = """
#ifndef HEARD_BLOCKS
#define HEARD_BLOCKS
struct HeardBlocks
{
    std::vector<ns3::cosim::NrBlockTrace> blocks;

    explicit HeardBlocks(ns3::Ptr<ns3::cosim::NrCell> cell)
    {
        std::function<void(const ns3::cosim::NrBlockTrace&)> hear = [this](const auto& block) {
            blocks.push_back(block);
        };
        cell->TraceConnectWithoutContext("Block", ns3::Callback<void, const ns3::cosim::NrBlockTrace&>(hear));
    }
};
#endif
"""


class Block(Struct, frozen=True):
    """One transmission of a transport block."""

    slot: int
    device: int
    is_uplink: bool
    transmission: int
    prbs: int
    bits: int
    sinr_db: float


def heard(asked: list[Transfer], limit_s: float, parameters: dict[str, Any]) -> list[Block]:
    """Open an NR network in this process, ask for the transfers, and have each block of so long."""
    return heard_by_exchange([asked], limit_s, parameters)[0]


def heard_by_exchange(exchanges: list[list[Transfer]], limit_s: float, parameters: dict[str, Any]) -> list[list[Block]]:
    """The same for one after the other, each of so long."""
    import cppyy

    network = open_still("nr", parameters, 1)
    try:
        loader.load(("spectrum",), ("nr-cell.h",))
        cppyy.cppdef(HEARD)
        found = cppyy.gbl.HeardBlocks(network._topology.keep[0])
        blocks = []
        for asked in exchanges:
            found.blocks.clear()
            network.exchange(asked, network.now_ns, network.now_ns + round(limit_s * NS_PER_S), Wait.DEADLINE)
            blocks.append([block_of(each) for each in found.blocks])
        return blocks
    finally:
        network.close()


def block_of(traced: Any) -> Block:
    """Of what the trace of a cell says."""
    numbers = (int(each) for each in (traced.transmission, traced.prbs, traced.bits))
    return Block(int(traced.slot), int(traced.device), bool(traced.isUplink), *numbers, float(traced.sinrDb))
