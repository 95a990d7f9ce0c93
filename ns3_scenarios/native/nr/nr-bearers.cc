// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bearers.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <array>
#include <compare>
#include <iterator>
#include <utility>

namespace ns3::cosim
{

NrBearers::Bearer::Bearer(uint32_t itsGroup,
                          bool isAcknowledged,
                          uint64_t bufferBytes,
                          Time reordering,
                          NrRlcReceiver::Deliver deliver)
    : group(itsGroup),
      sender(isAcknowledged, bufferBytes),
      receiver(isAcknowledged, reordering, std::move(deliver))
{
}

NrBearers::NrBearers(const NrQosFlows& flows,
                     bool isAcknowledged,
                     uint64_t bufferBytes,
                     Time reordering,
                     const NrRlcReceiver::Deliver& deliver)
    : m_flows(flows)
{
    for (uint32_t flow = 0; flow < flows.Count(); flow++)
    {
        m_bearers.emplace_back(flows.GetGroup(flow), isAcknowledged, bufferBytes, reordering, deliver);
    }
}

void
NrBearers::Acknowledge(const NrArqSettings& settings, NrBearers& beside, const std::function<void()>& wake)
{
    for (uint32_t i = 0; i < m_bearers.size(); i++)
    {
        m_bearers[i].sender.Acknowledge(settings, beside.m_bearers[i].receiver, wake);
        m_bearers[i].receiver.Acknowledge(settings, wake);
    }
}

bool
NrBearers::Enqueue(Ptr<Packet> packet, bool isUplink)
{
    auto now = Simulator::Now().GetNanoSeconds();
    return m_bearers[m_flows.Find(packet, isUplink)].sender.Enqueue(packet, now);
}

NrWaiting
NrBearers::GetWaiting(int64_t byNs)
{
    NrWaiting waiting{};
    for (auto& bearer : m_bearers)
    {
        waiting[bearer.group] += bearer.sender.GetBytes(byNs);
    }
    return waiting;
}

uint64_t
NrBearers::GetBytes() const
{
    uint64_t bytes = 0;
    for (const auto& bearer : m_bearers)
    {
        bytes += bearer.sender.GetBytes();
    }
    return bytes;
}

void
NrBearers::Fill(uint32_t bytes, int64_t byNs, std::vector<NrSegment>& segments)
{
    // In each group, who wants no more than an equal part goes first, and leaves the rest of it to the others.
    struct Waiting
    {
        uint32_t group;
        uint64_t bytes;
        uint32_t bearer;

        auto operator<=>(const Waiting& other) const = default;
    };

    std::array<Waiting, NrQosFlows::MOST> order{};
    auto end = order.begin();
    for (uint32_t i = 0; i < m_bearers.size(); i++)
    {
        *end++ = {m_bearers[i].group, m_bearers[i].sender.GetBytes(byNs), i};
    }
    std::sort(order.begin(), end);
    for (auto next = order.begin(); next != end; next++)
    {
        auto isBeside = [next](const Waiting& each) { return each.group == next->group; };
        auto part = static_cast<uint32_t>(bytes / std::count_if(next, end, isBeside));
        auto most = next->bytes <= part ? bytes : part;
        auto begin = segments.size();
        bytes -= most - m_bearers[next->bearer].sender.Fill(most, byNs, segments);
        std::for_each(segments.begin() + begin, segments.end(), [next](NrSegment& each) {
            each.bearer = next->bearer;
        });
    }
}

std::vector<NrSegment>
NrBearers::Pick(uint32_t bearer, const std::vector<NrSegment>& segments) const
{
    std::vector<NrSegment> picked;
    std::copy_if(segments.begin(), segments.end(), std::back_inserter(picked), [bearer](const NrSegment& each) {
        return each.bearer == bearer;
    });
    return picked;
}

void
NrBearers::Retransmit(const std::vector<NrSegment>& segments)
{
    for (uint32_t i = 0; i < m_bearers.size(); i++)
    {
        m_bearers[i].sender.Retransmit(Pick(i, segments));
    }
}

void
NrBearers::Receive(const NrSegment& segment)
{
    m_bearers[segment.bearer].receiver.Receive(segment);
}

void
NrBearers::LearnStatus(const NrSegment& segment)
{
    m_bearers[segment.bearer].sender.LearnStatus(*segment.status);
}

bool
NrBearers::IsSettled() const
{
    return std::all_of(m_bearers.begin(), m_bearers.end(), [](const Bearer& each) { return each.sender.IsSettled(); });
}

void
NrBearers::Reestablish(const std::vector<NrSegment>& unreceived)
{
    for (uint32_t i = 0; i < m_bearers.size(); i++)
    {
        m_bearers[i].sender.Reestablish(Pick(i, unreceived));
    }
}

void
NrBearers::TakeOver(NrBearers& from)
{
    for (uint32_t i = 0; i < m_bearers.size(); i++)
    {
        auto& bearer = m_bearers[i];
        auto& before = from.m_bearers[i];
        before.receiver.Reestablish();
        if (&from != this)
        {
            bearer.receiver.TakeOver(before.receiver);
            bearer.sender.TakeOver(before.sender);
        }
        bearer.receiver.Expect(bearer.sender.GetSequence());
    }
}

void
NrBearers::Resume()
{
    for (auto& bearer : m_bearers)
    {
        bearer.receiver.Resume();
    }
}

void
NrBearers::Discard(uint32_t exchange)
{
    for (auto& bearer : m_bearers)
    {
        bearer.sender.Discard(exchange);
    }
}

} // namespace ns3::cosim
