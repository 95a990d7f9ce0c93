// SPDX-License-Identifier: GPL-2.0-only
#include "queue-recorder.h"

#include "queues.h"

#include "ns3/queue-disc.h"
#include "ns3/simulator.h"
#include "ns3/wifi-mac-queue.h"
#include "ns3/wifi-mac.h"
#include "ns3/wifi-net-device.h"

#include <iomanip>
#include <utility>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(QueueRecorder);

namespace
{

constexpr std::pair<AcIndex, const char*> CATEGORIES[]{{AC_BE, "BE"},
                                                       {AC_BK, "BK"},
                                                       {AC_VI, "VI"},
                                                       {AC_VO, "VO"}}; // IEEE 802.11

} // namespace

TypeId
QueueRecorder::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::QueueRecorder").SetParent<Object>().SetGroupName("Cosim").AddConstructor<QueueRecorder>();
    return tid;
}

bool
QueueRecorder::AddNode(Ptr<Node> node, const std::string& file)
{
    auto table = static_cast<uint32_t>(m_tables.size());
    auto& out = m_tables.emplace_back(file);
    out << "% time\tinterface\tqueue\tpackets\tbytes\tdropped\n" << std::fixed << std::setprecision(9);
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        auto netDevice = node->GetDevice(i);
        if (auto disc = GetDisc(node, netDevice))
        {
            auto length = &m_lengths.emplace_back(
                Length{table, i, "disc", [disc] { return disc->GetStats().nTotalDroppedPackets; }});
            Connect(disc, length);
        }
        if (auto queue = GetQueue(netDevice))
        {
            Add(table, i, queue, "device");
        }
        if (auto wifi = DynamicCast<WifiNetDevice>(netDevice); wifi && wifi->GetMac()->GetQosSupported())
        {
            for (const auto& [category, name] : CATEGORIES)
            {
                Add(table, i, wifi->GetMac()->GetTxopQueue(category), name);
            }
        }
    }
    return out.good();
}

void
QueueRecorder::Add(uint32_t table, uint32_t interface, Ptr<QueueBase> queue, const std::string& name)
{
    auto length =
        &m_lengths.emplace_back(Length{table, interface, name, [queue] { return queue->GetTotalDroppedPackets(); }});
    Connect(queue, length);
}

void
QueueRecorder::Connect(Ptr<Object> queue, Length* length)
{
    queue->TraceConnectWithoutContext("PacketsInQueue", MakeBoundCallback(&HandlePackets, this, length));
    queue->TraceConnectWithoutContext("BytesInQueue", MakeBoundCallback(&HandleBytes, this, length));
}

void
QueueRecorder::HandlePackets(QueueRecorder* recorder, Length* length, uint32_t before, uint32_t packets)
{
    recorder->Change(length);
    length->packets = packets;
}

void
QueueRecorder::HandleBytes(QueueRecorder* recorder, Length* length, uint32_t before, uint32_t bytes)
{
    recorder->Change(length);
    length->bytes = bytes;
}

void
QueueRecorder::Change(Length* length)
{
    if (Simulator::Now() != m_changedAt)
    {
        Write();
        m_changedAt = Simulator::Now();
    }
    length->isChanged = true;
    length->dropped = length->countDropped();
}

void
QueueRecorder::Write()
{
    for (auto& length : m_lengths)
    {
        if (length.isChanged && !m_closed)
        {
            m_tables[length.table] << m_changedAt.GetSeconds() << '\t' << length.interface << '\t' << length.queue
                                   << '\t' << length.packets << '\t' << length.bytes << '\t' << length.dropped << '\n';
        }
        length.isChanged = false;
    }
}

void
QueueRecorder::Close()
{
    Write();
    m_closed = true;
    for (auto& table : m_tables)
    {
        table.close();
    }
    for (auto& length : m_lengths)
    {
        length.countDropped = [] { return 0; }; // holds the queue no longer
    }
}

} // namespace ns3::cosim
