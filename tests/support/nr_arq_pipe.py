# SPDX-License-Identifier: GPL-2.0-only
"""RLC's acknowledged mode with STATUS PDUs over a lossy pipe, in a process that has ns-3."""

from typing import NamedTuple

from ns3_scenarios.wheel import loader

PIPE = """
#ifndef ARQ_PIPE
#define ARQ_PIPE
struct ArqPipe
{
    using Row = std::vector<int64_t>; // ns, kind, the end that has sent the data it is about, and more by kind
    std::vector<Row> rows;
    std::vector<std::vector<int>> came{{}, {}};
    bool isWholeInTime = false;

    static int64_t Now() { return ns3::Simulator::Now().GetNanoSeconds(); }

    void Carry(uint32_t seed, int packets, double failing, uint32_t latestSlots, double leaving,
               ns3::cosim::NrArqSettings settings, int64_t slotNs, int64_t limitNs)
    {
        using namespace ns3;
        using namespace ns3::cosim;
        std::mt19937 random(seed);
        auto happens = [&random](double share) { return random() < share * 4294967296.0; };
        struct End
        {
            std::unique_ptr<NrRlcSender> sender;
            std::unique_ptr<NrRlcReceiver> receiver; // of what the other end sends
        };
        std::vector<std::map<uint64_t, int>> numbers(2);
        std::array<int, 2> sent{0, 0};
        int64_t wakes = 0;
        auto wake = [&wakes] { wakes++; };
        auto make = [&] {
            auto ends = std::make_shared<std::array<End, 2>>();
            for (int end : {0, 1})
            {
                auto deliver = [this, &numbers, end](Ptr<Packet> packet) {
                    came[1 - end].push_back(numbers[1 - end].at(packet->GetUid()));
                };
                (*ends)[end].sender = std::make_unique<NrRlcSender>(true, 1 << 30);
                (*ends)[end].receiver = std::make_unique<NrRlcReceiver>(true, Time(), deliver);
                (*ends)[end].sender->Acknowledge(settings, *(*ends)[end].receiver, wake);
                (*ends)[end].receiver->Acknowledge(settings, wake);
            }
            return ends;
        };
        auto ends = make();
        auto receive = [this, &ends](std::shared_ptr<std::array<End, 2>> at, int from, std::vector<NrSegment> block) {
            if (at != ends)
            {
                return; // nobody is there any more
            }
            auto& to = (*at)[1 - from];
            for (const auto& pdu : block)
            {
                if (pdu.status)
                {
                    to.sender->LearnStatus(*pdu.status);
                    continue;
                }
                rows.push_back({Now(), 1, from, pdu.sequence, pdu.begin, pdu.end, pdu.isPoll});
                to.receiver->Receive(pdu);
            }
        };
        std::function<void()> tick = [&] {
            bool isDone = true;
            for (int end : {0, 1})
            {
                while (sent[end] < packets && happens(0.4))
                {
                    auto packet = Create<Packet>(1 + random() % 1500);
                    numbers[end][packet->GetUid()] = sent[end]++;
                    (*ends)[end].sender->Enqueue(packet, Now());
                }
                std::vector<NrSegment> block;
                auto& sender = *(*ends)[end].sender;
                int64_t waiting = sender.GetBytes(Now());
                uint32_t mostBytes = 20 + random() % (happens(0.3) ? 100 : 4000);
                auto left = sender.Fill(mostBytes, Now(), block);
                int64_t still = sender.GetBytes(Now());
                rows.push_back({Now(), 3, end, waiting, mostBytes, left, still});
                for (const auto& pdu : block)
                {
                    if (!pdu.status)
                    {
                        auto size = pdu.sdu->GetSize() + 3; // PDCP's
                        rows.push_back({Now(), 0, end, pdu.sequence, pdu.begin, pdu.end, pdu.isPoll, size});
                        continue;
                    }
                    Row row{Now(), 2, 1 - end, pdu.status->sequence, pdu.status->bytes};
                    for (const auto& missing : pdu.status->missing)
                    {
                        row.insert(row.end(), {missing.sequence, missing.begin, missing.end});
                    }
                    rows.push_back(row);
                }
                if (!block.empty() && !happens(failing))
                {
                    auto later = NanoSeconds(slotNs / 2 + slotNs * (random() % (1 + latestSlots)));
                    Simulator::Schedule(later, [receive, at = ends, end, block] { receive(at, end, block); });
                }
                isDone = isDone && sent[end] == packets && came[end].size() >= size_t(packets) && sender.IsSettled();
            }
            if (happens(leaving))
            {
                auto next = make();
                for (int end : {0, 1})
                {
                    auto& sender = *(*ends)[end].sender;
                    sender.Reestablish({});
                    (*next)[end].sender->TakeOver(sender);
                    (*next)[1 - end].receiver->TakeOver(*(*ends)[1 - end].receiver);
                    (*next)[1 - end].receiver->Resume();
                    (*next)[1 - end].receiver->Expect((*next)[end].sender->GetSequence());
                }
                ends = next;
                rows.push_back({Now(), 4, 0});
            }
            isWholeInTime = isDone;
            if (!isDone && Now() < limitNs)
            {
                Simulator::Schedule(NanoSeconds(slotNs), tick);
            }
        };
        Simulator::ScheduleNow(tick);
        Simulator::Run();
        ends.reset();
        Simulator::Destroy();
    }
};
#endif
"""


class Pipe(NamedTuple):
    """`came`: numbers of the packets that came, by the end that sent them; `rows`: what was sent, received and told."""

    came: list[list[int]]
    rows: list[list[int]]
    is_whole: bool
    """All that was sent is known to have come, within the limit."""


SLOT_NS = 500_000


def carry(
    seed: int,
    packets: int,
    failing: float,
    *,
    latest_slots: int = 8,
    leaving: float = 0.0,
    poll_pdus: int = 16,
    poll_bytes: int = 0,
    times_ms: tuple[int, int, int] = (20, 20, 10),
    limit_s: int = 600,
) -> Pipe:
    """Packets go both ways, in a block a slot of random size; blocks come late by up to `latest_slots`, in any order,
    and fail with probability `failing`; both ends are handed to another cell with probability `leaving` a slot.

    `times_ms`: t-PollRetransmit, t-Reassembly, t-StatusProhibit.
    """
    import cppyy

    ns = loader.load(("spectrum",), ("nr-rlc.h",))
    cppyy.cppdef("#include <array>\n#include <memory>\n#include <random>\n" + PIPE)
    settings = ns.cosim.NrArqSettings()
    settings.isOn, settings.pollPdus, settings.pollBytes = True, poll_pdus, poll_bytes
    settings.pollRetransmit, settings.reassembly, settings.statusProhibit = map(ns.MilliSeconds, times_ms)
    pipe = cppyy.gbl.ArqPipe()
    pipe.Carry(seed, packets, failing, latest_slots, leaving, settings, SLOT_NS, limit_s * 10**9)
    rows = [[int(figure) for figure in row] for row in pipe.rows]
    return Pipe([[int(number) for number in came] for came in pipe.came], rows, bool(pipe.isWholeInTime))
