// SPDX-License-Identifier: GPL-2.0-only
#include "recorded-link.h"

#include "recorded-pools.h"
#include "transfer-tag.h"
#include "units.h"

#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"

#include <algorithm>
#include <limits>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(LinkTrace);
NS_OBJECT_ENSURE_REGISTERED(RecordedNetDevice);
NS_OBJECT_ENSURE_REGISTERED(RecordedRadio);

namespace
{

constexpr int64_t LATEST_NS = std::numeric_limits<int64_t>::max() / 2;
constexpr int64_t RATE_WINDOW_NS = 100'000'000; // ours: some packets even of slow links
constexpr int64_t SILENCE_NS = NS_PER_S;        // ours

/// How many whole `b` there are in `a`, towards minus infinity; `b` is positive.
template <class T>
T
FloorDivide(T a, T b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

LinkTrace::Work
GetWorkOf(Ptr<const Packet> packet)
{
    return LinkTrace::Work{8} * packet->GetSize() * NS_PER_S;
}

} // namespace

TypeId
LinkTrace::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::LinkTrace").SetParent<Object>().SetGroupName("Cosim").AddConstructor<LinkTrace>();
    return tid;
}

void
LinkTrace::SetRows(uint32_t count,
                   const int64_t* beginNs,
                   const int64_t* burstBits,
                   const int64_t* rateBps,
                   const int64_t* delayNs,
                   const double* loss,
                   const int64_t* pool,
                   const int64_t* others,
                   int64_t periodNs)
{
    m_rows.clear();
    m_isSharingFixed = true;
    Work work = 0;
    for (uint32_t i = 0; i < count; i++)
    {
        work += Work{burstBits[i]} * NS_PER_S;
        m_rows.push_back({beginNs[i], work, rateBps[i], delayNs[i], loss[i], {pool[i], others[i]}});
        m_isSharingFixed &= m_rows.back().sharing == m_rows.front().sharing;
        work += Work{rateBps[i]} * ((i + 1 < count ? beginNs[i + 1] : periodNs) - beginNs[i]);
    }
    m_cycle = work;
    m_rows.push_back({periodNs, m_cycle + m_rows.front().work, 0, 0, 0.0, m_rows.front().sharing});
    NS_ABORT_MSG_UNLESS(m_rows.front().beginNs == 0 && m_cycle > 0, "a LinkTrace begins at 0 and carries something");
}

const LinkTrace::Row&
LinkTrace::GetRow(int64_t ns) const
{
    auto period = m_rows.back().beginNs;
    auto inCycle = ns - FloorDivide(ns, period) * period;
    auto later = [](int64_t at, const Row& row) { return at < row.beginNs; };
    return *std::prev(std::upper_bound(m_rows.begin(), m_rows.end(), inCycle, later));
}

LinkTrace::Work
LinkTrace::GetWork(int64_t ns) const
{
    auto period = m_rows.back().beginNs;
    auto cycles = FloorDivide(ns, period);
    const auto& row = GetRow(ns);
    return cycles * m_cycle + row.work + Work{row.rateBps} * (ns - cycles * period - row.beginNs);
}

int64_t
LinkTrace::GetInstant(Work work) const
{
    // The cycle at whose beginning there has been less than that, and at whose end there has not.
    auto cycles = FloorDivide(work - m_rows.front().work - 1, m_cycle);
    auto inCycle = work - cycles * m_cycle;
    auto less = [](const Row& row, Work sought) { return row.work < sought; };
    auto next = std::lower_bound(m_rows.begin(), m_rows.end(), inCycle, less);
    auto row = std::prev(next);
    Work at = next->beginNs;
    if (row->rateBps > 0)
    {
        at = std::min(at, row->beginNs + (inCycle - row->work + row->rateBps - 1) / row->rateBps);
    }
    return static_cast<int64_t>(std::min<Work>(cycles * m_rows.back().beginNs + at, LATEST_NS));
}

int64_t
LinkTrace::GetDelayNs(int64_t ns) const
{
    return GetRow(ns).delayNs;
}

double
LinkTrace::GetLoss(int64_t ns) const
{
    return GetRow(ns).loss;
}

const LinkTrace::Sharing&
LinkTrace::GetSharing(int64_t ns) const
{
    return GetRow(ns).sharing;
}

int64_t
LinkTrace::GetNextSharing(int64_t ns) const
{
    if (m_isSharingFixed)
    {
        return LATEST_NS;
    }
    auto cycle = FloorDivide(ns, m_rows.back().beginNs) * m_rows.back().beginNs;
    const auto* row = &GetRow(ns);
    const auto& sharing = row->sharing;
    while (++row != &m_rows.back() && row->sharing == sharing)
    {
    }
    return cycle + row->beginNs;
}

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
    if (until < LATEST_NS)
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
    return static_cast<double>(m_trace->GetWork(now) - m_trace->GetWork(now - windowNs)) / static_cast<double>(windowNs);
}

double
RecordedNetDevice::GetComingRateBps(int64_t windowNs) const
{
    auto now = GetTraceTime();
    return static_cast<double>(m_trace->GetWork(now + windowNs) - m_trace->GetWork(now)) / static_cast<double>(windowNs);
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

TypeId
RecordedRadio::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::RecordedRadio").SetParent<Radio>().SetGroupName("Cosim").AddConstructor<RecordedRadio>();
    return tid;
}

void
RecordedRadio::AddLink(Ptr<NetDevice> atServer, Ptr<NetDevice> atDevice)
{
    m_links.push_back({DynamicCast<RecordedNetDevice>(atServer), DynamicCast<RecordedNetDevice>(atDevice)});
    NS_ABORT_MSG_UNLESS(m_links.back().atServer && m_links.back().atDevice, "RecordedRadio needs RecordedNetDevices");
}

bool
RecordedRadio::IsConnected(uint32_t device) const
{
    const auto& link = m_links[device];
    return link.atServer->GetRateBps(SILENCE_NS) > 0 && link.atDevice->GetRateBps(SILENCE_NS) > 0;
}

LinkSample
RecordedRadio::GetLink(uint32_t device) const
{
    const auto& link = m_links[device];
    LinkSample sample;
    sample.downlinkRateBps = link.atServer->GetRateBps(RATE_WINDOW_NS);
    sample.uplinkRateBps = link.atDevice->GetRateBps(RATE_WINDOW_NS);
    sample.rlcQueueBytes = link.atServer->GetWaitingBytes();
    sample.bsrBytes = link.atDevice->GetWaitingBytes();
    return sample;
}

bool
RecordedRadio::IsChanging() const
{
    return true;
}

std::vector<Capacity>
RecordedRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    const auto& link = m_links[device];
    std::vector<Capacity> both;
    for (const auto& end : {link.atServer, link.atDevice})
    {
        auto [pool, others] = end->GetSharing();
        auto own = 2 * device + static_cast<uint32_t>(both.size());
        auto number = pool < 0 ? own : 2 * m_links.size() + pool;
        both.push_back({static_cast<uint32_t>(number), static_cast<uint32_t>(others), end->GetComingRateBps(forNs)});
    }
    return both;
}

void
RecordedRadio::Discard(uint32_t device, uint32_t exchange)
{
    m_links[device].atServer->Discard(exchange);
    m_links[device].atDevice->Discard(exchange);
}

void
RecordedRadio::DoDispose()
{
    m_links.clear();
    Radio::DoDispose();
}

} // namespace ns3::cosim
