// SPDX-License-Identifier: GPL-2.0-only
#include "nr-radio.h"

#include "decibel.h"

#include "ns3/simulator.h"

#include <cmath>

namespace ns3::cosim
{

namespace
{

/// The SINR with which one band, as wide as both, has Shannon's capacity of the two.
double
CombineDb(double firstDb, double firstWidth, double secondDb, double secondWidth)
{
    auto nats = firstWidth * std::log1p(FromDb(firstDb)) + secondWidth * std::log1p(FromDb(secondDb));
    return ToDb(std::expm1(nats / (firstWidth + secondWidth)));
}

} // namespace

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
NrRadio::SetCells(Ptr<NrCells> cells, uint32_t devices)
{
    m_cells = cells;
    m_devices = devices;
}

uint32_t
NrRadio::CountUsers() const
{
    return m_cells ? m_cells->CountDevices() : m_cell->CountDevices();
}

uint32_t
NrRadio::GetServing(uint32_t device) const
{
    return m_cells ? m_cells->GetServing(device) : 0;
}

Ptr<NrCell>
NrRadio::GetCell(uint32_t device) const
{
    return m_cells ? m_cells->GetCell(device) : m_cell;
}

Ptr<NrCell>
NrRadio::GetSecondary() const
{
    return m_cell ? m_cell->GetSecondary() : nullptr;
}

Ptr<NrCell>
NrRadio::GetSecondary(uint32_t device) const
{
    auto secondary = GetSecondary();
    return secondary && secondary->IsAggregated(device) ? secondary : nullptr;
}

void
NrRadio::DoDispose()
{
    m_cell = nullptr;
    m_cells = nullptr;
    Radio::DoDispose();
}

bool
NrRadio::IsConnected(uint32_t device) const
{
    return m_cells ? m_cells->IsConnected(device) : m_cell->IsConnected(device);
}

LinkSample
NrRadio::GetLink(uint32_t device) const
{
    auto down = GetCell(device)->GetKnown(device, false);
    auto up = GetCell(device)->GetKnown(device, true);
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
    sample.cell = GetServing(device) + 1;
    sample.rank = down.rank;
    sample.downlinkPrbs = down.prbs;
    sample.uplinkPrbs = up.prbs;
    sample.downlinkBler = down.bler;
    sample.uplinkBler = up.bler;
    if (auto secondary = GetSecondary(device))
    {
        sample.downlinkRateBps += secondary->GetState(device, false).rateBps;
        sample.uplinkRateBps += secondary->GetState(device, true).rateBps;
    }
    return sample;
}

std::vector<Capacity>
NrRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    auto get = [this, device](bool isUplink) {
        auto state = GetCell(device)->GetState(device, isUplink);
        if (auto secondary = GetSecondary())
        {
            NrLinkState none;
            none.sinrDb = -INFINITY;
            none.rateBps = 0;
            auto more = GetSecondary(device) ? secondary->GetState(device, isUplink) : none;
            state.rateBps += more.rateBps;
            state.sinrDb = CombineDb(state.sinrDb, m_cell->GetPrbs(), more.sinrDb, secondary->GetPrbs());
        }
        bool isServed = !m_cells || m_cells->IsServed(device);                 // and not between two cells
        auto bps = std::isnan(state.rateBps) || !isServed ? 0 : state.rateBps; // before the first report
        return Capacity{2 * GetServing(device) + (isUplink ? 1 : 0), CountOthers(device, isUplink), bps, state.sinrDb};
    };
    return {get(false), get(true)};
}

uint32_t
NrRadio::CountOthers(uint32_t device, bool isUplink) const
{
    if (GetCell(device)->GetQosFlows().AreHiddenStatesFirst())
    {
        return 0;
    }
    uint32_t waiting = 0;
    for (auto user = m_devices; user < CountUsers(); user++)
    {
        bool isHere = GetServing(user) == GetServing(device);
        waiting += isHere && GetCell(user)->GetState(user, isUplink).queueBytes > 0 ? 1 : 0;
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
    auto hasOthers = CountUsers() > m_devices; // who may begin to wait at any time
    return hasOthers || (m_cells ? m_cells->HasNewsSince(sinceNs) : m_cell->HasNewsSince(sinceNs));
}

AirEnergy
NrRadio::GetAirEnergy(uint32_t device) const
{
    return {GetCell(device)->GetTotal(device, false).airJ, GetCell(device)->GetTotal(device, true).airJ};
}

bool
NrRadio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    auto last = std::max(GetCell(device)->GetLastActiveNs(device), sentNs);
    return GetCell(device)->GetState(device, false).queueBytes == 0 &&
           GetCell(device)->GetState(device, true).queueBytes == 0 && GetCell(device)->IsSettled(device) &&
           Simulator::Now().GetNanoSeconds() - last >
               GetCell(device)->GetLongestDeliveryNs() + m_coreDelay.GetNanoSeconds();
}

void
NrRadio::Discard(uint32_t device, uint32_t exchange)
{
    GetCell(device)->Discard(device, exchange);
}

std::vector<Ptr<Channel>>
NrRadio::GetChannels(uint32_t device) const
{
    if (auto secondary = GetSecondary())
    {
        return {secondary->GetChannel()};
    }
    return m_cells ? m_cells->GetChannels() : Radio::GetChannels(device);
}

} // namespace ns3::cosim
