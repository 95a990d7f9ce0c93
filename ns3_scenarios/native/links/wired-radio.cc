// SPDX-License-Identifier: GPL-2.0-only
#include "wired-radio.h"

#include "ns3/packet.h"
#include "ns3/pointer.h"
#include "ns3/queue.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(WiredRadio);

namespace
{

bool
IsWaiting(Ptr<NetDevice> station)
{
    PointerValue queue;
    station->GetAttribute("TxQueue", queue);
    return !queue.Get<QueueBase>()->IsEmpty();
}

} // namespace

TypeId
WiredRadio::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::WiredRadio").SetParent<Radio>().SetGroupName("Cosim").AddConstructor<WiredRadio>();
    return tid;
}

void
WiredRadio::AddLink(double rateBps)
{
    m_cables.push_back({rateBps, false});
}

void
WiredRadio::AddStation(double rateBps)
{
    m_cables.push_back({rateBps, true});
}

void
WiredRadio::AddOther(Ptr<NetDevice> station)
{
    m_others.push_back(station);
}

std::vector<Capacity>
WiredRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    const auto& cable = m_cables[device];
    if (!cable.isShared)
    {
        return {{2 * device, 0, cable.rateBps}, {2 * device + 1, 0, cable.rateBps}};
    }
    auto others = static_cast<uint32_t>(std::count_if(m_others.begin(), m_others.end(), IsWaiting));
    return {{0, 0, cable.rateBps}, {0, others, cable.rateBps}};
}

bool
WiredRadio::IsChanging() const
{
    return !m_others.empty();
}

void
WiredRadio::DoDispose()
{
    m_cables.clear();
    m_others.clear();
    Radio::DoDispose();
}

} // namespace ns3::cosim
