// SPDX-License-Identifier: GPL-2.0-only
#include "nr-helper.h"

#include "nr-net-device.h"

#include "ns3/isotropic-antenna-model.h"
#include "ns3/mobility-model.h"
#include "ns3/pointer.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

namespace ns3::cosim
{

namespace
{

Ptr<NrNetDevice>
AddEnd(Ptr<Node> node)
{
    auto end = CreateObject<NrNetDevice>();
    node->AddDevice(end);
    return end;
}

NrRlcReceiver::Deliver
DeliverTo(Ptr<NrNetDevice> end)
{
    return [end](Ptr<Packet> packet) { end->Receive(packet->Copy()); };
}

} // namespace

NrHelper::NrHelper()
    : m_channelFactory("ns3::cosim::NrChannel"),
      m_cellFactory("ns3::cosim::NrCell"),
      m_gnbAntenna("ns3::UniformPlanarArray"),
      m_deviceAntenna("ns3::UniformPlanarArray")
{
    for (auto antenna : {&m_gnbAntenna, &m_deviceAntenna})
    {
        antenna->Set("AntennaElement", PointerValue(CreateObject<IsotropicAntennaModel>()));
        antenna->Set("NumRows", UintegerValue(1));
        antenna->Set("NumColumns", UintegerValue(1));
    }
}

void
NrHelper::SetChannelAttribute(const std::string& name, const AttributeValue& value)
{
    m_channelFactory.Set(name, value);
}

void
NrHelper::SetCellAttribute(const std::string& name, const AttributeValue& value)
{
    m_cellFactory.Set(name, value);
}

void
NrHelper::SetGnbAntennaAttribute(const std::string& name, const AttributeValue& value)
{
    m_gnbAntenna.Set(name, value);
}

void
NrHelper::SetDeviceAntennaAttribute(const std::string& name, const AttributeValue& value)
{
    m_deviceAntenna.Set(name, value);
}

void
NrHelper::SetTiming(const NrTimingSettings& settings)
{
    m_timing = settings;
}

void
NrHelper::SetArq(const NrArqSettings& settings)
{
    m_arq = settings;
}

void
NrHelper::SetConnection(const NrConnectionSettings& settings)
{
    m_connection = settings;
}

void
NrHelper::SetDrx(const NrDrxSettings& settings)
{
    m_drx = settings;
}

void
NrHelper::SetQosFlows(const NrQosSettings& settings)
{
    m_qosFlows = settings;
}

void
NrHelper::SetNeighbours(Ptr<NeighbourSites> neighbours)
{
    m_neighbours = neighbours;
}

void
NrHelper::MakeCell(Ptr<Node> gnb, const NrCell::Deliver& deliver, Ptr<NrErrorModel> errors, Ptr<NrCell> primary)
{
    auto channel = m_channelFactory.Create<NrChannel>();
    auto cell = m_cellFactory.Create<NrCell>();
    m_channels = {channel};
    m_made = {cell};
    cell->SetTiming(m_timing);
    cell->SetArq(m_arq);
    cell->SetConnection(m_connection);
    cell->SetDrx(m_drx);
    cell->SetQosFlows(m_qosFlows);
    if (primary)
    {
        primary->SetSecondary(cell);
    }
    auto antenna = m_gnbAntenna.Create<PhasedArrayModel>();
    channel->SetGnb(gnb->GetObject<MobilityModel>(), antenna);
    if (m_neighbours)
    {
        m_neighbours->SetBaseStation(gnb->GetObject<MobilityModel>(), antenna);
    }
    cell->SetNeighbours(m_neighbours);
    cell->SetGnb(gnb, deliver, channel, errors);
}

void
NrHelper::AddDevice(Ptr<Node> device, const NrCell::Deliver& deliver)
{
    auto antenna = m_deviceAntenna.Create<PhasedArrayModel>();
    auto mobility = device->GetObject<MobilityModel>();
    m_channels.front()->AddDevice(mobility, antenna);
    if (m_neighbours)
    {
        m_neighbours->AddDevice(mobility, antenna);
    }
    m_made.front()->AddDevice(device, deliver);
}

NetDeviceContainer
NrHelper::Install(Ptr<Node> gnb, const NodeContainer& devices, Ptr<NrErrorModel> errors)
{
    auto gnbEnd = AddEnd(gnb);
    MakeCell(gnb, DeliverTo(gnbEnd), errors, nullptr);
    gnbEnd->ConnectGnb(GetCell());
    NetDeviceContainer ends(gnbEnd);
    for (auto node = devices.Begin(); node != devices.End(); node++)
    {
        auto end = AddEnd(*node);
        AddDevice(*node, DeliverTo(end));
        gnbEnd->AddDevice(end);
        ends.Add(end);
    }
    GetCell()->Begin();
    return ends;
}

void
NrHelper::InstallSecondary(Ptr<NrCell> primary, Ptr<Node> gnb, const NodeContainer& devices, Ptr<NrErrorModel> errors)
{
    MakeCell(gnb, {}, errors, primary);
    for (auto node = devices.Begin(); node != devices.End(); node++)
    {
        AddDevice(*node, {});
    }
    GetCell()->Begin();
}

NetDeviceContainer
NrHelper::InstallCells(const NodeContainer& gnbs,
                       Ptr<Node> core,
                       const NodeContainer& devices,
                       Ptr<NrErrorModel> errors)
{
    m_channels.clear();
    m_made.clear();
    m_cells = CreateObject<NrCells>();
    auto coreEnd = AddEnd(core);
    coreEnd->ConnectGnbs(m_cells);
    for (auto gnb = gnbs.Begin(); gnb != gnbs.End(); gnb++)
    {
        auto channel = m_channels.emplace_back(m_channelFactory.Create<NrChannel>());
        auto cell = m_made.emplace_back(m_cellFactory.Create<NrCell>());
        auto antenna = m_gnbAntenna.Create<PhasedArrayModel>();
        auto mobility = (*gnb)->GetObject<MobilityModel>();
        channel->SetGnb(mobility, antenna);
        cell->SetTiming(m_timing);
        cell->SetArq(m_arq);
        cell->SetConnection(m_connection);
        cell->SetDrx(m_drx);
        cell->SetQosFlows(m_qosFlows);
        cell->SetGnb(core, DeliverTo(coreEnd), channel, errors);
        m_cells->AddCell(cell, channel, mobility, antenna);
    }
    NetDeviceContainer ends(coreEnd);
    for (auto node = devices.Begin(); node != devices.End(); node++)
    {
        auto end = AddEnd(*node);
        auto antenna = m_deviceAntenna.Create<PhasedArrayModel>();
        auto mobility = (*node)->GetObject<MobilityModel>();
        for (uint32_t i = 0; i < m_made.size(); i++)
        {
            m_channels[i]->AddDevice(mobility, antenna);
            m_made[i]->AddDevice(*node, DeliverTo(end));
        }
        m_cells->AddDevice(mobility, antenna);
        coreEnd->AddDevice(end);
        ends.Add(end);
    }
    for (const auto& cell : m_made)
    {
        cell->Begin();
    }
    m_cells->Begin();
    return ends;
}

Ptr<NrCell>
NrHelper::GetCell() const
{
    return m_made.front();
}

Ptr<NrCells>
NrHelper::GetCells() const
{
    return m_cells;
}

int64_t
NrHelper::AssignStreams(int64_t stream)
{
    int64_t used = 0;
    for (uint32_t i = 0; i < m_made.size(); i++)
    {
        used += m_channels[i]->AssignStreams(stream + used);
        used += m_made[i]->AssignStreams(stream + used);
    }
    return used;
}

} // namespace ns3::cosim
