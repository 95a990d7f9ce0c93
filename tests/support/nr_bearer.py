# SPDX-License-Identifier: GPL-2.0-only
"""A data bearer alone, over blocks that fail at random and handovers at random, in a process that has ns-3."""

from ns3_scenarios.wheel import loader

BEARER = """
#ifndef LONE_BEARER
#define LONE_BEARER
/// The numbers of the packets that come out, of so many that go in one after the other.
std::vector<int> CarryOver(uint32_t seed, int packets, bool isAcknowledged, double failing, double leaving)
{
    using namespace ns3;
    using namespace ns3::cosim;
    std::mt19937 random(seed);
    auto happens = [&random](double share) { return random() < share * 4294967296.0; };
    std::map<uint64_t, int> numbers;
    std::vector<int> came;
    auto deliver = [&](Ptr<Packet> packet) { came.push_back(numbers.at(packet->GetUid())); };
    NrRlcSender sender(isAcknowledged, 1 << 30);
    auto receiver = std::make_unique<NrRlcReceiver>(isAcknowledged, MilliSeconds(100), deliver);
    std::deque<std::vector<NrSegment>> flying;
    int sent = 0;
    for (int round = 0; round < 100 * packets && (sent < packets || sender.GetBytes() > 0 || !flying.empty()); round++)
    {
        while (sent < packets && happens(0.5))
        {
            auto packet = Create<Packet>(1 + random() % 2000);
            numbers[packet->GetUid()] = sent++;
            sender.Enqueue(packet, 0);
        }
        auto& block = flying.emplace_back();
        sender.Fill(9 + random() % 3000, 0, block);
        while (flying.size() > random() % 8)
        {
            auto one = flying.begin() + random() % flying.size(); // in any order, as HARQ has it
            if (!happens(failing))
            {
                for (const auto& segment : *one)
                {
                    receiver->Receive(segment);
                }
            }
            else if (isAcknowledged)
            {
                sender.Retransmit(*one);
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
            sender.Reestablish(undecoded);
            receiver->Reestablish();
            auto next = std::make_unique<NrRlcReceiver>(isAcknowledged, MilliSeconds(100), deliver);
            next->TakeOver(*receiver);
            next->Resume();
            receiver = std::move(next);
        }
    }
    Simulator::Run(); // what is waited for in vain
    receiver.reset();
    Simulator::Destroy();
    return came;
}
#endif
"""


def carry_over(seed: int, packets: int, acknowledged: bool, failing: float, leaving: float) -> list[int]:
    """Packets 0, 1, ... go in; which come out, in order. Blocks fail and cells are left with these probabilities."""
    import cppyy

    loader.load(("spectrum",), ("nr-rlc.h",))
    cppyy.cppdef("#include <random>\n#include <memory>\n" + BEARER)
    return [int(number) for number in cppyy.gbl.CarryOver(seed, packets, acknowledged, failing, leaving)]
