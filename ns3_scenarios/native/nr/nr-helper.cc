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
NrHelper::SetNeighbours(Ptr<NrNeighbours> neighbours)
{
    m_neighbours = neighbours;
}

NetDeviceContainer
NrHelper::Install(Ptr<Node> gnb, const NodeContainer& devices, Ptr<NrErrorModel> errors)
{
    m_channel = m_channelFactory.Create<NrChannel>();
    m_cell = m_cellFactory.Create<NrCell>();
    m_cell->SetTiming(m_timing);
    auto add = [](Ptr<Node> node) {
        auto end = CreateObject<NrNetDevice>();
        node->AddDevice(end);
        return end;
    };
    auto gnbEnd = add(gnb);
    auto gnbAntenna = m_gnbAntenna.Create<PhasedArrayModel>();
    m_channel->SetGnb(gnb->GetObject<MobilityModel>(), gnbAntenna);
    if (m_neighbours)
    {
        m_neighbours->SetGnb(gnb->GetObject<MobilityModel>(), gnbAntenna);
    }
    m_cell->SetNeighbours(m_neighbours);
    auto deliver = [](Ptr<NrNetDevice> end) { return [end](Ptr<Packet> packet) { end->Receive(packet->Copy()); }; };
    m_cell->SetGnb(gnb, deliver(gnbEnd), m_channel, errors);
    gnbEnd->ConnectGnb(m_cell);
    NetDeviceContainer ends(gnbEnd);
    for (auto node = devices.Begin(); node != devices.End(); node++)
    {
        auto end = add(*node);
        auto antenna = m_deviceAntenna.Create<PhasedArrayModel>();
        m_channel->AddDevice((*node)->GetObject<MobilityModel>(), antenna);
        if (m_neighbours)
        {
            m_neighbours->AddDevice((*node)->GetObject<MobilityModel>(), antenna);
        }
        m_cell->AddDevice(*node, deliver(end));
        gnbEnd->AddDevice(end);
        ends.Add(end);
    }
    m_cell->Begin();
    return ends;
}

Ptr<NrCell>
NrHelper::GetCell() const
{
    return m_cell;
}

int64_t
NrHelper::AssignStreams(int64_t stream)
{
    auto used = m_channel->AssignStreams(stream);
    return used + m_cell->AssignStreams(stream + used);
}

} // namespace ns3::cosim
