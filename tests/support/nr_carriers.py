# SPDX-License-Identifier: GPL-2.0-only
"""An NR cell of two carriers in a process that has ns-3: the blocks of each, and every packet at both ends."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bridge.network import NetworkInfo, Outcome
from ns3_scenarios.wheel import loader
from tests.support.nr_counts import FIELDS, Counts
from tests.support.ns3_worker import Step, carry_out
from tests.support.still import open_still

HEARD = """
#ifndef HEARD_CARRIERS
#define HEARD_CARRIERS
/// Of each carrier its blocks, and of each NR net device the UIDs of the packets that it sends and receives.
struct HeardCarriers
{
    struct End
    {
        int64_t device; // negative: the gNB's
        std::vector<uint64_t> sent;
        std::vector<uint64_t> received;
    };

    std::vector<std::vector<ns3::cosim::NrBlockTrace>> blocks;
    std::deque<End> ends;

    explicit HeardCarriers(ns3::Ptr<ns3::cosim::NrCell> cell)
    {
        blocks.resize(2);
        for (uint32_t carrier = 0; cell; cell = cell->GetSecondary(), carrier++)
        {
            std::function<void(const ns3::cosim::NrBlockTrace&)> hear = [this, carrier](const auto& block) {
                blocks[carrier].push_back(block);
            };
            cell->TraceConnectWithoutContext("Block", ns3::Callback<void, const ns3::cosim::NrBlockTrace&>(hear));
        }
        for (auto node = ns3::NodeList::Begin(); node != ns3::NodeList::End(); node++)
        {
            for (uint32_t i = 0; i < (*node)->GetNDevices(); i++)
            {
                if (auto end = ns3::DynamicCast<ns3::cosim::NrNetDevice>((*node)->GetDevice(i)))
                {
                    auto& heard = ends.emplace_back();
                    heard.device = end->GetDevice();
                    Listen(end, "MacTx", heard.sent);
                    Listen(end, "MacRx", heard.received);
                }
            }
        }
    }

    void Listen(ns3::Ptr<ns3::cosim::NrNetDevice> end, const std::string& source, std::vector<uint64_t>& packets)
    {
        std::function<void(ns3::Ptr<const ns3::Packet>)> hear = [&packets](ns3::Ptr<const ns3::Packet> packet) {
            packets.push_back(packet->GetUid());
        };
        end->TraceConnectWithoutContext(source, ns3::Callback<void, ns3::Ptr<const ns3::Packet>>(hear));
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


class End(Struct, frozen=True):
    """UIDs of the packets that a net device had from above, and that came to it over the air, in order."""

    sent: list[int]
    received: list[int]


class Carried(Struct, frozen=True):
    """What came of the steps; of both carriers, the primary cell's first.

    `sinr_db`, `rates_bps`: of each device, down and up, as reported at the end.
    `gnb`, `devices`: the packets at the gNB's end and at each device's.
    """

    info: NetworkInfo
    departed_ns: list[int]
    outcomes: list[Outcome]
    blocks: list[list[Block]]
    counts: list[list[tuple[Counts, Counts]]]
    sinr_db: list[list[tuple[float, float]]]
    rates_bps: list[list[tuple[float, float]]]
    gnb: End
    devices: list[End]

    def took_ns(self, step: int) -> list[int | None]:
        """For each transfer, the time from departure to the last byte of the answer."""
        ends = (transfer.uplink_end_ns for transfer in self.outcomes[step].transfers)
        return [None if end is None else end - self.departed_ns[step] for end in ends]


def carried(
    steps: Sequence[Step],
    parameters: dict[str, Any],
    attributes: dict[str, Any] | None = None,
    shares: Sequence[float] | None = None,
) -> Carried:
    """Open an NR network in this process, with these attributes of its cells, and carry out the steps."""
    import cppyy

    network = open_still("nr", parameters, 1)
    try:
        loader.load(("spectrum",), ("ns3/node-list.h", "nr-cell.h", "nr-net-device.h"))
        cppyy.cppdef(HEARD)
        primary, ns = network._topology.keep[0], network._ns
        cells = [cell for cell in (primary, primary.GetSecondary()) if cell]
        for cell in cells:
            for name, value in (attributes or {}).items():
                cell.SetAttribute(name, ns.DoubleValue(value) if isinstance(value, float) else ns.UintegerValue(value))
        heard = cppyy.gbl.HeardCarriers(primary)
        departed_ns, outcomes = [], []
        for step in steps:
            departed_ns.append(network.now_ns + step.gap_ns)
            if shares is None:
                outcomes.append(carry_out(network, step))
            else:
                end_ns = departed_ns[-1] + step.limit_ns
                outcomes.append(network.exchange(step.transfers, departed_ns[-1], end_ns, step.wait, shares))
        devices = range(len(network.info.devices))
        states = [[[cell.GetState(i, way) for way in (False, True)] for i in devices] for cell in cells]
        ends = {int(end.device): End(list(map(int, end.sent)), list(map(int, end.received))) for end in heard.ends}
        return Carried(
            network.info,
            departed_ns,
            outcomes,
            [[_block(each) for each in heard.blocks[i]] for i in range(len(cells))],
            [[(_counts(cell, i, False), _counts(cell, i, True)) for i in devices] for cell in cells],
            [[(float(down.sinrDb), float(up.sinrDb)) for down, up in of] for of in states],
            [[(float(down.rateBps), float(up.rateBps)) for down, up in of] for of in states],
            ends[-1],
            [ends[i] for i in devices],
        )
    finally:
        network.close()


def _block(traced: Any) -> Block:
    numbers = (int(each) for each in (traced.transmission, traced.prbs, traced.bits))
    return Block(int(traced.slot), int(traced.device), bool(traced.isUplink), *numbers, float(traced.sinrDb))


def _counts(cell: Any, device: int, is_uplink: bool) -> Counts:
    count = cell.GetCount(device, is_uplink)
    return Counts(*(getattr(count, name) for name in FIELDS))
