// SPDX-License-Identifier: GPL-2.0-only
// How a cell takes up a device and lets it go.
#include "nr-cell.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <iterator>

namespace ns3::cosim
{

void
NrCell::Attach(uint32_t device)
{
    m_links[device].isServed = true;
    if (m_connections)
    {
        m_connections->Watch(device);
    }
}

void
NrCell::Detach(uint32_t device)
{
    auto& link = m_links[device];
    link.isServed = false;
    for (bool isUplink : {false, true})
    {
        auto& direction = Get(link, isUplink);
        std::vector<NrSegment> undecoded; // what is decoded has left its process
        for (auto& process : direction.processes)
        {
            std::move(process.content.begin(), process.content.end(), std::back_inserter(undecoded));
            process = Process();
        }
        direction.bearers.Reestablish(undecoded);
        direction.mcs = direction.prbs = -1;
    }
    link.buffer = NrUplinkBuffer();
    link.requests = NrUplinkRequests();
    for (auto& [slot, news] : m_news)
    {
        std::erase_if(news, [device](const News& each) { return each.device == device; });
    }
    for (auto& [slot, grants] : m_grants)
    {
        std::erase_if(grants, [device](const Grant& each) { return each.device == device; });
    }
}

void
NrCell::TakeOver(uint32_t device, NrCell& from)
{
    auto& link = m_links[device];
    auto& old = from.m_links[device];
    for (bool isUplink : {false, true})
    {
        auto& direction = Get(link, isUplink);
        auto& before = Get(old, isUplink);
        direction.bearers.TakeOver(before.bearers);
        auto receiver = isUplink ? m_gnb : link.node; // whatever moves the device has another context
        Simulator::ScheduleWithContext(receiver->GetId(), Time(), &NrCell::Resume, this, device, isUplink);
        if (&from != this)
        {
            direction.count = before.count;
            before.count = {};
        }
        direction.adaptation = NrLinkAdaptation();
        direction.adaptation.Begin(isUplink ? &m_uplink : &m_downlink);
    }
    link.lastActiveNs = old.lastActiveNs;
    link.lastInRangeNs = -1;
    BeginDrx(link, m_frame.GetSlotFrom(Simulator::Now().GetNanoSeconds()));
    Attach(device);
    m_lastReportNs = Simulator::Now().GetNanoSeconds();
    Report(link, m_frame.GetSlotFrom(m_lastReportNs));
    Wake();
}

void
NrCell::Resume(uint32_t device, bool isUplink)
{
    if (device < m_links.size()) // and not disposed of
    {
        Get(m_links[device], isUplink).bearers.Resume();
    }
}

int64_t
NrCell::GetLastDeliveryNs(uint32_t device) const
{
    return m_links[device].lastDeliveryNs;
}

} // namespace ns3::cosim
