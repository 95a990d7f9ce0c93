// SPDX-License-Identifier: GPL-2.0-only
#include "nr-uplink-buffer.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

namespace
{

constexpr double STATUS_STEP = 1.065;

} // namespace

uint64_t
NrUplinkBuffer::GetStatus(uint64_t bytes)
{
    if (bytes == 0)
    {
        return 0;
    }
    auto step = std::ceil(std::log(std::max<double>(bytes, 10) / 10) / std::log(STATUS_STEP));
    return static_cast<uint64_t>(std::ceil(10 * std::pow(STATUS_STEP, step)));
}

NrWaiting
NrUplinkBuffer::GetStatus(const NrWaiting& waiting)
{
    return {GetStatus(waiting[0]), GetStatus(waiting[1])};
}

uint32_t
NrUplinkBuffer::GetReportBytes(uint32_t groups)
{
    return 3 + groups;
}

void
NrUplinkBuffer::LearnStatus(const NrWaiting& waiting, int64_t slot)
{
    if (slot < m_reportedSlot)
    {
        return;
    }
    m_reportedSlot = slot;
    m_reported = waiting;
    DropGranted(slot);
}

void
NrUplinkBuffer::LearnRequest(uint64_t bytes, int64_t slot)
{
    // Newer than any status report of an earlier slot that a retransmission still brings; and it had no grant left:
    // what was granted before was of no avail.
    DropGranted(slot);
    m_reported[0] = bytes;
    m_reportedSlot = slot + 1;
}

void
NrUplinkBuffer::Grant(uint64_t bytes, int64_t slot)
{
    m_granted.push_back({slot, bytes});
}

NrWaiting
NrUplinkBuffer::GetWantedBytes() const
{
    uint64_t granted = 0;
    for (const auto& grant : m_granted)
    {
        granted += grant.bytes;
    }
    auto wanted = m_reported;
    for (auto& bytes : wanted)
    {
        auto given = std::min(bytes, granted);
        bytes -= given;
        granted -= given;
    }
    return wanted;
}

void
NrUplinkBuffer::DropGranted(int64_t slot)
{
    std::erase_if(m_granted, [slot](const Granted& each) { return each.slot <= slot; });
}

void
NrUplinkRequests::AddGrant()
{
    m_grants++;
}

void
NrUplinkRequests::UseGrant()
{
    m_grants--;
}

void
NrUplinkRequests::TellStatus(const NrWaiting& waiting)
{
    m_lastStatus = waiting;
    m_isRequesting = false; // clause 5.4.4: the status report is on its way
}

void
NrUplinkRequests::Send(int64_t nowNs)
{
    m_lastSentNs = nowNs;
}

bool
NrUplinkRequests::Request(const NrWaiting& waiting, int64_t nowNs, int64_t timerNs)
{
    // Clause 5.4.5: a regular BSR is triggered by what has a higher priority than all that waits already.
    auto first = std::find_if(waiting.begin(), waiting.end(), [](uint64_t bytes) { return bytes > 0; });
    bool isTold = first != waiting.end() && m_lastStatus[first - waiting.begin()] > 0 && nowNs - m_lastSentNs < timerNs;
    bool isNew = !m_isRequesting && m_grants == 0 && !isTold && first != waiting.end();
    m_isRequesting = m_isRequesting || isNew;
    return isNew;
}

bool
NrUplinkRequests::IsRequesting() const
{
    return m_isRequesting;
}

} // namespace ns3::cosim
