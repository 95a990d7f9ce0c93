// SPDX-License-Identifier: GPL-2.0-only
#include "channel-sampler.h"

#include "ns3/simulator.h"

#include <utility>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(ChannelSampler);

namespace
{

constexpr uint32_t ROWS_AT_FULL_RATE = 16384; // eight devices, both directions, each millisecond of a second

} // namespace

TypeId
ChannelSampler::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::ChannelSampler")
                            .SetParent<Object>()
                            .SetGroupName("Cosim")
                            .AddConstructor<ChannelSampler>()
                            .AddAttribute("Period",
                                          "How often the channel record looks at all links; 0 is never.",
                                          TimeValue(MilliSeconds(1)), // an LTE subframe
                                          MakeTimeAccessor(&ChannelSampler::m_period),
                                          MakeTimeChecker(Time()));
    return tid;
}

void
ChannelSampler::Begin(Ptr<Radio> radio, uint32_t devices, GetAccess getAccess)
{
    if (!m_period.IsStrictlyPositive())
    {
        return;
    }
    m_radio = radio;
    m_devices = devices;
    m_getAccess = std::move(getAccess);
    Look(m_period);
    if (m_radio->IsChanging())
    {
        Simulator::Schedule(m_period, &ChannelSampler::Sample, this);
    }
}

void
ChannelSampler::HandleLife()
{
    if (m_radio)
    {
        Look(m_period);
    }
}

void
ChannelSampler::Look(Time interval)
{
    m_lookedNs = Simulator::Now().GetNanoSeconds();
    for (uint32_t device = 0; device < m_devices; device++)
    {
        uint8_t direction = 0;
        for (const auto& capacity : GetCapacity(device, interval))
        {
            m_record.Note(m_lookedNs, device, direction++, capacity);
        }
    }
}

void
ChannelSampler::Sample()
{
    // Each time that one exchange has filled so much, the rest of it gets half as many: what it brings stays bounded.
    auto interval = m_period * (int64_t{1} << (m_record.GetCount() / ROWS_AT_FULL_RATE));
    if (m_radio->MayHaveChanged(m_lookedNs))
    {
        Look(interval);
    }
    Simulator::Schedule(interval, &ChannelSampler::Sample, this);
}

std::vector<Capacity>
ChannelSampler::GetCapacity(uint32_t device, Time interval) const
{
    auto found = m_radio->GetCapacity(device, interval.GetNanoSeconds());
    auto access = found.empty() ? Access::OPEN : m_getAccess(device);
    for (auto& capacity : found)
    {
        capacity.bps = access == Access::DISCONNECTED ? -1 : access == Access::CUT ? 0 : capacity.bps;
    }
    return found;
}

uint32_t
ChannelSampler::GetBytes() const
{
    return m_record.GetCount() * sizeof(ChannelRecord::Row);
}

void
ChannelSampler::Take(uint8_t* rows)
{
    m_record.Take(rows);
}

void
ChannelSampler::DoDispose()
{
    m_radio = nullptr;
    m_getAccess = nullptr;
    Object::DoDispose();
}

} // namespace ns3::cosim
