// SPDX-License-Identifier: GPL-2.0-only
#include "nr-rlc.h"

#include "transfer-tag.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <utility>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t PDCP_HEADER = 3;       // 18 bit sequence numbers, TS 38.323 clause 6.2.2.3
constexpr uint32_t UM_HEADER = 1;         // of a whole SDU, TS 38.322 clause 6.2.2.3
constexpr uint32_t UM_SEGMENT_HEADER = 2; // with a 12 bit sequence number
constexpr uint32_t AM_HEADER = 3;         // 18 bit sequence numbers, TS 38.322 clause 6.2.2.4
constexpr uint32_t SEGMENT_OFFSET = 2;
constexpr uint32_t LONG_LENGTH =
    256; // from here on a MAC subheader has two bytes for the length, TS 38.321 clause 6.1.2
constexpr uint32_t MOST_HEADER = AM_HEADER + SEGMENT_OFFSET + 3;
static_assert(NrRlcSender::LEAST_BYTES == MOST_HEADER + 1);

} // namespace

NrRlcSender::NrRlcSender(bool isAcknowledged, uint64_t mostBytes)
    : m_isAcknowledged(isAcknowledged),
      m_mostBytes(mostBytes)
{
}

uint32_t
NrRlcSender::GetHeaderBytes(uint32_t begin, uint32_t end, uint32_t size) const
{
    uint32_t rlc = (begin > 0 ? SEGMENT_OFFSET : 0);
    rlc += m_isAcknowledged ? AM_HEADER : (begin == 0 && end == size ? UM_HEADER : UM_SEGMENT_HEADER);
    return rlc + (rlc + end - begin < LONG_LENGTH ? 2 : 3);
}

void
NrRlcSender::Acknowledge(const NrArqSettings& settings, NrRlcReceiver& beside, std::function<void()> wake)
{
    m_arq = std::make_unique<NrArqSender>(settings, [this] { HandlePollTimeout(); });
    m_beside = &beside;
    m_wake = std::move(wake);
}

uint64_t
NrRlcSender::GetStatusBytes(int64_t byNs) const
{
    auto bytes = m_beside ? m_beside->GetStatusBytes(byNs) : 0;
    return bytes == 0 ? 0 : bytes + (bytes < LONG_LENGTH ? 2 : 3);
}

bool
NrRlcSender::IsStalled() const
{
    return m_arq && m_sent == 0 && m_arq->IsStalled(m_sequence);
}

void
NrRlcSender::Note(std::vector<NrSegment>& segments, bool isNew)
{
    if (m_arq)
    {
        m_arq->Send(segments.back(), isNew, m_again.empty() && (m_admitted == 0 || IsStalled()));
    }
}

bool
NrRlcSender::Enqueue(Ptr<Packet> packet, int64_t nowNs)
{
    Sdu sdu{packet, nowNs, packet->GetSize() + PDCP_HEADER};
    auto bytes = sdu.bytes + GetHeaderBytes(0, sdu.bytes, sdu.bytes);
    if (m_bytes + bytes > m_mostBytes)
    {
        return false;
    }
    m_queue.push_back(sdu);
    m_bytes += bytes;
    return true;
}

uint64_t
NrRlcSender::GetBytes(int64_t byNs)
{
    while (m_admitted < m_queue.size() && m_queue[m_admitted].cameNs <= byNs)
    {
        const auto& sdu = m_queue[m_admitted];
        auto sent = m_admitted == 0 ? m_sent : 0;
        m_admittedBytes += sdu.bytes - sent + GetHeaderBytes(sent, sdu.bytes, sdu.bytes);
        m_admitted++;
    }
    return m_againBytes + (IsStalled() ? 0 : m_admittedBytes) + GetStatusBytes(byNs);
}

uint64_t
NrRlcSender::GetBytes() const
{
    auto nowNs = m_beside ? Simulator::Now().GetNanoSeconds() : 0;
    return m_againBytes + (IsStalled() ? 0 : m_bytes) + GetStatusBytes(nowNs);
}

void
NrRlcSender::FillStatus(uint32_t& bytes, int64_t byNs, std::vector<NrSegment>& segments)
{
    if (bytes > MOST_HEADER && GetStatusBytes(byNs) > 0)
    {
        auto status = std::make_shared<NrRlcStatus>(m_beside->SendStatus(bytes - (bytes < LONG_LENGTH ? 2 : 3)));
        bytes -= status->bytes + (status->bytes < LONG_LENGTH ? 2 : 3);
        segments.push_back({0, 0, 0, nullptr, false, status});
    }
}

