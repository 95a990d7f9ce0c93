// SPDX-License-Identifier: GPL-2.0-only
#include "nr-interference.h"

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
    m_cells.push_back({channel, gnb, antenna, MakePanel(antenna)});
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
        auto& device = m_devices[i];
        auto place = device.mobility->GetPosition();
        for (uint32_t j = 0; j < m_cells.size(); j++)
        {
            const auto& cell = m_cells[j];
            auto gnb = cell.mobility->GetPosition();
            if (!device.isSettled)
            {
                cell.channel->Settle(i);
            }
            auto elements =
                GetPattern(cell.antenna, Angles(place, gnb)) * GetPattern(device.antenna, Angles(gnb, place));
            device.sights[j] = {cell.channel->GetPathGain(i) * elements,
                                cell.panel.GetDirection(place - gnb),
                                device.panel.GetDirection(gnb - place)};
        }
        device.isSettled = true;
    }
    Forget();
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
    return m_devices[device].sights[cell].coupling;
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
        const auto& sending = m_cells[sender.serving].panel;
        auto sent = sending.GetBeamGain(sender.sights[sender.serving].atCell, sight.atCell);
        auto received = receiver.panel.GetBeamGain(receiver.sights[receiver.serving].atDevice, sight.atDevice);
        gain = sight.coupling * sent * received / receiver.antenna->GetNumPols();
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
        auto received = cell.panel.GetBeamGain(served.sights[served.serving].atCell, sight.atCell);
        gain = sight.coupling * sent * received / cell.antenna->GetNumPols();
    }
    return gain;
}

} // namespace ns3::cosim
