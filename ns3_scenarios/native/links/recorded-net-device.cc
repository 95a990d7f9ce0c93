// SPDX-License-Identifier: GPL-2.0-only
#include "recorded-net-device.h"

#include "transfer-tag.h"

#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(RecordedNetDevice);

namespace
{

LinkTrace::Work
GetWorkOf(Ptr<const Packet> packet)
{
    return LinkTrace::Work{8} * packet->GetSize() * LinkTrace::WORK_PER_BIT;
}

} // namespace

TypeId
RecordedNetDevice::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::RecordedNetDevice")
                            .SetParent<SimpleNetDevice>()
                            .SetGroupName("Cosim")
                            .AddConstructor<RecordedNetDevice>()
                            .AddTraceSource("PhyTxDrop",
                                            "A packet has crossed and is lost.",
                                            MakeTraceSourceAccessor(&RecordedNetDevice::m_lost),
                                            "ns3::Packet::TracedCallback");
    return tid;
}

RecordedNetDevice::RecordedNetDevice()
    : m_loss(CreateObject<UniformRandomVariable>())
{
}

void
RecordedNetDevice::SetTrace(Ptr<LinkTrace> trace, int64_t offsetNs)
{
    m_trace = trace;
    m_offsetNs = offsetNs;
}

void
RecordedNetDevice::AssignStream(int64_t stream)
{
    m_loss->SetStream(stream);
}

int64_t
RecordedNetDevice::GetTraceTime() const
{
    return Simulator::Now().GetNanoSeconds() + m_offsetNs;
}

void
RecordedNetDevice::SetPools(Ptr<RecordedPools> pools)
{
    m_pools = pools;
}

bool
RecordedNetDevice::SendFrom(Ptr<Packet> packet, const Address& source, const Address& target, uint16_t protocol)
{
    NS_ABORT_MSG_UNLESS(protocol == Ipv4L3Protocol::PROT_NUMBER, "a recorded link carries IPv4");
    if (packet->GetSize() > GetMtu() || !GetQueue()->Enqueue(packet))
    {
        return false;
    }
    if (!m_crossing)
    {
        m_spent = m_trace->GetWork(GetTraceTime());
        BeginSharing();
        Begin();
    }
    return true;
}

void
RecordedNetDevice::BeginSharing()
{
    auto now = GetTraceTime();
    m_sharing = m_trace->GetSharing(now);
    if (m_sharing.pool >= 0)
    {
        m_pools->Enter(m_sharing.pool, this);
    }
    HandleSharers();
    auto until = m_trace->GetNextSharing(now);
    if (until < LinkTrace::LATEST_NS)
    {
        m_sharingAnew = Simulator::Schedule(NanoSeconds(until - now), &RecordedNetDevice::HandleSharingAnew, this);
    }
}

void
RecordedNetDevice::EndSharing()
{
    m_sharingAnew.Cancel();
    if (m_sharing.pool >= 0)
    {
        m_pools->Leave(m_sharing.pool, this);
    }
}

void
RecordedNetDevice::HandleSharingAnew()
{
    EndSharing();
    BeginSharing();
}

void
RecordedNetDevice::HandleSharers()
{
    auto parts = m_sharing.others + (m_sharing.pool >= 0 ? m_pools->GetCount(m_sharing.pool) : 1);
    auto now = m_trace->GetWork(GetTraceTime());
    if (m_crossing && m_spent > now && parts != m_parts)
    {
        m_spent = now + (m_spent - now) * parts / m_parts;
        m_crossed.Cancel();
        AwaitCrossing();
    }
    m_parts = parts;
}

void
RecordedNetDevice::Begin()
{
    m_crossing = GetQueue()->Dequeue();
    if (m_crossing)
    {
        m_spent += GetWorkOf(m_crossing) * m_parts;
        AwaitCrossing();
    }
    else
    {
        EndSharing();
    }
}

void
RecordedNetDevice::AwaitCrossing()
{
    auto wait = NanoSeconds(m_trace->GetInstant(m_spent) - GetTraceTime());
    m_crossed = Simulator::Schedule(wait, &RecordedNetDevice::HandleCrossed, this);
}

void
RecordedNetDevice::HandleCrossed()
{
    auto loss = m_trace->GetLoss(GetTraceTime());
    if (loss > 0 && m_loss->GetValue() < loss)
    {
        m_lost(m_crossing);
    }
    else
    {
        Deliver(m_crossing);
    }
    Begin();
}

void
RecordedNetDevice::Deliver(Ptr<Packet> packet)
{
    auto arrival = Simulator::Now() + NanoSeconds(m_trace->GetDelayNs(GetTraceTime()));
    m_lastArrival = std::max(m_lastArrival, arrival); // packets keep their order where the delay falls
    auto ends = GetChannel();
    auto peer = DynamicCast<SimpleNetDevice>(ends->GetDevice(ends->GetDevice(0) == this ? 1 : 0));
    Simulator::ScheduleWithContext(peer->GetNode()->GetId(),
                                   m_lastArrival - Simulator::Now(),
                                   &SimpleNetDevice::Receive,
                                   peer,
                                   packet->Copy(),
                                   Ipv4L3Protocol::PROT_NUMBER,
                                   Mac48Address::ConvertFrom(peer->GetAddress()),
                                   Mac48Address::ConvertFrom(GetAddress()));
}

double
RecordedNetDevice::GetRateBps(int64_t windowNs) const
{
    auto now = GetTraceTime();
    return static_cast<double>(m_trace->GetWork(now) - m_trace->GetWork(now - windowNs)) /
           static_cast<double>(windowNs);
}

double
RecordedNetDevice::GetComingRateBps(int64_t windowNs) const
{
    auto now = GetTraceTime();
    return static_cast<double>(m_trace->GetWork(now + windowNs) - m_trace->GetWork(now)) /
           static_cast<double>(windowNs);
}

LinkTrace::Sharing
RecordedNetDevice::GetSharing() const
{
    return m_trace->GetSharing(GetTraceTime());
}

uint32_t
RecordedNetDevice::GetWaitingBytes() const
{
    return GetQueue()->GetNBytes() + (m_crossing ? m_crossing->GetSize() : 0);
}

void
RecordedNetDevice::Discard(uint32_t exchange)
{
    TransferTag tag;
    if (m_crossing && m_crossing->FindFirstMatchingByteTag(tag) && tag.exchange <= exchange)
    {
        m_crossed.Cancel();
        m_spent = m_trace->GetWork(GetTraceTime());
        Begin();
    }
}

void
RecordedNetDevice::DoDispose()
{
    m_crossed.Cancel();
    m_sharingAnew.Cancel();
    m_crossing = nullptr;
    m_trace = nullptr;
    m_pools = nullptr;
    m_loss = nullptr;
    SimpleNetDevice::DoDispose();
}

} // namespace ns3::cosim
