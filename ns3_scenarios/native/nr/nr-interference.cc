// SPDX-License-Identifier: GPL-2.0-only
#include "nr-interference.h"

#include "decibel.h"

#include "ns3/angles.h"
#include "ns3/simulator.h"

#include <cmath>

namespace ns3::cosim
{

namespace
{

Panel
MakePanel(Ptr<const PhasedArrayModel> antenna)
{
    return {static_cast<uint32_t>(antenna->GetNumRows()), static_cast<uint32_t>(antenna->GetNumColumns()), 0, 0};
}

double
GetPattern(Ptr<const PhasedArrayModel> antenna, const Angles& angles)
{
    auto [vertical, horizontal] = antenna->GetElementFieldPattern(angles);
    return vertical * vertical + horizontal * horizontal;
}

} // namespace

void
NrInterference::AddCell(Ptr<NrChannel> channel, Ptr<MobilityModel> gnb, Ptr<PhasedArrayModel> antenna)
{
    auto site = DynamicCast<const SiteElement>(antenna->GetAntennaElement());
    auto array = MakePanel(antenna);
    auto& cell = m_cells.emplace_back(Cell{channel, gnb, antenna, array, site, {array}});
    if (site)
    {
        cell.panels = site->MakePanels(antenna->GetNumRows(), antenna->GetNumColumns());
    }
}

void
NrInterference::AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    auto& device = m_devices.emplace_back();
    device.mobility = mobility;
    device.antenna = antenna;
    device.panel = MakePanel(antenna);
    device.sights.resize(m_cells.size());
}

void
NrInterference::Renew()
{
    auto now = Simulator::Now().GetNanoSeconds();
    if (m_renewedNs == now)
    {
        return;
    }
    m_renewedNs = now;
    for (uint32_t i = 0; i < m_devices.size(); i++)
    {
        for (uint32_t j = 0; j < m_cells.size(); j++)
        {
            if (!m_devices[i].isSettled)
            {
                m_cells[j].channel->Settle(i);
            }
            m_devices[i].sights[j] = Look(m_cells[j], i);
        }
        m_devices[i].isSettled = true;
    }
    Forget();
}

NrInterference::Sight
NrInterference::Look(const Cell& cell, uint32_t index)
{
    const auto& device = m_devices[index];
    auto place = device.mobility->GetPosition();
    auto gnb = cell.mobility->GetPosition();
    auto way = place - gnb;
    auto without = cell.channel->GetPathGain(index) * GetPattern(device.antenna, Angles(gnb, place));
    Sight sight;
    sight.atCell = cell.array.GetDirection(way);
    sight.atDevice = device.panel.GetDirection(gnb - place);
    for (uint32_t i = 0; i < (cell.site ? SITE_SECTORS : 1); i++)
    {
        auto element =
            cell.site ? FromDb(cell.site->GetSectorGainDb(i, way)) : GetPattern(cell.antenna, Angles(place, gnb));
        sight.bearings[i] = {without * element, cell.panels[i].GetDirection(way)};
        if (sight.bearings[i].coupling > sight.bearings[sight.sector].coupling)
        {
            sight.sector = i;
        }
    }
    return sight;
}

void
NrInterference::Forget()
{
    for (auto& device : m_devices)
    {
        device.gains[false].assign(m_devices.size(), NAN);
        device.gains[true].assign(m_devices.size(), NAN);
    }
}

void
NrInterference::SetServing(uint32_t device, uint32_t cell)
{
    m_devices[device].serving = cell;
    Forget();
}

uint32_t
NrInterference::GetServing(uint32_t device) const
{
    return m_devices[device].serving;
}

double
NrInterference::GetCoupling(uint32_t cell, uint32_t device) const
{
    const auto& sight = m_devices[device].sights[cell];
    return sight.bearings[sight.sector].coupling;
}

double
NrInterference::GetDown(uint32_t device, uint32_t other)
{
    auto& receiver = m_devices[device];
    auto& gain = receiver.gains[false][other];
    if (std::isnan(gain))
    {
        const auto& sender = m_devices[other];
        const auto& sight = receiver.sights[sender.serving];
        const auto& served = sender.sights[sender.serving];
        const auto& panel = m_cells[sender.serving].panels[served.sector];
        const auto& bearing = sight.bearings[served.sector];
        auto sent = panel.GetBeamGain(served.bearings[served.sector].direction, bearing.direction);
        auto received = receiver.panel.GetBeamGain(receiver.sights[receiver.serving].atDevice, sight.atDevice);
        gain = bearing.coupling * sent * received / receiver.antenna->GetNumPols();
    }
    return gain;
}

double
NrInterference::GetUp(uint32_t device, uint32_t other)
{
    auto& gain = m_devices[device].gains[true][other];
    if (std::isnan(gain))
    {
        const auto& served = m_devices[device];
        const auto& sender = m_devices[other];
        const auto& cell = m_cells[served.serving];
        const auto& sight = sender.sights[served.serving];
        auto sent = sender.panel.GetBeamGain(sender.sights[sender.serving].atDevice, sight.atDevice);
        auto received = cell.array.GetBeamGain(served.sights[served.serving].atCell, sight.atCell);
        gain = sight.bearings[sight.sector].coupling * sent * received / cell.antenna->GetNumPols();
    }
    return gain;
}

} // namespace ns3::cosim
