// SPDX-License-Identifier: GPL-2.0-only
#include "nr-radio.h"

#include "ns3/simulator.h"

#include <cmath>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrRadio);

TypeId
NrRadio::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::NrRadio")
                            .SetParent<Radio>()
                            .SetGroupName("Cosim")
                            .AddConstructor<NrRadio>()
                            .AddAttribute("CoreDelay",
                                          "One-way delay between the edge server and the gNB.",
                                          TimeValue(Time()),
                                          MakeTimeAccessor(&NrRadio::m_coreDelay),
                                          MakeTimeChecker(Time()));
    return tid;
}

void
NrRadio::SetCell(Ptr<NrCell> cell, uint32_t devices)
{
    m_cell = cell;
    m_devices = devices;
}

void
NrRadio::DoDispose()
{
    m_cell = nullptr;
    Radio::DoDispose();
}

bool
NrRadio::IsConnected(uint32_t device) const
{
    return m_cell->IsConnected(device);
}

LinkSample
NrRadio::GetLink(uint32_t device) const
{
    auto down = m_cell->GetState(device, false);
    auto up = m_cell->GetState(device, true);
    LinkSample sample;
    sample.downlinkSinrDb = down.sinrDb;
    sample.uplinkSinrDb = up.sinrDb;
    sample.downlinkRateBps = down.rateBps;
    sample.uplinkRateBps = up.rateBps;
    sample.cqi = down.cqi;
    sample.downlinkMcs = down.mcs;
    sample.uplinkMcs = up.mcs;
    sample.rlcQueueBytes = down.queueBytes;
    sample.bsrBytes = up.queueBytes;
    sample.cell = 1;
    sample.rank = down.rank;
    sample.downlinkPrbs = down.prbs;
    sample.uplinkPrbs = up.prbs;
    sample.downlinkBler = down.bler;
    sample.uplinkBler = up.bler;
    return sample;
}

std::vector<Capacity>
NrRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    auto get = [this, device](bool isUplink) {
        auto state = m_cell->GetState(device, isUplink);
        auto bps = std::isnan(state.rateBps) ? 0 : state.rateBps; // before the first report
        return Capacity{isUplink ? 1U : 0U, CountOthers(isUplink), bps, state.sinrDb};
    };
    return {get(false), get(true)};
}

uint32_t
NrRadio::CountOthers(bool isUplink) const
{
    uint32_t waiting = 0;
    for (auto user = m_devices; user < m_cell->CountDevices(); user++)
    {
        waiting += m_cell->GetState(user, isUplink).queueBytes > 0 ? 1 : 0;
    }
    return waiting;
}

bool
NrRadio::IsChanging() const
{
    return true;
}

bool
NrRadio::MayHaveChanged(int64_t sinceNs) const
{
    auto hasOthers = m_cell->CountDevices() > m_devices; // who may begin to wait at any time
    return hasOthers || m_cell->HasNewsSince(sinceNs);
}

AirEnergy
NrRadio::GetAirEnergy(uint32_t device) const
{
    return {m_cell->GetCount(device, false).airJ, m_cell->GetCount(device, true).airJ};
}

bool
NrRadio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    auto last = std::max(m_cell->GetLastActiveNs(device), sentNs);
    return m_cell->GetState(device, false).queueBytes == 0 && m_cell->GetState(device, true).queueBytes == 0 &&
           Simulator::Now().GetNanoSeconds() - last > m_cell->GetLongestDeliveryNs() + m_coreDelay.GetNanoSeconds();
}

void
NrRadio::Discard(uint32_t device, uint32_t exchange)
{
    m_cell->Discard(device, exchange);
}

} // namespace ns3::cosim
