// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_DROP_LOG_H
#define COSIM_DROP_LOG_H

#include "ns3/ipv4-address.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node.h"
#include "ns3/packet.h"

#include <cstdint>
#include <functional>
#include <set>
#include <tuple>
#include <vector>

namespace ns3::cosim
{

/// Why a node could not send a packet on: what a user can mend in how the network is built.
enum class DropReason : int64_t
{
    NO_ROUTE,
    INTERFACE_DOWN,
    TTL_EXPIRED,
    ARP ///< it did not learn the next hop's hardware address, or had no room for what waited for it
};

/**
 * Where the network layer dropped packets of a device's transfers, and why. Told once for each device, node and reason,
 * and only of transfers that did not come to their end.
 */
class DropLog
{
  public:
    /// A drop at a node of what was sent to an address.
    struct Drop
    {
        uint32_t device;
        DropReason reason;
        uint32_t node;
        Ipv4Address address;
    };

    /// Packets from and to this address are the next device's, tagged or not.
    void AddDevice(Ipv4Address address);

    /// Note what IPv4 and ARP drop at a node. `sink` gets each such packet, too.
    void Watch(Ptr<Node> node, const std::function<void(Ptr<const Packet>)>& sink);

    /// Forget what is not kept.
    void Begin();

    void Note(uint32_t device, DropReason reason, uint32_t node, Ipv4Address address);

    /// Keep, to be taken, what was noted of this device since `Begin` and never taken before.
    void Keep(uint32_t device);

    uint32_t GetCount() const;
    std::vector<Drop> Take();

  private:
    using Key = std::tuple<uint32_t, DropReason, uint32_t>;

    void HandleIp(uint32_t node, const Ipv4Header& header, Ptr<const Packet> packet, Ipv4L3Protocol::DropReason reason);
    void HandleArp(uint32_t node, Ptr<const Packet> packet);
    void NotePacket(DropReason reason, uint32_t node, const Ipv4Header& header, Ptr<const Packet> packet);

    std::vector<Ipv4Address> m_devices;
    std::vector<Drop> m_noted;
    std::set<Key> m_seen;
    std::set<Key> m_told;
    std::vector<Drop> m_kept;
};

} // namespace ns3::cosim

#endif
