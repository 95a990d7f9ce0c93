// SPDX-License-Identifier: GPL-2.0-only
// An NR cell in pure C++, saturated both ways, with losses, discards and devices that move, one of two carriers, and
// several cells between which they are handed over, to be run with sanitizers. Prints what was delivered. Its
// link-level curves are a step for each MCS, made here.

#include "neighbour-sites.h"
#include "nr-cell.h"
#include "nr-helper.h"
#include "nr-net-device.h"
#include "nr-radio.h"
#include "site-element.h"

#include "ns3/boolean.h"
#include "ns3/channel-condition-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/node-container.h"
#include "ns3/nstime.h"
#include "ns3/pointer.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/three-gpp-propagation-loss-model.h"
#include "ns3/udp-socket-factory.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

#include <array>
#include <cmath>
#include <iostream>
#include <tuple>

using namespace ns3;
using namespace ns3::cosim;

namespace
{

constexpr uint16_t PORT = 9;
constexpr uint16_t SERVER_PORT = 20000; // at the server, of every other packet: those that hidden states have
constexpr uint32_t PACKETS = 300;

Ptr<NrErrorModel>
MakeErrors()
{
    auto errors = CreateObject<NrErrorModel>();
    const auto& table = GetNrMcsTable(NrMcsTable::QAM64);
    for (uint32_t index = 1; index <= 3; index++)
    {
        const auto& mcss = GetNrMcsTable(static_cast<NrMcsTable>(index));
        for (uint32_t mcs = 0; mcs < mcss.size(); mcs++)
        {
            auto atDb = 10 * std::log10(std::exp2(mcss[mcs].modulationOrder * mcss[mcs].codeRate) - 1) + 1;
            std::vector<double> sizes{100, 2000};
            std::vector<double> bler;
            for (size_t size = 0; size < sizes.size(); size++)
            {
                for (int db = -10; db < 31; db++)
                {
                    bler.push_back(1 / (1 + std::exp(3 * (db - atDb))));
                }
            }
            errors->SetCurves(index, mcs, bler.size() / 2, -10, 1, sizes.size(), sizes.data(), bler.data());
        }
    }
    for (uint32_t mcs = 0; mcs < table.size(); mcs++)
    {
        errors->SetBeta(1, mcs, 1.5 * table[mcs].modulationOrder);
    }
    for (uint32_t mcs = 0; mcs < GetNrMcsTable(NrMcsTable::QAM256).size(); mcs++)
    {
        errors->SetBeta(2, mcs, 2.0 * GetNrMcsTable(NrMcsTable::QAM256)[mcs].modulationOrder);
    }
    errors->Complete();
    return errors;
}

Ptr<PhasedArrayModel>
MakeArray(uint32_t rows, uint32_t columns)
{
    auto array = CreateObject<UniformPlanarArray>();
    array->SetAttribute("NumRows", UintegerValue(rows));
    array->SetAttribute("NumColumns", UintegerValue(columns));
    array->SetAttribute("IsDualPolarized", BooleanValue(true));
    array->SetAttribute("AntennaElement", PointerValue(CreateObject<IsotropicAntennaModel>()));
    return array;
}

/// One site, so far away that nothing is lost for it, on and off.
Ptr<NeighbourSites>
MakeNeighbours(Ptr<PropagationLossModel> loss, Ptr<ChannelConditionModel> condition)
{
    auto site = CreateObject<Node>();
    auto mobility = CreateObject<ConstantVelocityMobilityModel>();
    mobility->SetPosition(Vector(-500, 0, 10));
    site->AggregateObject(mobility);
    auto neighbours = CreateObject<NeighbourSites>();
    neighbours->SetAttribute("PropagationLossModel", PointerValue(loss));
    neighbours->SetAttribute("ChannelConditionModel", PointerValue(condition));
    neighbours->SetAttribute("RandomLoad", BooleanValue(true));
    neighbours->AddSite(site);
    neighbours->AddLoadStep(0.02, 0.7);
    neighbours->AddLoadStep(0.02, 0);
    return neighbours;
}

/// What becomes of what HARQ gives up: it is lost, or sent again at once, or when a STATUS PDU tells of it.
enum class Rlc
{
    UNACKNOWLEDGED,
    ACKNOWLEDGED,
    REPORTED
};

const char*
GetName(Rlc rlc)
{
    return rlc == Rlc::UNACKNOWLEDGED ? " unacknowledged "
                                      : (rlc == Rlc::ACKNOWLEDGED ? " acknowledged " : " reported ");
}

NrArqSettings
MakeArq(Rlc rlc)
{
    return {rlc == Rlc::REPORTED, 16, 0, MilliSeconds(20), MilliSeconds(10), MilliSeconds(5)};
}

uint64_t g_received = 0;

void
Receive(Ptr<Socket> socket)
{
    while (auto packet = socket->Recv())
    {
        g_received += packet->GetSize();
    }
}

Ptr<Socket>
Open(Ptr<Node> node, uint16_t port)
{
    auto socket = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
    socket->Bind(InetSocketAddress(Ipv4Address::GetAny(), port));
    socket->SetRecvCallback(MakeCallback(&Receive));
    return socket;
}

/// By turns from each of the sockets, to each of the ports.
void
Send(std::vector<Ptr<Socket>> from, Ipv4Address target, std::vector<uint16_t> ports, uint32_t left)
{
    auto port = ports[left % ports.size()];
    from[left % from.size()]->SendTo(Create<Packet>(1400), 0, InetSocketAddress(target, port));
    if (left > 1)
    {
        Simulator::Schedule(MicroSeconds(100), &Send, from, target, ports, left - 1);
    }
}

/// So many packets each way.
void
SendBoth(const std::vector<Ptr<Socket>>& server,
         Ptr<Socket> device,
         const Ipv4InterfaceContainer& interfaces,
         uint32_t index,
         Time at,
         uint32_t packets)
{
    Simulator::Schedule(at, &Send, server, interfaces.GetAddress(index), std::vector{PORT}, packets);
    Simulator::Schedule(at,
                        &Send,
                        std::vector{device},
                        interfaces.GetAddress(0),
                        std::vector{PORT, SERVER_PORT},
                        packets);
}

/// Run, drop what waits in the middle of it, and look at the links in the end.
void
DiscardAndLook(Ptr<NrRadio> radio, uint32_t devices)
{
    for (uint32_t i = 0; i < devices; i++)
    {
        Simulator::Schedule(MilliSeconds(30), &NrRadio::Discard, radio, i, 1);
    }
    Simulator::Stop(Seconds(1.5));
    Simulator::Run();
    for (uint32_t i = 0; i < devices; i++)
    {
        radio->GetLink(i);
        radio->GetCapacity(i, 0);
        radio->IsQuiet(i, 0);
    }
}

/// With `isMore` four layers, mini-slots, and data in the uplink of special slots.
uint64_t
Run(const std::string& pattern,
    Rlc rlc,
    bool isTurn,
    uint32_t devices,
    uint32_t configuredPrbs,
    NrQosSettings flows,
    bool isMore)
{
    bool isAcknowledged = rlc != Rlc::UNACKNOWLEDGED;
    g_received = 0;
    RngSeedManager::ResetNextStreamIndex();
    NodeContainer nodes(1 + devices);
    InternetStackHelper().Install(nodes);
    auto condition = CreateObject<ThreeGppUmiStreetCanyonChannelConditionModel>();
    auto loss = CreateObject<ThreeGppUmiStreetCanyonPropagationLossModel>();
    loss->SetAttribute("Frequency", DoubleValue(3.5e9));
    loss->SetAttribute("ChannelConditionModel", PointerValue(condition));
    auto channel = CreateObject<NrChannel>();
    channel->SetAttribute("PropagationLossModel", PointerValue(loss));
    channel->SetAttribute("ChannelConditionModel", PointerValue(condition));
    channel->SetAttribute("Fading", StringValue("UMi-StreetCanyon"));
    auto cell = CreateObject<NrCell>();
    cell->SetAttribute("Pattern", StringValue(pattern));
    cell->SetAttribute("Acknowledged", BooleanValue(isAcknowledged));
    cell->SetAttribute("Scheduler", StringValue(isTurn ? "rr" : "pf"));
    cell->SetAttribute("MostTransmissions", UintegerValue(isAcknowledged ? 2 : 1));
    cell->SetAttribute("TargetBler", DoubleValue(isAcknowledged ? 0.4 : 0.2));
    cell->SetAttribute("ConfiguredGrantPrbs", UintegerValue(configuredPrbs));
    cell->SetAttribute("Reordering", TimeValue(MilliSeconds(isAcknowledged ? 0 : 100)));
    cell->SetArq(MakeArq(rlc));
    cell->SetQosFlows(flows);
    if (isMore)
    {
        channel->SetAttribute("MaxRank", UintegerValue(4));
        cell->SetAttribute("UnitSymbols", UintegerValue(7));
        cell->SetAttribute("SpecialDownlinkSymbols", UintegerValue(8));
        cell->SetAttribute("SpecialUplinkSymbols", UintegerValue(4));
        cell->SetAttribute("SpecialPuschSymbols", UintegerValue(4));
    }
    auto neighbours = MakeNeighbours(loss, condition);
    auto site = MakeArray(2, 4);
    site->SetAttribute("AntennaElement", PointerValue(CreateObject<SiteElement>()));
    cell->SetNeighbours(neighbours);
    NetDeviceContainer ends;
    for (uint32_t i = 0; i <= devices; i++)
    {
        auto mobility = CreateObject<ConstantVelocityMobilityModel>();
        mobility->SetPosition(i == 0 ? Vector(0, 0, 10) : Vector(30.0 + 40 * i, 5, 1.5));
        mobility->SetVelocity(i == 0 ? Vector() : Vector(30, 10, 0));
        nodes.Get(i)->AggregateObject(mobility);
        auto end = CreateObject<NrNetDevice>();
        nodes.Get(i)->AddDevice(end);
        ends.Add(end);
        if (i == 0)
        {
            channel->SetGnb(mobility, site);
            neighbours->SetBaseStation(mobility, site);
            cell->SetGnb(
                nodes.Get(0),
                [end](Ptr<Packet> packet) { end->Receive(packet->Copy()); },
                channel,
                MakeErrors());
            end->ConnectGnb(cell);
        }
        else
        {
            auto array = MakeArray(1, isMore ? 2 : 1);
            channel->AddDevice(mobility, array);
            neighbours->AddDevice(mobility, array);
            cell->AddDevice(nodes.Get(i), [end](Ptr<Packet> packet) { end->Receive(packet->Copy()); });
            DynamicCast<NrNetDevice>(ends.Get(0))->AddDevice(end);
        }
    }
    channel->AssignStreams(100);
    cell->AssignStreams(1000);
    neighbours->AssignStreams(2000);
    cell->Begin();
    auto radio = CreateObject<NrRadio>();
    radio->SetCell(cell, devices);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    auto interfaces = addresses.Assign(ends);
    std::vector<Ptr<Socket>> server{Open(nodes.Get(0), PORT), Open(nodes.Get(0), SERVER_PORT)};
    for (uint32_t i = 1; i <= devices; i++)
    {
        SendBoth(server, Open(nodes.Get(i), PORT), interfaces, i, MilliSeconds(20), PACKETS);
    }
    DiscardAndLook(radio, devices);
    radio->Dispose();
    cell->Dispose();
    neighbours->Dispose();
    channel->Dispose();
    Simulator::Destroy();
    return g_received;
}

void
CountArrivals(uint32_t* count, const NrMobilityTrace& trace)
{
    *count += trace.kind == NrMobilityTrace::Kind::ARRIVED ? 1 : 0;
}

/// Devices lose their connections after 100 ms, collide when they come back, and listen by turns.
void
LetSleep(NrHelper& helper)
{
    NrConnectionSettings connection{true, MilliSeconds(100), false, 8, MilliSeconds(5), {}};
    connection.access = {20, 0, 2, MilliSeconds(10), MilliSeconds(8), MilliSeconds(5)};
    helper.SetConnection(connection);
    helper.SetDrx({true, MilliSeconds(4), MilliSeconds(3), 20, 13, 4});
}

/// Three cells on a line, and devices that race along it; bytes that arrived, and handovers.
std::pair<uint64_t, uint32_t>
RunCells(Rlc rlc, uint32_t devices, NrQosSettings flows, bool isSleeping)
{
    bool isAcknowledged = rlc != Rlc::UNACKNOWLEDGED;
    g_received = 0;
    RngSeedManager::ResetNextStreamIndex();
    NodeContainer gnbs(3);
    NodeContainer core(1);
    NodeContainer users(devices);
    InternetStackHelper().Install(NodeContainer(core, users));
    auto place = [](Ptr<Node> node, const Vector& at, const Vector& velocity) {
        auto mobility = CreateObject<ConstantVelocityMobilityModel>();
        mobility->SetPosition(at);
        mobility->SetVelocity(velocity);
        node->AggregateObject(mobility);
    };
    for (uint32_t i = 0; i < gnbs.GetN(); i++)
    {
        place(gnbs.Get(i), Vector(100.0 * i, 0, 10), Vector());
    }
    for (uint32_t i = 0; i < devices; i++)
    {
        place(users.Get(i), Vector(10.0 * i, 15, 1.5), Vector(120, 0, 0));
    }
    auto condition = CreateObject<AlwaysLosChannelConditionModel>();
    auto loss = CreateObject<ThreeGppUmiStreetCanyonPropagationLossModel>();
    loss->SetAttribute("Frequency", DoubleValue(3.5e9));
    loss->SetAttribute("ChannelConditionModel", PointerValue(condition));
    NrHelper helper;
    helper.SetChannelAttribute("PropagationLossModel", PointerValue(loss));
    helper.SetChannelAttribute("ChannelConditionModel", PointerValue(condition));
    helper.SetChannelAttribute("Fading", StringValue("UMi-StreetCanyon"));
    helper.SetCellAttribute("Acknowledged", BooleanValue(isAcknowledged));
    helper.SetCellAttribute("MostTransmissions", UintegerValue(2));
    helper.SetCellAttribute("TargetBler", DoubleValue(0.2));
    helper.SetCellAttribute("Reordering", TimeValue(MilliSeconds(isAcknowledged ? 0 : 100)));
    helper.SetArq(MakeArq(rlc));
    if (isSleeping)
    {
        LetSleep(helper);
    }
    helper.SetQosFlows(flows);
    auto ends = helper.InstallCells(gnbs, core.Get(0), users, MakeErrors());
    helper.AssignStreams(100);
    auto cells = helper.GetCells();
    cells->SetAttribute("TimeToTrigger", TimeValue(MilliSeconds(40)));
    cells->SetAttribute("Hysteresis", DoubleValue(1));
    uint32_t arrivals = 0;
    cells->TraceConnectWithoutContext("Mobility", MakeBoundCallback(&CountArrivals, &arrivals));
    auto radio = CreateObject<NrRadio>();
    radio->SetCells(cells, devices);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    auto interfaces = addresses.Assign(ends);
    std::vector<Ptr<Socket>> server{Open(core.Get(0), PORT), Open(core.Get(0), SERVER_PORT)};
    for (uint32_t i = 1; i <= devices; i++)
    {
        auto device = Open(users.Get(i - 1), PORT);
        for (auto begin : {20, 450, 700, 1100})
        {
            SendBoth(server, device, interfaces, i, MilliSeconds(begin), PACKETS / 4);
        }
    }
    Simulator::Stop(Seconds(2));
    Simulator::Run();
    radio->Dispose();
    cells->Dispose();
    Simulator::Destroy();
    return {g_received, arrivals};
}

/// A cell of two carriers, of another pattern each.
uint64_t
RunCarriers(Rlc rlc, uint32_t devices, NrQosSettings flows)
{
    bool isAcknowledged = rlc != Rlc::UNACKNOWLEDGED;
    g_received = 0;
    RngSeedManager::ResetNextStreamIndex();
    NodeContainer gnb(1);
    NodeContainer users(devices);
    InternetStackHelper().Install(NodeContainer(gnb, users));
    for (uint32_t i = 0; i <= devices; i++)
    {
        auto mobility = CreateObject<ConstantVelocityMobilityModel>();
        mobility->SetPosition(i == 0 ? Vector(0, 0, 10) : Vector(30.0 + 40 * i, 5, 1.5));
        mobility->SetVelocity(i == 0 ? Vector() : Vector(30, 10, 0));
        (i == 0 ? gnb.Get(0) : users.Get(i - 1))->AggregateObject(mobility);
    }
    auto condition = CreateObject<ThreeGppUmiStreetCanyonChannelConditionModel>();
    std::array<NrHelper, 2> helpers; // of the primary cell and of the secondary one
    for (uint32_t carrier = 0; carrier < helpers.size(); carrier++)
    {
        auto loss = CreateObject<ThreeGppUmiStreetCanyonPropagationLossModel>();
        loss->SetAttribute("Frequency", DoubleValue(carrier == 0 ? 3.5e9 : 2.1e9));
        loss->SetAttribute("ChannelConditionModel", PointerValue(condition));
        auto& helper = helpers[carrier];
        helper.SetChannelAttribute("PropagationLossModel", PointerValue(loss));
        helper.SetChannelAttribute("ChannelConditionModel", PointerValue(condition));
        helper.SetChannelAttribute("Fading", StringValue("UMi-StreetCanyon"));
        helper.SetCellAttribute("Pattern", StringValue(carrier == 0 ? "DDDSU" : "F"));
        helper.SetCellAttribute("Acknowledged", BooleanValue(isAcknowledged));
        helper.SetCellAttribute("MostTransmissions", UintegerValue(2));
        helper.SetCellAttribute("TargetBler", DoubleValue(isAcknowledged ? 0.4 : 0.2));
        helper.SetCellAttribute("Reordering", TimeValue(MilliSeconds(isAcknowledged ? 0 : 100)));
        helper.SetArq(MakeArq(rlc));
        helper.SetQosFlows(flows);
    }
    auto errors = MakeErrors();
    auto ends = helpers[0].Install(gnb.Get(0), users, errors);
    auto cell = helpers[0].GetCell();
    helpers[1].InstallSecondary(cell, gnb.Get(0), users, errors);
    helpers[1].AssignStreams(100 + helpers[0].AssignStreams(100));
    auto radio = CreateObject<NrRadio>();
    radio->SetCell(cell, devices);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    auto interfaces = addresses.Assign(ends);
    std::vector<Ptr<Socket>> server{Open(gnb.Get(0), PORT), Open(gnb.Get(0), SERVER_PORT)};
    for (uint32_t i = 1; i <= devices; i++)
    {
        SendBoth(server, Open(users.Get(i - 1), PORT), interfaces, i, MilliSeconds(20), PACKETS);
    }
    DiscardAndLook(radio, devices);
    for (uint32_t i = 0; i < devices; i++)
    {
        if (cell->GetSecondary()->GetCount(i, false).bytes == 0 || cell->GetSecondary()->GetCount(i, true).bytes == 0)
        {
            return 0;
        }
    }
    radio->Dispose();
    cell->Dispose();
    Simulator::Destroy();
    return g_received;
}

} // namespace

