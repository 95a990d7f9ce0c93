// SPDX-License-Identifier: GPL-2.0-only
#include "load.h"

#include "ns3/double.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/socket-factory.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/udp-socket-factory.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(Load);

namespace
{

constexpr int64_t PATIENCE_NS = 10'000'000;

/// Byte tag on a load's payload. It costs no bytes on the link and survives segmentation and reassembly.
class LoadTag : public Tag
{
  public:
    static TypeId GetTypeId()
    {
        static TypeId tid =
            TypeId("ns3::cosim::LoadTag").SetParent<Tag>().SetGroupName("Cosim").AddConstructor<LoadTag>();
        return tid;
    }

    TypeId GetInstanceTypeId() const override
    {
        return GetTypeId();
    }

    uint32_t GetSerializedSize() const override
    {
        return sizeof(end);
    }

    void Serialize(TagBuffer buffer) const override
    {
        buffer.WriteU64(end);
    }

    void Deserialize(TagBuffer buffer) override
    {
        end = buffer.ReadU64();
    }

    void Print(std::ostream& stream) const override
    {
        stream << "end=" << end;
    }

    uint64_t end{0}; ///< bytes of the load up to and with this packet's
};

NS_OBJECT_ENSURE_REGISTERED(LoadTag);

} // namespace

bool
IsLoad(Ptr<const Packet> packet)
{
    LoadTag tag;
    return packet->FindFirstMatchingByteTag(tag);
}

