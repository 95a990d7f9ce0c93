// SPDX-License-Identifier: GPL-2.0-only
#include "neighbours.h"

#include "ns3/arp-cache.h"
#include "ns3/config.h"
#include "ns3/ipv4-interface.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node-list.h"
#include "ns3/node.h"
#include "ns3/uinteger.h"

#include <map>
#include <utility>
#include <vector>

namespace ns3::cosim
{

namespace
{

using Network = std::pair<uint32_t, uint32_t>; // address and mask

struct Neighbour
{
    Ipv4Address address;
    Ptr<Ipv4Interface> interface;
};

std::map<Network, std::vector<Neighbour>>
GetNetworks()
{
    std::map<Network, std::vector<Neighbour>> networks;
    for (auto node = NodeList::Begin(); node != NodeList::End(); node++)
    {
        auto ip = (*node)->GetObject<Ipv4L3Protocol>();
        for (uint32_t i = 0; ip && i < ip->GetNInterfaces(); i++)
        {
            auto interface = ip->GetInterface(i);
            for (uint32_t j = 0; interface->GetArpCache() && j < interface->GetNAddresses(); j++)
            {
                auto address = interface->GetAddress(j);
                auto network = address.GetLocal().CombineMask(address.GetMask());
                networks[{network.Get(), address.GetMask().Get()}].push_back({address.GetLocal(), interface});
            }
        }
    }
    return networks;
}

} // namespace

void
FillNeighbourCaches()
{
    for (const auto& [network, neighbours] : GetNetworks())
    {
        for (const auto& neighbour : neighbours)
        {
            auto cache = neighbour.interface->GetArpCache();
            for (const auto& other : neighbours)
            {
                if (other.interface != neighbour.interface && !cache->Lookup(other.address))
                {
                    auto entry = cache->Add(other.address);
                    entry->SetMacAddress(other.interface->GetDevice()->GetAddress());
                    entry->MarkPermanent();
                }
            }
        }
    }
}

void
LengthenPendingQueues()
{
    for (auto attribute : {"ns3::ArpCache::PendingQueueSize",
                           "ns3::aodv::RoutingProtocol::MaxQueueLen",
                           "ns3::dsdv::RoutingProtocol::MaxQueueLen",
                           "ns3::dsdv::RoutingProtocol::MaxQueuedPacketsPerDst",
                           "ns3::dsr::DsrRouting::MaxSendBuffLen"})
    {
        Config::SetDefaultFailSafe(attribute, UintegerValue(UINT32_MAX)); // of the modules that are loaded
    }
    Config::SetDefaultFailSafe("ns3::dot11s::HwmpProtocol::MaxQueueSize", UintegerValue(UINT16_MAX));
}

} // namespace ns3::cosim
