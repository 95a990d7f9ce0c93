// SPDX-License-Identifier: GPL-2.0-only
#include "ip-recorder.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(IpRecorder);

TypeId
IpRecorder::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::IpRecorder").SetParent<Object>().SetGroupName("Cosim");
    return tid;
}

void
IpRecorder::Follow(Ipv4Address address)
{
    m_followed.insert(address);
}

bool
IpRecorder::AddNode(Ptr<Node> node, const std::string& file)
{
    auto ip = node->GetObject<Ipv4L3Protocol>();
    if (!ip || !Open(file))
    {
        return false;
    }
    auto number = m_files++;
    ip->TraceConnectWithoutContext("Tx", MakeCallback(&IpRecorder::HandlePacket, this, number, Event::SENT));
    ip->TraceConnectWithoutContext("Rx", MakeCallback(&IpRecorder::HandlePacket, this, number, Event::RECEIVED));
    ip->TraceConnectWithoutContext("Drop", MakeCallback(&IpRecorder::HandleDrop, this, number));
    return true;
}

void
IpRecorder::HandlePacket(uint32_t file, Event event, Ptr<const Packet> packet, Ptr<Ipv4> ip, uint32_t interface)
{
    Ipv4Header header;
    packet->PeekHeader(header);
    if (m_followed.contains(header.GetSource()) || m_followed.contains(header.GetDestination()))
    {
        Record(file, event, header, packet);
    }
}

void
IpRecorder::HandleDrop(uint32_t file,
                       const Ipv4Header& header,
                       Ptr<const Packet> payload,
                       Ipv4L3Protocol::DropReason reason,
                       Ptr<Ipv4> ip,
                       uint32_t interface)
{
    auto packet = payload->Copy();
    packet->AddHeader(header);
    HandlePacket(file, Event::DROPPED, packet, ip, interface);
}

} // namespace ns3::cosim