TypeId
Load::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::Load")
            .SetParent<Application>()
            .SetGroupName("Cosim")
            .AddConstructor<Load>()
            .AddAttribute("Local",
                          "The address and port to send from.",
                          AddressValue(),
                          MakeAddressAccessor(&Load::m_local),
                          MakeAddressChecker())
            .AddAttribute("Remote",
                          "The receiver's address and port.",
                          AddressValue(),
                          MakeAddressAccessor(&Load::m_remote),
                          MakeAddressChecker())
            .AddAttribute("PacketBytes",
                          "Payload bytes of a full datagram.",
                          UintegerValue(1472),
                          MakeUintegerAccessor(&Load::m_packetBytes),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("OutstandingBytes",
                          "The most payload bytes that may be sent and neither arrived nor known to be lost.",
                          UintegerValue(1'000'000),
                          MakeUintegerAccessor(&Load::m_mostOutstanding),
                          MakeUintegerChecker<uint64_t>())
            .AddAttribute("Interval",
                          "On-time from one packet to the next; 0 sends as much as goes through.",
                          TimeValue(Time()),
                          MakeTimeAccessor(&Load::m_interval),
                          MakeTimeChecker(Time()))
            .AddAttribute("MeanOnTime",
                          "Mean of the on-times in s.",
                          DoubleValue(1),
                          MakeDoubleAccessor(&Load::m_meanOnS),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("MeanOffTime",
                          "Mean of the off-times in s; 0 is always on.",
                          DoubleValue(0),
                          MakeDoubleAccessor(&Load::m_meanOffS),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("Times",
                          "Draws on-times and off-times; null for times that are all equal to their mean.",
                          PointerValue(),
                          MakePointerAccessor(&Load::m_times),
                          MakePointerChecker<ExponentialRandomVariable>())
            .AddTraceSource("Tx",
                            "A packet was handed to the socket.",
                            MakeTraceSourceAccessor(&Load::m_tx),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("Rx",
                            "A packet arrived.",
                            MakeTraceSourceAccessor(&Load::m_rx),
                            "ns3::Packet::TracedCallback");
    return tid;
}

void
Load::SetReceiver(Ptr<Node> node)
{
    m_receiver = node;
}

void
Load::Replay(uint32_t count, const int64_t* rows, int64_t periodNs)
{
    m_periodNs = periodNs;
    m_rows.clear();
    for (uint32_t i = 0; i < count; i++, rows += 2)
    {
        m_rows.push_back({rows[0], static_cast<uint64_t>(rows[1])});
    }
}

uint64_t
Load::GetOfferedBytes() const
{
    return m_offeredBytes;
}

uint64_t
Load::GetDroppedBytes() const
{
    return m_droppedBytes;
}

uint64_t
Load::GetArrivedBytes() const
{
    return m_arrivedBytes;
}

void
Load::DoDispose()
{
    m_from = nullptr;
    m_to = nullptr;
    m_receiver = nullptr;
    m_times = nullptr;
    Application::DoDispose();
}

void
Load::StartApplication()
{
    m_from = Open(GetNode(), m_local, m_remote);
    m_to = Open(m_receiver, m_remote, m_local);
    m_to->SetRecvCallback(MakeCallback(&Load::HandleRead, this));
    if (!m_rows.empty())
    {
        m_periodBegin = Simulator::Now();
        m_next = Simulator::Schedule(NanoSeconds(m_rows.front().atNs), &Load::PlayRow, this);
    }
    else if (m_interval.IsZero())
    {
        m_filling = true;
        Fill();
    }
    else
    {
        // On with the probability that it has in the long run; Toggle turns it round. Fixed times begin with an
        // on-time.
        bool on = !m_times || m_meanOffS == 0 || m_times->GetValue(1, 0) > std::log1p(m_meanOffS / m_meanOnS);
        m_on = !on;
        m_onSince = Simulator::Now();
        Toggle();
    }
}

void
Load::StopApplication()
{
    m_next.Cancel();
    m_toggle.Cancel();
    m_filling = false;
}

Ptr<Socket>
Load::Open(Ptr<Node> node, const Address& local, const Address& remote)
{
    auto socket = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
    NS_ABORT_MSG_IF(socket->Bind(local) != 0 || socket->Connect(remote) != 0, "Load cannot bind its addresses");
    return socket;
}

void
Load::Fill()
{
    while (MaySend(m_packetBytes))
    {
        m_offeredBytes += m_packetBytes;
        Send(m_packetBytes);
    }
    m_next = Simulator::Schedule(m_progress + m_patience - Simulator::Now(), &Load::Fill, this);
}

void
Load::Toggle()
{
    auto now = Simulator::Now();
    m_on = !m_on;
    if (m_on)
    {
        m_onSince = now;
        m_next = Simulator::Schedule(m_interval - m_saved, &Load::Tick, this);
    }
    else
    {
        m_next.Cancel();
        m_saved += now - m_onSince;
        if (m_saved == m_interval)
        {
            m_saved = Time();
            Offer(m_packetBytes);
        }
    }
    if (!m_on || m_meanOffS > 0)
    {
        m_toggle = Simulator::Schedule(Draw(m_on ? m_meanOnS : m_meanOffS), &Load::Toggle, this);
    }
}

void
Load::Tick()
{
    m_saved = Time();
    m_onSince = Simulator::Now();
    Offer(m_packetBytes);
    m_next = Simulator::Schedule(m_interval, &Load::Tick, this);
}

void
Load::PlayRow()
{
    Offer(m_rows[m_row].bytes);
    m_row++;
    if (m_row == m_rows.size() && m_periodNs > 0)
    {
        m_row = 0;
        m_periodBegin += NanoSeconds(m_periodNs);
    }
    if (m_row < m_rows.size())
    {
        auto at = m_periodBegin + NanoSeconds(m_rows[m_row].atNs);
        m_next = Simulator::Schedule(at - Simulator::Now(), &Load::PlayRow, this);
    }
}

Time
Load::Draw(double meanS)
{
    return Seconds(m_times ? m_times->GetValue(meanS, 0) : meanS);
}

void
Load::Offer(uint64_t bytes)
{
    m_offeredBytes += bytes;
    while (bytes > 0)
    {
        auto packet = std::min<uint64_t>(bytes, m_packetBytes);
        if (!MaySend(packet))
        {
            m_droppedBytes += bytes;
            return;
        }
        Send(packet);
        bytes -= packet;
    }
}

bool
Load::MaySend(uint64_t bytes)
{
    if (m_sentBytes - m_settledBytes + bytes <= m_mostOutstanding)
    {
        m_patience = NanoSeconds(PATIENCE_NS);
        return true;
    }
    if (Simulator::Now() - m_progress < m_patience)
    {
        return false;
    }
    m_progress = Simulator::Now();
    m_patience = NanoSeconds(m_patience.GetNanoSeconds() * 5 / 4);
    return true;
}

void
Load::Send(uint64_t bytes)
{
    if (m_sentBytes == m_settledBytes)
    {
        m_progress = Simulator::Now();
    }
    m_sentBytes += bytes;
    LoadTag tag;
    tag.end = m_sentBytes;
    auto packet = Create<Packet>(static_cast<uint32_t>(bytes));
    packet->AddByteTag(tag);
    m_tx(packet);
    m_from->Send(packet); // one that has no route is lost, as on any UDP socket
}

void
Load::HandleRead(Ptr<Socket> socket)
{
    while (auto packet = socket->Recv())
    {
        LoadTag tag;
        packet->FindFirstMatchingByteTag(tag);
        m_rx(packet);
        m_arrivedBytes += packet->GetSize();
        m_settledBytes = std::max(m_settledBytes, tag.end);
        m_progress = Simulator::Now();
    }
    if (m_filling)
    {
        m_next.Cancel();
        m_next = Simulator::ScheduleNow(&Load::Fill, this);
    }
}

} // namespace ns3::cosim
