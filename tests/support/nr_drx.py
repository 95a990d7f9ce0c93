# SPDX-License-Identifier: GPL-2.0-only
"""Discontinuous reception of a device without a cell, in a process that has ns-3."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ns3_scenarios.wheel import loader
from tests.support.ns3_worker import Step, carry_out
from tests.support.still import open_still

PROCESSES = 4


class Happening(NamedTuple):
    """In a slot: "learn" of a transmission that is new or not, "answer" to one down that is decoded or not, "send"."""

    slot: int
    kind: str
    process: int
    is_uplink: bool = False
    is_so: bool = False


def listening(
    numerology: int,
    device: int,
    times_ms: tuple[int, int, int],
    retransmissions: tuple[int, int],
    happenings: Sequence[Happening],
    slots: int,
    first_slot: int = 0,
) -> list[bool]:
    """In which slots of FDD a device listens, asked before what happens there.

    `times_ms`: cycle, on-duration, inactivity. `retransmissions`: symbols of the RTT timer, slots of the other one.
    """
    ns = loader.load(("spectrum",), ("nr-drx.h",))
    settings = ns.cosim.NrDrxSettings()
    settings.cycleMs = times_ms[0]
    settings.onDuration, settings.inactivity = map(ns.MilliSeconds, times_ms[1:])
    settings.rttSymbols, settings.retransmissionSlots = retransmissions
    frame = ns.cosim.NrFrameSettings()
    frame.numerology, frame.pattern = numerology, "F"
    frame.pdcchSymbols, frame.pucchSymbols = 2, 1
    drx = ns.cosim.NrDrx(ns.cosim.NrFrame(frame), settings, device, PROCESSES)
    by_slot: dict[int, list[Happening]] = {}
    for happening in happenings:
        by_slot.setdefault(happening.slot, []).append(happening)
    found = []
    for slot in range(first_slot, first_slot + slots):
        found.append(bool(drx.IsActive(slot)))
        for what in by_slot.get(slot, []):
            if what.kind == "learn":
                drx.Learn(what.is_uplink, what.process, slot, what.is_so)
            elif what.kind == "answer":
                drx.Answer(what.process, slot, what.is_so)
            else:
                drx.Send(what.process, slot)
    return found


BLOCKS = """
#ifndef SENT_BLOCKS
#define SENT_BLOCKS
struct SentBlocks
{
    std::vector<ns3::cosim::NrBlockTrace> came;

    void Listen(ns3::Ptr<ns3::cosim::NrCell> cell)
    {
        std::function<void(const ns3::cosim::NrBlockTrace&)> note = [this](const auto& each) { came.push_back(each); };
        cell->TraceConnectWithoutContext("Block", ns3::Callback<void, const ns3::cosim::NrBlockTrace&>(note));
    }
};
#endif
"""


class Block(NamedTuple):
    """`transmission`: 1 is the first."""

    slot: int
    device: int
    is_uplink: bool
    transmission: int
    is_decoded: bool


def blocks(steps: Sequence[Step], parameters: dict[str, Any]) -> list[Block]:
    """All that an NR cell sends during the steps."""
    import cppyy

    network = open_still("nr", parameters, 1)
    try:
        cppyy.cppdef(BLOCKS)
        noted = cppyy.gbl.SentBlocks()
        noted.Listen(network._topology.keep[0])
        for step in steps:
            carry_out(network, step)
        return [
            Block(each.slot, each.device, bool(each.isUplink), each.transmission, bool(each.isDecoded))
            for each in noted.came
        ]
    finally:
        network.close()
