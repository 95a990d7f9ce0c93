// SPDX-License-Identifier: GPL-2.0-only
#include "mixed-radio.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(MixedRadio);

TypeId
MixedRadio::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::MixedRadio").SetParent<Radio>().SetGroupName("Cosim").AddConstructor<MixedRadio>();
    return tid;
}

void
MixedRadio::AddDevice(Ptr<Radio> radio, uint32_t device)
{
    auto found = std::find(m_radios.begin(), m_radios.end(), radio);
    auto place = static_cast<uint32_t>(found - m_radios.begin());
    if (found == m_radios.end())
    {
        m_radios.push_back(radio);
    }
    m_members.push_back({radio, device, place});
}

bool
MixedRadio::IsConnected(uint32_t device) const
{
    const auto& member = m_members[device];
    return member.radio->IsConnected(member.device);
}

LinkSample
MixedRadio::GetLink(uint32_t device) const
{
    const auto& member = m_members[device];
    return member.radio->GetLink(member.device);
}

bool
MixedRadio::IsChanging() const
{
    return true;
}

std::vector<Capacity>
MixedRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    const auto& member = m_members[device];
    auto found = member.radio->GetCapacity(member.device, forNs);
    for (auto& capacity : found)
    {
        capacity.pool = capacity.pool * m_radios.size() + member.place;
    }
    return found;
}

AirEnergy
MixedRadio::GetAirEnergy(uint32_t device) const
{
    const auto& member = m_members[device];
    return member.radio->GetAirEnergy(member.device);
}

bool
MixedRadio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    const auto& member = m_members[device];
    return member.radio->IsQuiet(member.device, sentNs);
}

void
MixedRadio::Discard(uint32_t device, uint32_t exchange)
{
    const auto& member = m_members[device];
    member.radio->Discard(member.device, exchange);
}

std::vector<Ptr<Channel>>
MixedRadio::GetChannels(uint32_t device) const
{
    const auto& member = m_members[device];
    return member.radio->GetChannels(member.device);
}

void
MixedRadio::DoDispose()
{
    m_members.clear();
    m_radios.clear();
    Radio::DoDispose();
}

} // namespace ns3::cosim
