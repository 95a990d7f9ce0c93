// SPDX-License-Identifier: GPL-2.0-only
#include "nr-arq.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

// Of a STATUS PDU with 18 bit sequence numbers, TS 38.322 clause 6.2.2.5.
constexpr uint32_t PDU_BYTES = 3;     // with ACK_SN
constexpr uint32_t MISSING_BYTES = 3; // NACK_SN,
constexpr uint32_t RANGE_BYTES = 1;   // if it stands for several in a row,
constexpr uint32_t PART_BYTES = 4;    // SOstart and SOend
constexpr uint32_t MOST_RANGE = 255;

} // namespace

NrArqSender::NrArqSender(const NrArqSettings& settings, std::function<void()> expired)
    : m_settings(settings),
      m_expired(std::move(expired))
{
}

NrArqSender::~NrArqSender()
{
    m_timer.Cancel();
}

bool
NrArqSender::IsStalled(uint32_t sequence) const
{
    return sequence - m_first >= WINDOW;
}

void
NrArqSender::Send(NrSegment& pdu, bool isNew, bool isLast)
{
    if (isNew)
    {
        if (pdu.sequence - m_first == m_sent.size())
        {
            m_sent.push_back({pdu.sdu, 0, false});
        }
        m_sent.back().bytes = pdu.end;
        m_pdus++;
        m_bytes += pdu.end - pdu.begin;
    }
    bool isDue = isNew && ((m_settings.pollPdus > 0 && m_pdus >= m_settings.pollPdus) ||
                           (m_settings.pollBytes > 0 && m_bytes >= m_settings.pollBytes));
    if (isDue || isLast || m_mustPoll)
    {
        pdu.isPoll = true;
        m_mustPoll = false;
        m_pdus = 0;
        m_bytes = 0;
        m_poll = m_first + m_sent.size() - 1;
        m_timer.Cancel();
        m_timer = Simulator::Schedule(m_settings.pollRetransmit, [this] {
            m_mustPoll = true;
            m_expired();
        });
    }
}

std::vector<NrSegment>
NrArqSender::Learn(const NrRlcStatus& status)
{
    std::vector<NrSegment> again;
    auto missing = status.missing.begin();
    for (uint32_t i = 0; i < m_sent.size() && m_first + i < status.sequence; i++)
    {
        auto& sent = m_sent[i];
        while (missing != status.missing.end() && missing->sequence < m_first + i)
        {
            missing++;
        }
        bool isMissing = missing != status.missing.end() && missing->sequence == m_first + i;
        for (; missing != status.missing.end() && missing->sequence == m_first + i; missing++)
        {
            auto end = std::min(missing->end, sent.bytes);
            if (!sent.isAcknowledged && missing->begin < end) // else an older report, or not yet sent
            {
                again.push_back({m_first + i, missing->begin, end, sent.sdu});
            }
        }
        sent.isAcknowledged = sent.isAcknowledged || !isMissing;
    }
    if (m_poll < status.sequence)
    {
        m_timer.Cancel();
    }
    while (!m_sent.empty() && m_sent.front().isAcknowledged)
    {
        m_sent.pop_front();
        m_first++;
    }
    return again;
}

std::vector<NrSegment>
NrArqSender::GetUnacknowledged() const
{
    for (auto i = m_sent.size(); i > 0; i--)
    {
        if (const auto& sent = m_sent[i - 1]; !sent.isAcknowledged)
        {
            return {{static_cast<uint32_t>(m_first + i - 1), 0, sent.bytes, sent.sdu}};
        }
    }
    return {};
}

uint32_t
NrArqSender::GetFirst() const
{
    return m_first;
}

std::vector<Ptr<Packet>>
NrArqSender::Restart(uint32_t first)
{
    std::vector<Ptr<Packet>> sdus;
    sdus.reserve(m_sent.size());
    for (const auto& sent : m_sent)
    {
        sdus.push_back(sent.sdu);
    }
    m_timer.Cancel();
    m_sent.clear();
    m_first = first;
    m_pdus = 0;
    m_bytes = 0;
    m_mustPoll = false;
    return sdus;
}

bool
NrArqReceiver::Held::HasGap() const
{
    return parts.size() > 1 || parts.front().first > 0;
}

NrArqReceiver::NrArqReceiver(const NrArqSettings& settings,
                             uint32_t headerBytes,
                             Deliver deliver,
                             std::function<void()> wake)
    : m_settings(settings),
      m_headerBytes(headerBytes),
      m_deliver(std::move(deliver)),
      m_wake(std::move(wake))
{
}

NrArqReceiver::~NrArqReceiver()
{
    m_reassembly.Cancel();
    m_waking.Cancel();
}

bool
NrArqReceiver::IsComplete(uint32_t sequence) const
{
    auto held = m_held.find(sequence);
    return held != m_held.end() && held->second.isComplete;
}

bool
NrArqReceiver::HasGap(uint32_t sequence) const
{
    auto held = m_held.find(sequence);
    return held != m_held.end() && !held->second.isComplete && held->second.HasGap();
}

uint32_t
NrArqReceiver::FindIncomplete(uint32_t from) const
{
    for (auto held = m_held.find(from); held != m_held.end() && held->first == from && held->second.isComplete; held++)
    {
        from++;
    }
    return from;
}

