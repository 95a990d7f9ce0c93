// SPDX-License-Identifier: GPL-2.0-only
#include "drop-log.h"

#include "transfer-tag.h"

#include "ns3/arp-cache.h"
#include "ns3/arp-l3-protocol.h"
#include "ns3/ipv4-interface.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace ns3::cosim
{

namespace
{

constexpr uint8_t IPV4_WITHOUT_OPTIONS = 0x45; // version and length of the header, as ns-3 sends all of them

std::optional<DropReason>
Translate(Ipv4L3Protocol::DropReason reason)
{
    switch (reason)
    {
    case Ipv4L3Protocol::DROP_NO_ROUTE:
    case Ipv4L3Protocol::DROP_ROUTE_ERROR:
        return DropReason::NO_ROUTE;
    case Ipv4L3Protocol::DROP_INTERFACE_DOWN:
        return DropReason::INTERFACE_DOWN;
    case Ipv4L3Protocol::DROP_TTL_EXPIRED:
        return DropReason::TTL_EXPIRED;
    default:
        return std::nullopt;
    }
}

} // namespace

void
DropLog::AddDevice(Ipv4Address address)
{
    m_devices.push_back(address);
}

void
DropLog::Watch(Ptr<Node> node, const std::function<void(Ptr<const Packet>)>& sink)
{
    auto id = node->GetId();
    auto ip = node->GetObject<Ipv4L3Protocol>();
    if (!ip)
    {
        return;
    }
    using Reason = Ipv4L3Protocol::DropReason;
    std::function<void(const Ipv4Header&, Ptr<const Packet>, Reason, Ptr<Ipv4>, uint32_t)> dropped =
        [this, id, sink](const Ipv4Header& header, Ptr<const Packet> packet, Reason reason, Ptr<Ipv4>, uint32_t) {
            HandleIp(id, header, packet, reason);
            sink(packet);
        };
    ip->TraceConnectWithoutContext(
        "Drop",
        Callback<void, const Ipv4Header&, Ptr<const Packet>, Reason, Ptr<Ipv4>, uint32_t>(dropped));
    std::function<void(Ptr<const Packet>)> unanswered = [this, id, sink](Ptr<const Packet> packet) {
        HandleArp(id, packet);
        sink(packet);
    };
    Callback<void, Ptr<const Packet>> atArp(unanswered);
    if (auto arp = node->GetObject<ArpL3Protocol>())
    {
        arp->TraceConnectWithoutContext("Drop", atArp);
    }
    for (uint32_t i = 0; i < ip->GetNInterfaces(); i++)
    {
        if (auto cache = ip->GetInterface(i)->GetArpCache())
        {
            cache->TraceConnectWithoutContext("Drop", atArp);
        }
    }
}

void
DropLog::Begin()
{
    m_noted.clear();
    m_seen.clear();
}

void
DropLog::Note(uint32_t device, DropReason reason, uint32_t node, Ipv4Address address)
{
    if (m_seen.insert({device, reason, node}).second)
    {
        m_noted.push_back({device, reason, node, address});
    }
}

void
DropLog::Keep(uint32_t device)
{
    for (const auto& drop : m_noted)
    {
        if (drop.device == device && m_told.insert({device, drop.reason, drop.node}).second)
        {
            m_kept.push_back(drop);
        }
    }
}

uint32_t
DropLog::GetCount() const
{
    return m_kept.size();
}

std::vector<DropLog::Drop>
DropLog::Take()
{
    return std::exchange(m_kept, {});
}

void
DropLog::HandleIp(uint32_t node, const Ipv4Header& header, Ptr<const Packet> packet, Ipv4L3Protocol::DropReason reason)
{
    if (auto found = Translate(reason))
    {
        NotePacket(*found, node, header, packet);
    }
}

void
DropLog::HandleArp(uint32_t node, Ptr<const Packet> packet)
{
    uint8_t first = 0;
    packet->CopyData(&first, 1);
    Ipv4Header header;
    if (first == IPV4_WITHOUT_OPTIONS && packet->GetSize() >= header.GetSerializedSize()) // else it is ARP's own
    {
        packet->PeekHeader(header);
        NotePacket(DropReason::ARP, node, header, packet);
    }
}

void
DropLog::NotePacket(DropReason reason, uint32_t node, const Ipv4Header& header, Ptr<const Packet> packet)
{
    TransferTag tag;
    if (packet->FindFirstMatchingByteTag(tag))
    {
        Note(tag.device, reason, node, header.GetDestination());
        return;
    }
    auto isEnd = [&](auto address) { return address == header.GetSource() || address == header.GetDestination(); };
    auto device = std::find_if(m_devices.begin(), m_devices.end(), isEnd);
    if (device != m_devices.end())
    {
        Note(static_cast<uint32_t>(device - m_devices.begin()), reason, node, header.GetDestination());
    }
}

} // namespace ns3::cosim