uint32_t
NrRlcSender::Fill(uint32_t bytes, int64_t byNs, std::vector<NrSegment>& segments)
{
    GetBytes(byNs);
    FillStatus(bytes, byNs, segments);
    while (bytes > MOST_HEADER && !m_again.empty())
    {
        auto& segment = m_again.front();
        auto size = segment.sdu->GetSize() + PDCP_HEADER;
        auto whole = segment.end - segment.begin;
        auto header = GetHeaderBytes(segment.begin, segment.end, size);
        auto taken = std::min(whole, bytes - std::min(bytes, header));
        m_againBytes -= whole + header;
        segments.push_back({segment.sequence, segment.begin, segment.begin + taken, segment.sdu});
        bytes -= taken + header;
        segment.begin += taken;
        if (taken < whole)
        {
            m_againBytes += segment.end - segment.begin + GetHeaderBytes(segment.begin, segment.end, size);
            Note(segments, false);
            return bytes;
        }
        m_again.pop_front();
        Note(segments, false);
    }
    while (bytes > MOST_HEADER && m_admitted > 0 && !IsStalled())
    {
        auto& sdu = m_queue.front();
        auto left = sdu.bytes - m_sent;
        auto counted = left + GetHeaderBytes(m_sent, sdu.bytes, sdu.bytes);
        auto taken = left;
        if (counted > bytes)
        {
            taken = std::min(left - 1, bytes - MOST_HEADER);
        }
        auto end = m_sent + taken;
        bytes -= taken + GetHeaderBytes(m_sent, end, sdu.bytes);
        segments.push_back({m_sequence, m_sent, end, sdu.packet});
        m_bytes -= counted;
        m_admittedBytes -= counted;
        if (taken < left)
        {
            m_sent = end;
            auto rest = sdu.bytes - end + GetHeaderBytes(end, sdu.bytes, sdu.bytes);
            m_bytes += rest;
            m_admittedBytes += rest;
            Note(segments, true);
            return bytes;
        }
        m_queue.pop_front();
        m_admitted--;
        m_begun -= m_begun > 0 ? 1 : 0;
        m_sent = 0;
        m_sequence++;
        Note(segments, true);
    }
    return bytes;
}

void
NrRlcSender::Retransmit(const std::vector<NrSegment>& segments)
{
    for (const auto& segment : segments)
    {
        m_again.push_back(segment);
        m_againBytes += segment.end - segment.begin +
                        GetHeaderBytes(segment.begin, segment.end, segment.sdu->GetSize() + PDCP_HEADER);
    }
}

bool
NrRlcSender::IsAcknowledged() const
{
    return m_isAcknowledged;
}

void
NrRlcSender::LearnStatus(const NrRlcStatus& status)
{
    auto missing = m_arq->Learn(status);
    // What waits to be sent again of these SDUs is known anew.
    std::erase_if(m_again, [&status](const NrSegment& segment) { return segment.sequence < status.sequence; });
    auto rest = std::exchange(m_again, {});
    m_againBytes = 0;
    Retransmit(missing);
    Retransmit({rest.begin(), rest.end()});
    if (GetBytes() > 0)
    {
        m_wake();
    }
}

void
NrRlcSender::HandlePollTimeout()
{
    if (m_again.empty() && (m_queue.empty() || IsStalled()))
    {
        Retransmit(m_arq->GetUnacknowledged());
    }
    m_wake();
}

bool
NrRlcSender::IsSettled() const
{
    return !m_arq || m_arq->GetFirst() == m_sequence;
}

uint32_t
NrRlcSender::GetSequence() const
{
    return m_sequence;
}

void
NrRlcSender::TakeOver(NrRlcSender& from)
{
    m_queue = std::exchange(from.m_queue, {});
    m_sent = std::exchange(from.m_sent, 0);
    m_sequence = std::exchange(from.m_sequence, 0);
    m_bytes = std::exchange(from.m_bytes, 0);
    m_admittedBytes = std::exchange(from.m_admittedBytes, 0);
    m_admitted = std::exchange(from.m_admitted, 0);
    m_begun = std::exchange(from.m_begun, 0);
    m_again = std::exchange(from.m_again, {});
    m_againBytes = std::exchange(from.m_againBytes, 0);
    if (m_arq)
    {
        m_arq->Restart(m_sequence);
        from.m_arq->Restart(0);
    }
}

void
NrRlcSender::Discard(uint32_t exchange)
{
    auto first = m_queue.begin() + std::max<size_t>(m_begun, m_sent > 0 ? 1 : 0);
    m_queue.erase(std::remove_if(first,
                                 m_queue.end(),
                                 [exchange](const Sdu& sdu) {
                                     TransferTag tag;
                                     return sdu.packet->FindFirstMatchingByteTag(tag) && tag.exchange <= exchange;
                                 }),
                  m_queue.end());
    Recount();
}

void
NrRlcSender::Recount()
{
    m_bytes = 0;
    m_admitted = 0;
    m_admittedBytes = 0;
    for (size_t i = 0; i < m_queue.size(); i++)
    {
        auto sent = i == 0 ? m_sent : 0;
        m_bytes += m_queue[i].bytes - sent + GetHeaderBytes(sent, m_queue[i].bytes, m_queue[i].bytes);
    }
}

