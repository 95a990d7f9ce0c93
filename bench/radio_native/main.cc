// SPDX-License-Identifier: GPL-2.0-only
// The LTE scenario and a list of exchanges in C++ alone, to hold ns3_scenarios against.
//
// Arguments: devices, seed, carriers, transmission mode, RLC (Am or Um), EARFCNs down and up, socket factory,
// then the devices' places as x y z. Standard input: one exchange a line, gap and limit in ns, wait, and for each
// transfer device, downlink bytes, computing ns, uplink bytes. Standard output: for each exchange the new virtual
// time and five numbers a transfer; at the end the CPU seconds that the exchanges took.

#include "exchange.h"
#include "lte-radio.h"

#include "ns3/boolean.h"
#include "ns3/config.h"
#include "ns3/double.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/lte-helper.h"
#include "ns3/mobility-helper.h"
#include "ns3/node-container.h"
#include "ns3/point-to-point-epc-helper.h"
#include "ns3/pointer.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/three-gpp-propagation-loss-model.h"
#include "ns3/uinteger.h"

#include <ctime>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using namespace ns3;
using namespace ns3::cosim;

namespace
{

constexpr int64_t ATTACH_NS = 500'000'000;

struct Settings
{
    uint32_t devices;
    uint64_t seed;
    uint32_t carriers;
    uint32_t transmissionMode;
    std::string rlc;
    uint32_t downlinkEarfcn;
    uint32_t uplinkEarfcn;
    std::string sockets;
    std::vector<Vector> places;
};

Settings
Parse(int argc, char** argv)
{
    std::stringstream words;
    for (int i = 1; i < argc; i++)
    {
        words << argv[i] << ' ';
    }
    Settings s;
    words >> s.devices >> s.seed >> s.carriers >> s.transmissionMode >> s.rlc >> s.downlinkEarfcn >> s.uplinkEarfcn >>
        s.sockets;
    Vector place;
    while (words >> place.x >> place.y >> place.z)
    {
        s.places.push_back(place);
    }
    NS_ABORT_MSG_UNLESS(s.places.size() == s.devices, "as many places as devices");
    return s;
}

void
Configure(const Settings& s)
{
    uint32_t srs = 0;
    for (uint32_t period : {320, 160, 80, 40, 20, 10, 5, 2})
    {
        srs = period > s.devices ? period : srs;
    }
    Config::SetDefault("ns3::LteEnbRrc::EpsBearerToRlcMapping", StringValue("Rlc" + s.rlc + "Always"));
    Config::SetDefault("ns3::NoBackhaulEpcHelper::S5LinkDelay", StringValue("0s"));
    Config::SetDefault("ns3::NoBackhaulEpcHelper::S5LinkDataRate", StringValue("1000Gb/s"));
    Config::SetDefault("ns3::PointToPointEpcHelper::S1uLinkDelay", StringValue("0s"));
    Config::SetDefault("ns3::PointToPointEpcHelper::S1uLinkDataRate", StringValue("1000Gb/s"));
    Config::SetDefault("ns3::DropTailQueue<Packet>::MaxSize", StringValue("4294967295p"));
    Config::SetDefault("ns3::LteEnbRrc::SrsPeriodicity", UintegerValue(srs));
    Config::SetDefault("ns3::LteEnbRrc::DefaultTransmissionMode", UintegerValue(s.transmissionMode - 1));
    Config::SetDefault("ns3::LteRlcAm::PollRetransmitTimer", StringValue("40ms"));
    Config::SetDefault("ns3::LteRlcAm::MaxTxBufferSize", UintegerValue(0));
    Config::SetDefault("ns3::LteRlcUm::MaxTxBufferSize", UintegerValue(UINT32_MAX));
    Config::SetDefault("ns3::LteEnbPhy::TxPower", DoubleValue(40));
    Config::SetDefault("ns3::LteUePhy::TxPower", DoubleValue(23));
    Config::SetDefault("ns3::LteUePowerControl::Pcmax", DoubleValue(23));
}

void
Place(const Settings& s, const NodeContainer& cell, const NodeContainer& nodes)
{
    for (const auto& placed : {cell, nodes}) // one helper each, as in the scenario: each takes random streams
    {
        MobilityHelper mobility;
        mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel");
        mobility.Install(placed);
    }
    cell.Get(0)->GetObject<MobilityModel>()->SetPosition(Vector(0, 0, 10));
    for (uint32_t i = 0; i < s.devices; i++)
    {
        nodes.Get(i)->GetObject<MobilityModel>()->SetPosition(s.places[i]);
    }
}

void
SetChannel(Ptr<LteHelper> lte, double frequencyHz)
{
    auto condition = CreateObject<ThreeGppUmiStreetCanyonChannelConditionModel>();
    auto model = CreateObject<ThreeGppUmiStreetCanyonPropagationLossModel>();
    model->SetAttribute("Frequency", DoubleValue(frequencyHz));
    model->SetAttribute("ShadowingEnabled", BooleanValue(false));
    model->SetAttribute("ChannelConditionModel", PointerValue(condition));
    lte->SetPathlossModelType(TypeId::LookupByName("ns3::cosim::SharedPathLoss"));
    lte->SetPathlossModelAttribute("Model", PointerValue(model));
}

Ptr<LteHelper>
MakeLte(const Settings& s, Ptr<PointToPointEpcHelper> epc)
{
    auto lte = CreateObject<LteHelper>();
    lte->SetEpcHelper(epc);
    lte->SetSchedulerType("ns3::PfFfMacScheduler");
    if (s.carriers > 1)
    {
        lte->SetAttribute("UseCa", BooleanValue(true));
        lte->SetAttribute("NumberOfComponentCarriers", UintegerValue(s.carriers));
        lte->SetEnbComponentCarrierManagerType("ns3::RrComponentCarrierManager");
    }
    lte->SetEnbDeviceAttribute("DlEarfcn", UintegerValue(s.downlinkEarfcn));
    lte->SetEnbDeviceAttribute("UlEarfcn", UintegerValue(s.uplinkEarfcn));
    lte->SetEnbDeviceAttribute("DlBandwidth", UintegerValue(100));
    lte->SetEnbDeviceAttribute("UlBandwidth", UintegerValue(100));
    lte->SetUeDeviceAttribute("DlEarfcn", UintegerValue(s.downlinkEarfcn));
    SetChannel(lte, s.downlinkEarfcn == 100 ? 2.12e9 : 2.31e9);
    return lte;
}

void
PlayLine(Ptr<ExchangeEngine> engine, const std::string& line)
{
    std::stringstream words(line);
    int64_t gapNs;
    int64_t limitNs;
    int64_t wait;
    words >> gapNs >> limitNs >> wait;
    std::vector<int64_t> asked;
    for (int64_t figure; words >> figure;)
    {
        asked.push_back(figure);
    }
    std::vector<int64_t> answer(asked.size() / 4 * 5);
    std::vector<double> air(asked.size() / 4 * 2);
    auto departNs = engine->GetNow() + gapNs;
    engine->Exchange(asked.size() / 4, asked.data(), departNs, departNs + limitNs, wait, answer.data(), air.data());
    std::cout << engine->GetNow();
    for (auto figure : answer)
    {
        std::cout << ' ' << figure;
    }
    std::cout << '\n';
}

} // namespace