bool
NrArqReceiver::Place(const NrSegment& pdu)
{
    if (pdu.sequence < m_next || pdu.sequence - m_next >= NrArqSender::WINDOW || IsComplete(pdu.sequence))
    {
        return false;
    }
    auto& held = m_held[pdu.sequence];
    auto& parts = held.parts;
    auto first = std::lower_bound(parts.begin(), parts.end(), pdu.begin, [](const auto& part, uint32_t begin) {
        return part.second < begin;
    });
    std::pair<uint32_t, uint32_t> whole{pdu.begin, pdu.end};
    auto last = first;
    for (; last != parts.end() && last->first <= pdu.end; last++)
    {
        if (last->first <= pdu.begin && last->second >= pdu.end)
        {
            return false; // nothing new
        }
        whole = {std::min(whole.first, last->first), std::max(whole.second, last->second)};
    }
    parts.insert(parts.erase(first, last), whole);
    auto size = pdu.sdu->GetSize() + m_headerBytes;
    held.hasEnd = held.hasEnd || pdu.end == size;
    held.isComplete = parts.size() == 1 && whole == std::pair<uint32_t, uint32_t>{0, size};
    return true;
}

void
NrArqReceiver::Receive(const NrSegment& pdu)
{
    bool isNew = Place(pdu);
    if (isNew)
    {
        m_highest = std::max(m_highest, pdu.sequence + 1);
        if (IsComplete(pdu.sequence))
        {
            m_highestStatus = FindIncomplete(m_highestStatus);
            m_next = FindIncomplete(m_next);
            m_held.erase(m_held.begin(), m_held.lower_bound(m_next));
        }
        WatchReassembly();
    }
    if (pdu.isPoll)
    {
        m_polls.insert(pdu.sequence);
    }
    if (pdu.isPoll && !isNew)
    {
        m_polls.erase(pdu.sequence);
        Trigger();
    }
    AnswerPolls();
    if (isNew && (pdu.sequence < m_next || IsComplete(pdu.sequence)))
    {
        m_deliver(pdu.sequence, pdu.sdu);
    }
}

void
NrArqReceiver::WatchReassembly()
{
    if (m_reassembly.IsPending() && (m_statusTrigger <= m_next || (m_statusTrigger == m_next + 1 && !HasGap(m_next))))
    {
        m_reassembly.Cancel();
    }
    if (!m_reassembly.IsPending() && (m_highest > m_next + 1 || (m_highest == m_next + 1 && HasGap(m_next))))
    {
        StartReassembly();
    }
}

void
NrArqReceiver::StartReassembly()
{
    m_statusTrigger = m_highest;
    m_reassembly = Simulator::Schedule(m_settings.reassembly, &NrArqReceiver::HandleTimeout, this);
}

void
NrArqReceiver::HandleTimeout()
{
    m_highestStatus = FindIncomplete(m_statusTrigger);
    if (m_highest > m_highestStatus + 1 || (m_highest == m_highestStatus + 1 && HasGap(m_highestStatus)))
    {
        StartReassembly();
    }
    Trigger();
    AnswerPolls();
}

void
NrArqReceiver::AnswerPolls()
{
    // One that something before is missing for waits, since HARQ may still bring that.
    auto end = m_polls.lower_bound(m_highestStatus);
    if (end != m_polls.begin())
    {
        m_polls.erase(m_polls.begin(), end);
        Trigger();
    }
}

void
NrArqReceiver::Trigger()
{
    auto now = Simulator::Now().GetNanoSeconds();
    if (!m_isTriggered)
    {
        m_isTriggered = true;
        m_triggeredNs = now;
        m_waking = Simulator::Schedule(NanoSeconds(std::max<int64_t>(m_prohibitedNs - now, 0)), m_wake);
    }
}

bool
NrArqReceiver::HasStatus(int64_t byNs) const
{
    return m_isTriggered && std::max(m_triggeredNs, m_prohibitedNs) <= byNs;
}

NrRlcStatus
NrArqReceiver::GetStatus(uint32_t mostBytes) const
{
    NrRlcStatus status{m_highestStatus, {}, PDU_BYTES};
    uint32_t range = 0; // of SDUs of which nothing has come
    auto held = m_held.lower_bound(m_next);
    for (auto sequence = m_next; sequence < m_highestStatus; sequence++)
    {
        while (held != m_held.end() && held->first < sequence)
        {
            held++;
        }
        bool isThere = held != m_held.end() && held->first == sequence;
        if (isThere && held->second.isComplete)
        {
            range = 0;
            continue;
        }
        auto bytes = status.bytes;
        auto count = status.missing.size();
        if (isThere)
        {
            uint32_t begin = 0;
            for (const auto& [from, to] : held->second.parts)
            {
                if (begin < from)
                {
                    status.missing.push_back({sequence, begin, from});
                }
                begin = to;
            }
            if (!held->second.hasEnd)
            {
                status.missing.push_back({sequence, begin, NrRlcStatus::END});
            }
            bytes += (status.missing.size() - count) * (MISSING_BYTES + PART_BYTES);
            range = 0;
        }
        else
        {
            status.missing.push_back({sequence, 0, NrRlcStatus::END});
            bool isFirst = range == 0 || range == MOST_RANGE;
            bytes += isFirst ? MISSING_BYTES : (range == 1 ? RANGE_BYTES : 0);
            range = isFirst ? 1 : range + 1;
        }
        if (bytes > mostBytes)
        {
            status.missing.resize(count);
            status.sequence = sequence;
            return status;
        }
        status.bytes = bytes;
    }
    return status;
}

NrRlcStatus
NrArqReceiver::SendStatus(uint32_t mostBytes)
{
    m_isTriggered = false;
    m_waking.Cancel();
    m_prohibitedNs = (Simulator::Now() + m_settings.statusProhibit).GetNanoSeconds();
    return GetStatus(mostBytes);
}

void
NrArqReceiver::Restart(uint32_t next)
{
    m_reassembly.Cancel();
    m_waking.Cancel();
    m_held.clear();
    m_polls.clear();
    m_next = m_highest = m_highestStatus = m_statusTrigger = next;
    m_isTriggered = false;
    m_prohibitedNs = 0;
}

} // namespace ns3::cosim
