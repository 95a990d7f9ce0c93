// SPDX-License-Identifier: GPL-2.0-only
#include "radio.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(Radio);

TypeId
Radio::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::Radio").SetParent<Object>().SetGroupName("Cosim").AddConstructor<Radio>();
    return tid;
}

bool
Radio::IsConnected(uint32_t device) const
{
    return true;
}

LinkSample
Radio::GetLink(uint32_t device) const
{
    return {};
}

std::vector<Capacity>
Radio::GetCapacity(uint32_t device, int64_t forNs) const
{
    return {};
}

AirEnergy
Radio::GetAirEnergy(uint32_t device) const
{
    return {};
}

bool
Radio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    return false;
}

void
Radio::Discard(uint32_t device, uint32_t exchange)
{
}

bool
Radio::IsChanging() const
{
    return false;
}

bool
Radio::MayHaveChanged(int64_t sinceNs) const
{
    return true;
}

std::vector<Ptr<Channel>>
Radio::GetChannels(uint32_t device) const
{
    return {};
}

} // namespace ns3::cosim