int
main(int argc, char** argv)
{
    auto s = Parse(argc, argv);
    RngSeedManager::SetRun(s.seed);
    auto engine = CreateObject<ExchangeEngine>();
    Configure(s);
    NodeContainer cell(1);
    NodeContainer nodes(s.devices);
    Place(s, cell, nodes);
    auto epc = CreateObject<PointToPointEpcHelper>();
    auto lte = MakeLte(s, epc);
    auto bs = lte->InstallEnbDevice(cell);
    auto radios = lte->InstallUeDevice(nodes);
    InternetStackHelper().Install(nodes);
    auto addresses = epc->AssignUeIpv4Address(radios);
    auto radio = CreateObject<LteRadio>();
    radio->AddEnb(bs.Get(0));
    for (uint32_t i = 0; i < s.devices; i++)
    {
        radio->AddUe(radios.Get(i));
    }
    lte->Attach(radios, bs.Get(0));
    engine->SetRadio(radio);
    auto protocol = TypeId::LookupByName(s.sockets);
    for (uint32_t i = 0; i < s.devices; i++)
    {
        engine->AddDevice(epc->GetPgwNode(),
                          epc->GetUeDefaultGatewayAddress().ConvertTo(),
                          nodes.Get(i),
                          addresses.GetAddress(i).ConvertTo(),
                          protocol);
    }
    engine->Attach(ATTACH_NS);
    engine->BeginRecords();
    auto began = std::clock();
    for (std::string line; std::getline(std::cin, line);)
    {
        PlayLine(engine, line);
    }
    auto cpu = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    std::cout << std::setprecision(6) << cpu << '\n';
    engine->Close();
    Simulator::Destroy();
    return 0;
}