int
main()
{
    for (auto rlc : {Rlc::UNACKNOWLEDGED, Rlc::ACKNOWLEDGED, Rlc::REPORTED})
    {
        bool isAcknowledged = rlc != Rlc::UNACKNOWLEDGED;
        auto sent = 2 * 3 * PACKETS * 1400;
        auto received = RunCarriers(rlc, 3, {true, 68, 90});
        std::cout << "carriers" << GetName(rlc) << received << " of " << sent << '\n';
        if (received > sent || (isAcknowledged && received != sent) || received < sent / 2)
        {
            return 1;
        }
    }
    for (auto rlc : {Rlc::UNACKNOWLEDGED, Rlc::ACKNOWLEDGED, Rlc::REPORTED})
    {
        bool isAcknowledged = rlc != Rlc::UNACKNOWLEDGED;
        auto sent = 2 * 3 * PACKETS * 1400;
        auto [received, handovers] = RunCells(rlc, 3, {true, 68, 90}, false);
        std::cout << "cells" << GetName(rlc) << received << " of " << sent << '\n';
        if (received > sent || (isAcknowledged && received != sent) || received < sent / 2 || handovers < 3)
        {
            return 1;
        }
    }
    for (auto rlc : {Rlc::ACKNOWLEDGED, Rlc::REPORTED})
    {
        auto sent = 2 * 3 * PACKETS * 1400;
        auto received = RunCells(rlc, 3, {}, true).first;
        std::cout << "sleeping" << GetName(rlc) << received << " of " << sent << '\n';
        if (received != sent)
        {
            return 1;
        }
    }
    const std::vector<std::tuple<std::string, NrQosSettings, bool>> runs{{"DDDSU", {}, false},
                                                                         {"F", {true, 90, 90}, false},
                                                                         {"DSUUD", {true, 68, 90}, false},
                                                                         {"DDDSU", {}, true}};
    for (const auto& [pattern, flows, isMore] : runs)
    {
        for (auto rlc : {Rlc::UNACKNOWLEDGED, Rlc::ACKNOWLEDGED, Rlc::REPORTED})
        {
            bool isAcknowledged = rlc != Rlc::UNACKNOWLEDGED;
            auto sent = 2 * 4 * PACKETS * 1400;
            auto received = Run(pattern, rlc, isAcknowledged, 4, isAcknowledged ? 0 : 8, flows, isMore);
            std::cout << pattern << GetName(rlc) << received << " of " << sent << '\n';
            if (received > sent || (isAcknowledged && received != sent) || received < sent / 2)
            {
                return 1;
            }
        }
    }
    return 0;
}
