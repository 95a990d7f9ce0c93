// SPDX-License-Identifier: GPL-2.0-only
#include "wifi-capacity.h"

#include "expose.h"

#include "ns3/channel.h"
#include "ns3/double.h"
#include "ns3/interference-helper.h"
#include "ns3/node.h"
#include "ns3/pointer.h"
#include "ns3/wifi-mac.h"
#include "ns3/wifi-phy.h"
#include "ns3/wifi-remote-station-manager.h"
#include "ns3/wifi-tx-vector.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

namespace ns3::cosim
{

namespace
{

COSIM_EXPOSE(Interference, &WifiPhy::m_interference)
COSIM_EXPOSE(NoiseFigure, &InterferenceHelper::m_noiseFigure)

constexpr double IDEAL_ERROR_RATE = 1e-6; // of bits, the default of ns-3's ideal rate manager
constexpr double BOLTZMANN = 1.3803e-23;  // as ns-3 has it
constexpr double ROOM_K = 290;

/// Thermal noise in the receiver's channel and its noise figure, as in ns-3's InterferenceHelper.
double
GetNoiseDbm(Ptr<WifiPhy> receiver)
{
    auto figure = PeekPointer(PeekPointer(receiver)->*Get(Interference{}))->*Get(NoiseFigure{});
    auto widthHz = receiver->GetChannelWidth() * 1e6;
    return 10 * std::log10(BOLTZMANN * ROOM_K * widthHz * figure * 1000);
}

} // namespace

Ptr<PropagationLossModel>
WifiCapacity::FindLoss(Ptr<Channel> channel)
{
    static const std::set<std::string> CONSTANT{"ns3::FriisPropagationLossModel",
                                                "ns3::TwoRayGroundPropagationLossModel",
                                                "ns3::LogDistancePropagationLossModel",
                                                "ns3::ThreeLogDistancePropagationLossModel",
                                                "ns3::FixedRssLossModel",
                                                "ns3::RangePropagationLossModel"};
    PointerValue loss;
    if (!channel || !channel->GetAttributeFailSafe("PropagationLossModel", loss))
    {
        return nullptr;
    }
    auto first = loss.Get<PropagationLossModel>();
    for (auto model = first; model; model = model->GetNext())
    {
        if (!CONSTANT.contains(model->GetInstanceTypeId().GetName()))
        {
            return nullptr;
        }
    }
    return first;
}

WifiCapacity::WifiCapacity(Ptr<PropagationLossModel> loss)
    : m_loss(loss)
{
}

bool
WifiCapacity::Add(Ptr<WifiNetDevice> device)
{
    auto mobility = device->GetNode()->GetObject<MobilityModel>();
    if (mobility)
    {
        m_courses[device->GetMac()->GetAddress()] = std::make_unique<Course>(mobility);
    }
    return !!mobility;
}

Ptr<MobilityModel>
WifiCapacity::GetPlace(Ptr<WifiNetDevice> device) const
{
    return m_courses.at(device->GetMac()->GetAddress())->GetPlace();
}

Capacity
WifiCapacity::Get(Ptr<WifiNetDevice> from, Ptr<WifiNetDevice> to)
{
    auto sender = from->GetPhy();
    auto receiver = to->GetPhy();
    auto sentDbm = sender->GetTxPowerEnd() + sender->GetTxGain();
    auto receivedDbm = m_loss->CalcRxPower(sentDbm, GetPlace(from), GetPlace(to));
    Capacity found;
    found.sinrDb = receivedDbm + receiver->GetRxGain() - GetNoiseDbm(receiver);
    for (const auto& rate : GetRates(from, to))
    {
        found.bps = rate.leastSnr < std::pow(10, found.sinrDb / 10) ? std::max(found.bps, rate.bps) : found.bps;
    }
    return found;
}

const std::vector<WifiCapacity::Rate>&
WifiCapacity::GetRates(Ptr<WifiNetDevice> from, Ptr<WifiNetDevice> to)
{
    auto [entry, isNew] = m_rates.try_emplace({from->GetMac()->GetAddress(), to->GetMac()->GetAddress()});
    auto& rates = entry->second;
    if (!isNew)
    {
        return rates;
    }
    auto sender = from->GetPhy();
    auto receiver = to->GetPhy();
    auto manager = from->GetRemoteStationManager();
    DoubleValue errorRate(IDEAL_ERROR_RATE);
    manager->GetAttributeFailSafe("BerThreshold", errorRate);
    WifiModeValue only;
    bool isConstant = manager->GetAttributeFailSafe("DataMode", only);
    auto modes = receiver->GetMcsList();
    auto newest = WIFI_MOD_CLASS_UNKNOWN;
    for (const auto& mode : modes)
    {
        newest = std::max(newest, mode.GetModulationClass());
    }
    WifiTxVector vector;
    vector.SetChannelWidth(std::min(sender->GetChannelWidth(), receiver->GetChannelWidth()));
    vector.SetGuardInterval(std::max(manager->GetGuardInterval(), to->GetRemoteStationManager()->GetGuardInterval()));
    auto streams = std::min(sender->GetMaxSupportedTxSpatialStreams(), receiver->GetMaxSupportedRxSpatialStreams());
    for (const auto& mode : modes)
    {
        for (uint8_t nss = 1; nss <= streams; nss++)
        {
            vector.SetMode(mode);
            vector.SetNss(nss);
            bool isTaken = isConstant ? mode == only.Get() && nss == 1 : mode.GetModulationClass() == newest;
            if (isTaken && vector.IsValid())
            {
                auto leastSnr = nss * sender->CalculateSnr(vector, errorRate.Get());
                rates.push_back({leastSnr, static_cast<double>(mode.GetDataRate(vector))});
            }
        }
    }
    return rates;
}

} // namespace ns3::cosim
