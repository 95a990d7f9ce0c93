// SPDX-License-Identifier: GPL-2.0-only
#include "nr-net-device.h"

#include "nr-cell.h"
#include "nr-cells.h"

#include "ns3/ipv4-header.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/ipv4.h"
#include "ns3/mac48-address.h"
#include "ns3/node.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrNetDevice);

TypeId
NrNetDevice::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NrNetDevice")
            .SetParent<NetDevice>()
            .SetGroupName("Cosim")
            .AddConstructor<NrNetDevice>()
            .AddAttribute("Mtu",
                          "Bytes of an IPv4 packet at most.",
                          UintegerValue(1500),
                          MakeUintegerAccessor(&NrNetDevice::SetMtu, &NrNetDevice::GetMtu),
                          MakeUintegerChecker<uint16_t>(68))
            .AddTraceSource("MacTx",
                            "A packet has come from above and waits for the air.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_transmit),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("MacTxDrop",
                            "A packet was dropped, since the buffer was full or nobody has its address.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_transmitDrop),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("MacRx",
                            "A packet has come over the air.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_received),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("PromiscSniffer",
                            "Each packet sent or received.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_sniffer),
                            "ns3::Packet::TracedCallback");
    return tid;
}

void
NrNetDevice::Connect(Ptr<NrCell> cell, Ptr<NrCells> cells, int64_t device)
{
    m_cell = cell;
    m_cells = cells;
    m_device = device;
    m_address = Mac48Address::Allocate();
}

void
NrNetDevice::ConnectGnb(Ptr<NrCell> cell)
{
    Connect(cell, nullptr, -1);
}

void
NrNetDevice::ConnectGnbs(Ptr<NrCells> cells)
{
    Connect(nullptr, cells, -1);
}

void
NrNetDevice::AddDevice(Ptr<NrNetDevice> end)
{
    end->Connect(m_cell, m_cells, m_devices.size());
    m_devices.push_back(end);
}

int64_t
NrNetDevice::FindDevice(Ipv4Address address)
{
    if (m_byAddress.size() < m_devices.size())
    {
        for (const auto& end : m_devices)
        {
            auto ip = end->GetNode()->GetObject<Ipv4>();
            auto interface = ip ? ip->GetInterfaceForDevice(end) : -1;
            for (uint32_t i = 0; interface >= 0 && i < ip->GetNAddresses(interface); i++)
            {
                m_byAddress[ip->GetAddress(interface, i).GetLocal()] = end->m_device;
            }
        }
    }
    auto found = m_byAddress.find(address);
    return found == m_byAddress.end() ? -1 : found->second;
}

void
NrNetDevice::DoDispose()
{
    m_cell = nullptr;
    m_cells = nullptr;
    m_devices.clear();
    m_node = nullptr;
    m_receive = ReceiveCallback();
    m_promiscuousReceive = PromiscReceiveCallback();
    NetDevice::DoDispose();
}

Ptr<NrCell>
NrNetDevice::GetCell() const
{
    return FindCell(m_device);
}

Ptr<NrCell>
NrNetDevice::FindCell(int64_t device) const
{
    return m_cells && device >= 0 ? m_cells->GetCell(device) : m_cell;
}

int64_t
NrNetDevice::GetDevice() const
{
    return m_device;
}

bool
NrNetDevice::Send(Ptr<Packet> packet, const Address& target, uint16_t protocol)
{
    NS_ABORT_MSG_UNLESS(protocol == Ipv4L3Protocol::PROT_NUMBER, "NR carries IPv4 here");
    auto device = m_device;
    if (device < 0)
    {
        Ipv4Header header;
        packet->PeekHeader(header);
        device = FindDevice(header.GetDestination());
    }
    m_transmit(packet);
    if (device < 0 || packet->GetSize() > m_mtu || !FindCell(device)->Enqueue(device, m_device >= 0, packet))
    {
        m_transmitDrop(packet);
        return false;
    }
    m_sniffer(packet);
    return true;
}

bool
NrNetDevice::SendFrom(Ptr<Packet> packet, const Address& source, const Address& target, uint16_t protocol)
{
    return Send(packet, target, protocol);
}

void
NrNetDevice::Receive(Ptr<Packet> packet)
{
    m_sniffer(packet);
    m_received(packet);
    if (!m_promiscuousReceive.IsNull())
    {
        m_promiscuousReceive(this,
                             packet,
                             Ipv4L3Protocol::PROT_NUMBER,
                             GetBroadcast(),
                             m_address,
                             NetDevice::PACKET_HOST);
    }
    m_receive(this, packet, Ipv4L3Protocol::PROT_NUMBER, GetBroadcast());
}

void
NrNetDevice::SetIfIndex(const uint32_t index)
{
    m_index = index;
}

uint32_t
NrNetDevice::GetIfIndex() const
{
    return m_index;
}

Ptr<Channel>
NrNetDevice::GetChannel() const
{
    auto cell = GetCell();
    return cell ? cell->GetChannel() : nullptr;
}

void
NrNetDevice::SetAddress(Address address)
{
    m_address = address;
}

Address
NrNetDevice::GetAddress() const
{
    return m_address;
}

bool
NrNetDevice::SetMtu(const uint16_t mtu)
{
    m_mtu = mtu;
    return true;
}

uint16_t
NrNetDevice::GetMtu() const
{
    return m_mtu;
}

bool
NrNetDevice::IsLinkUp() const
{
    return true;
}

void
NrNetDevice::AddLinkChangeCallback(Callback<void> callback)
{
}

bool
NrNetDevice::IsBroadcast() const
{
    return true;
}

Address
NrNetDevice::GetBroadcast() const
{
    return Mac48Address::GetBroadcast();
}

bool
NrNetDevice::IsMulticast() const
{
    return false;
}

Address
NrNetDevice::GetMulticast(Ipv4Address multicastGroup) const
{
    return Mac48Address::GetMulticast(multicastGroup);
}

Address
NrNetDevice::GetMulticast(Ipv6Address address) const
{
    return Mac48Address::GetMulticast(address);
}

bool
NrNetDevice::IsBridge() const
{
    return false;
}

bool
NrNetDevice::IsPointToPoint() const
{
    return false;
}

Ptr<Node>
NrNetDevice::GetNode() const
{
    return m_node;
}

void
NrNetDevice::SetNode(Ptr<Node> node)
{
    m_node = node;
}

bool
NrNetDevice::NeedsArp() const
{
    return false;
}

void
NrNetDevice::SetReceiveCallback(ReceiveCallback callback)
{
    m_receive = callback;
}

void
NrNetDevice::SetPromiscReceiveCallback(PromiscReceiveCallback callback)
{
    m_promiscuousReceive = callback;
}

bool
NrNetDevice::SupportsSendFrom() const
{
    return true;
}

} // namespace ns3::cosim