void
NrRlcSender::Reestablish(const std::vector<NrSegment>& unreceived)
{
    bool isPartial = m_sent > 0;
    m_sent = 0;
    if (m_arq)
    {
        auto first = m_arq->GetFirst();
        auto sdus = m_arq->Restart(first);
        m_begun = std::max<size_t>(m_begun, isPartial ? 1 : 0) + m_sequence - first;
        for (auto i = m_sequence - first; i > 0; i--)
        {
            m_queue.push_front({sdus[i - 1], 0, sdus[i - 1]->GetSize() + PDCP_HEADER});
        }
        m_sequence = first;
        m_again.clear();
        m_againBytes = 0;
        Recount();
        return;
    }
    if (!m_isAcknowledged)
    {
        if (isPartial)
        {
            m_queue.pop_front();
            m_sequence++;
        }
        Recount();
        return;
    }
    std::map<uint32_t, Ptr<Packet>> sdus; // the first of the queue, if sent in part, is there as a whole
    for (const auto& segment : unreceived)
    {
        sdus[segment.sequence] = segment.sdu;
    }
    for (const auto& segment : m_again)
    {
        sdus[segment.sequence] = segment.sdu;
    }
    sdus.erase(m_sequence);
    m_again.clear();
    m_againBytes = 0;
    std::vector<NrSegment> whole;
    whole.reserve(sdus.size());
    for (const auto& [sequence, sdu] : sdus)
    {
        whole.push_back({sequence, 0, sdu->GetSize() + PDCP_HEADER, sdu});
    }
    Retransmit(whole);
    Recount();
}

NrRlcReceiver::NrRlcReceiver(bool isAcknowledged, Time reordering, Deliver deliver)
    : m_isAcknowledged(isAcknowledged),
      m_reordering(reordering),
      m_deliver(std::move(deliver))
{
}

NrRlcReceiver::~NrRlcReceiver()
{
    m_timer.Cancel();
}

void
NrRlcReceiver::Acknowledge(const NrArqSettings& settings, std::function<void()> wake)
{
    m_pdcp = std::make_unique<NrPdcpReceiver>(m_reordering, m_deliver);
    auto deliver = [this](uint32_t sequence, Ptr<Packet> sdu) { m_pdcp->Receive(sequence, sdu); };
    m_arq = std::make_unique<NrArqReceiver>(settings, PDCP_HEADER, deliver, std::move(wake));
}

uint32_t
NrRlcReceiver::GetStatusBytes(int64_t byNs) const
{
    return m_arq && m_arq->HasStatus(byNs) ? m_arq->GetStatus(UINT32_MAX).bytes : 0;
}

NrRlcStatus
NrRlcReceiver::SendStatus(uint32_t mostBytes)
{
    return m_arq->SendStatus(mostBytes);
}

void
NrRlcReceiver::Expect(uint32_t sequence)
{
    if (m_arq)
    {
        m_arq->Restart(sequence);
    }
}

void
NrRlcReceiver::Receive(const NrSegment& segment)
{
    if (m_arq)
    {
        m_arq->Receive(segment);
        return;
    }
    if (segment.sequence < m_next)
    {
        return; // given up before it came
    }
    auto& partial = m_held.try_emplace(segment.sequence, Partial{segment.sdu, 0, 0}).first->second;
    partial.size = segment.sdu->GetSize() + PDCP_HEADER;
    partial.bytes += segment.end - segment.begin;
    Advance();
}

void
NrRlcReceiver::Reestablish()
{
    std::erase_if(m_held, [](const auto& held) { return held.second.bytes < held.second.size; });
}

void
NrRlcReceiver::TakeOver(NrRlcReceiver& from)
{
    m_timer.Cancel();
    from.m_timer.Cancel();
    m_held = std::move(from.m_held);
    from.m_held.clear();
    m_next = from.m_next;
    m_trigger = from.m_trigger;
    std::swap(m_pdcp, from.m_pdcp);
    if (from.m_arq)
    {
        from.m_arq->Restart(0);
    }
}

void
NrRlcReceiver::Resume()
{
    Advance();
}

void
NrRlcReceiver::Advance()
{
    while (!m_held.empty() && m_held.begin()->first == m_next &&
           m_held.begin()->second.bytes == m_held.begin()->second.size)
    {
        auto sdu = m_held.begin()->second.sdu;
        m_held.erase(m_held.begin());
        m_next++;
        m_deliver(sdu);
    }
    if (m_isAcknowledged)
    {
        return;
    }
    if (m_timer.IsPending() && m_next >= m_trigger)
    {
        m_timer.Cancel();
    }
    if (!m_timer.IsPending() && !m_held.empty())
    {
        m_trigger = m_held.rbegin()->first + 1;
        m_timer = Simulator::Schedule(m_reordering, &NrRlcReceiver::HandleTimeout, this);
    }
}

void
NrRlcReceiver::HandleTimeout()
{
    // What was missing then is lost; what came since may still miss something.
    while (!m_held.empty() && m_next < m_trigger)
    {
        auto first = m_held.begin();
        if (first->first >= m_trigger)
        {
            break;
        }
        auto partial = first->second;
        m_next = first->first + 1;
        m_held.erase(first);
        if (partial.bytes == partial.size)
        {
            m_deliver(partial.sdu);
        }
    }
    m_next = std::max(m_next, m_trigger);
    Advance();
}

} // namespace ns3::cosim
