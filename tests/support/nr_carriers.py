# SPDX-License-Identifier: GPL-2.0-only
"""An NR cell of two carriers in a process that has ns-3: the blocks of each, and every packet at both ends."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ns3_scenarios.wheel import loader
from tests.support import nr_blocks
from tests.support.nr_blocks import Block
from tests.support.nr_counts import Counts, counts_of
from tests.support.ns3_worker import Played, Step, carry_out
from tests.support.still import open_still

HEARD = """
#ifndef HEARD_PACKETS
#define HEARD_PACKETS
/// Of each NR net device the UIDs of the packets that it sends and receives.
struct HeardPackets
{
    struct End
    {
        int64_t device; // negative: the gNB's
        std::vector<uint64_t> sent;
        std::vector<uint64_t> received;
    };

    std::deque<End> ends;

    HeardPackets()
    {
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


class End(Struct, frozen=True):
    """UIDs of the packets that a net device had from above, and that came to it over the air, in order."""

    sent: list[int]
    received: list[int]


class Carried(Played, frozen=True):
    """What came of the steps; of both carriers, the primary cell's first.

    `sinr_db`, `rates_bps`: of each device, down and up, as reported at the end.
    `gnb`, `devices`: the packets at the gNB's end and at each device's.
    """

    blocks: list[list[Block]]
    counts: list[list[tuple[Counts, Counts]]]
    sinr_db: list[list[tuple[float, float]]]
    rates_bps: list[list[tuple[float, float]]]
    gnb: End
    devices: list[End]


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
        cppyy.cppdef(nr_blocks.HEARD)
        cppyy.cppdef(HEARD)
        primary, ns = network._topology.keep[0], network._ns
        cells = [cell for cell in (primary, primary.GetSecondary()) if cell]
        for cell in cells:
            for name, value in (attributes or {}).items():
                cell.SetAttribute(name, ns.DoubleValue(value) if isinstance(value, float) else ns.UintegerValue(value))
        heard, packets = [cppyy.gbl.HeardBlocks(cell) for cell in cells], cppyy.gbl.HeardPackets()
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
        ends = {int(end.device): End(list(map(int, end.sent)), list(map(int, end.received))) for end in packets.ends}
        return Carried(
            network.info,
            departed_ns,
            outcomes,
            [[nr_blocks.block_of(each) for each in of.blocks] for of in heard],
            [counts_of(cell) for cell in cells],
            [[(float(down.sinrDb), float(up.sinrDb)) for down, up in of] for of in states],
            [[(float(down.rateBps), float(up.rateBps)) for down, up in of] for of in states],
            ends[-1],
            [ends[i] for i in devices],
        )
    finally:
        network.close()
