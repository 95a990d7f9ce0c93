# SPDX-License-Identifier: GPL-2.0-only
"""A device's two bearers in one direction, without a cell, in a process that has ns-3."""

import struct
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ns3_scenarios.wheel import loader

UDP, TCP = 17, 6
SERVER_PORT, OTHER_PORT = 20007, 40007

BEARERS = """
#ifndef LONE_BEARERS
#define LONE_BEARERS
struct LoneBearers
{
    using Row = std::vector<int>;

    /// From a device, to one of the edge server's ports or not.
    static ns3::Ptr<ns3::Packet> Make(int flow, int bytes)
    {
        std::vector<uint8_t> sent(bytes, 0);
        sent[0] = 0x45;
        sent[9] = 17;
        int port = flow == 0 ? 20007 : 40007;
        sent[22] = port >> 8;
        sent[23] = port & 0xff;
        return ns3::Create<ns3::Packet>(sent.data(), sent.size());
    }

    static ns3::cosim::NrQosFlows GetFlows(int first, int second)
    {
        return ns3::cosim::NrQosFlows({true, static_cast<uint32_t>(first), static_cast<uint32_t>(second)});
    }

    static uint32_t Find(const std::vector<uint8_t>& bytes, bool isUplink)
    {
        return GetFlows(68, 90).Find(ns3::Create<ns3::Packet>(bytes.data(), bytes.size()), isUplink);
    }

    /// Of each block the rows bearer, sequence, begin, end; behind each block one of what waits of both groups.
    static std::vector<Row> Fill(int first, int second, bool isAcknowledged, const std::vector<Row>& steps)
    {
        using namespace ns3::cosim;
        NrBearers bearers(GetFlows(first, second), isAcknowledged, 1 << 30, ns3::Time(), [](auto) {});
        std::vector<Row> rows;
        for (const auto& step : steps)
        {
            if (step.size() == 2)
            {
                bearers.Enqueue(Make(step[0], step[1]), true);
                continue;
            }
            std::vector<NrSegment> block;
            bearers.Fill(step[0], 0, block);
            for (const auto& each : block)
            {
                rows.push_back({int(each.bearer), int(each.sequence), int(each.begin), int(each.end)});
            }
            auto waiting = bearers.GetWaiting(0);
            rows.push_back({int(waiting[0]), int(waiting[1])});
        }
        return rows;
    }

    /// Flow and number of the packets that come out, of so many of each flow that go in one after the other.
    static std::vector<Row> CarryOver(uint32_t seed, int packets, bool isAcknowledged, double failing, double leaving,
                                      int first, int second)
    {
        using namespace ns3;
        using namespace ns3::cosim;
        std::mt19937 random(seed);
        auto happens = [&random](double share) { return random() < share * 4294967296.0; };
        std::map<uint64_t, Row> numbers;
        std::vector<Row> came;
        auto deliver = [&](Ptr<Packet> packet) { came.push_back(numbers.at(packet->GetUid())); };
        auto make = [&] {
            return std::make_unique<NrBearers>(
                GetFlows(first, second), isAcknowledged, 1 << 30, MilliSeconds(100), deliver);
        };
        auto bearers = make();
        std::deque<std::vector<NrSegment>> flying;
        std::array<int, 2> sent{0, 0};
        auto isOver = [&] {
            return sent[0] == packets && sent[1] == packets && bearers->GetBytes() == 0 && flying.empty();
        };
        for (int round = 0; round < 200 * packets && !isOver(); round++)
        {
            for (int flow : {0, 1})
            {
                while (sent[flow] < packets && happens(0.4))
                {
                    auto packet = Make(flow, 28 + random() % 2000);
                    numbers[packet->GetUid()] = {flow, sent[flow]++};
                    bearers->Enqueue(packet, true);
                }
            }
            auto& block = flying.emplace_back();
            bearers->Fill(9 + random() % 4000, 0, block);
            while (flying.size() > random() % 8)
            {
                auto one = flying.begin() + random() % flying.size(); // in any order, as HARQ has it
                if (!happens(failing))
                {
                    for (const auto& segment : *one)
                    {
                        bearers->Receive(segment);
                    }
                }
                else if (isAcknowledged)
                {
                    bearers->Retransmit(*one);
                }
                flying.erase(one);
            }
            if (happens(leaving))
            {
                std::vector<NrSegment> undecoded;
                for (auto& each : flying)
                {
                    undecoded.insert(undecoded.end(), each.begin(), each.end());
                }
                flying.clear();
                bearers->Reestablish(undecoded);
                auto next = make();
                next->TakeOver(*bearers);
                next->Resume();
                bearers = std::move(next);
            }
        }
        Simulator::Run(); // what is waited for in vain
        bearers.reset();
        Simulator::Destroy();
        return came;
    }
};
#endif
"""


class Piece(Struct, frozen=True):
    """Bytes `begin` to `end` of packet `sequence` of a flow, its PDCP header counted."""

    flow: int
    sequence: int
    begin: int
    end: int


class Block(Struct, frozen=True):
    """What a transport block was filled with, and what waits then of each logical channel group."""

    pieces: list[Piece]
    waiting: tuple[int, int]


def _bearers() -> Any:
    import cppyy

    loader.load(("spectrum",), ("nr-bearers.h",))
    cppyy.cppdef("#include <random>\n#include <memory>\n" + BEARERS)
    return cppyy.gbl.LoneBearers


def flow_of(headers: Sequence[tuple[int, int, int, int, bool]]) -> list[int]:
    """The flow of packets of a protocol, from a port to a port, with so many bytes of IPv4 options, up or down."""
    found = []
    for protocol, source, target, options, is_uplink in headers:
        ip = struct.pack(">BBHHHBBH8x", 0x40 | (20 + options) // 4, 0, 0, 0, 0, 64, protocol, 0) + bytes(options)
        packet = ip + struct.pack(">HH", source, target) + bytes(8)
        found.append(int(_bearers().Find(list(packet), is_uplink)))
    return found


def fill(priorities: tuple[int, int], acknowledged: bool, steps: Sequence[tuple[int, ...]]) -> list[Block]:
    """Packets that come, of a flow and so many bytes, and blocks of so many bytes that are filled, in order."""
    blocks, pieces = [], []
    for row in _bearers().Fill(*priorities, acknowledged, [list(step) for step in steps]):
        if len(row) == 2:
            blocks.append(Block(pieces, (int(row[0]), int(row[1]))))
            pieces = []
        else:
            pieces.append(Piece(*map(int, row)))
    return blocks


def carry_over(
    seed: int, packets: int, acknowledged: bool, failing: float, leaving: float, priorities: tuple[int, int]
) -> list[tuple[int, int]]:
    """Packets 0, 1, ... of both flows go in; flow and number of those that come out, in order. Blocks fail and cells
    are left with these probabilities."""
    came = _bearers().CarryOver(seed, packets, acknowledged, failing, leaving, *priorities)
    return [(int(flow), int(number)) for flow, number in came]
