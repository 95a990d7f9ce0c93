// SPDX-License-Identifier: GPL-2.0-only
#include "wifi-statistics.h"

#include "ns3/node.h"
#include "ns3/wifi-mac.h"
#include "ns3/wifi-mpdu.h"
#include "ns3/wifi-net-device.h"
#include "ns3/wifi-phy.h"
#include "ns3/wifi-ppdu.h"
#include "ns3/wifi-psdu.h"

#include <fstream>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(WifiStatistics);

/// Of one net device. MPDUs are those of data; a PPDU is anything that it puts on the air.
struct WifiStatistics::Counts
{
    uint32_t node{0};
    uint32_t device{0};
    uint64_t ackedMpdus{0};
    uint64_t ackedBytes{0};
    uint64_t nackedMpdus{0};
    uint64_t droppedMpdus{0};
    uint64_t timeouts{0};
    uint64_t ppdus{0};
    Time airtime;

    void HandleAcked(Ptr<const WifiMpdu> mpdu)
    {
        if (mpdu->GetHeader().IsQosData())
        {
            ackedMpdus++;
            ackedBytes += mpdu->GetPacketSize();
        }
    }

    void HandleNacked(Ptr<const WifiMpdu> mpdu)
    {
        nackedMpdus += mpdu->GetHeader().IsQosData() ? 1 : 0;
    }

    void HandleDropped(WifiMacDropReason, Ptr<const WifiMpdu> mpdu)
    {
        droppedMpdus += mpdu->GetHeader().IsQosData() ? 1 : 0;
    }

    void HandleMpduTimeout(uint8_t, Ptr<const WifiMpdu>, const WifiTxVector&)
    {
        timeouts++;
    }

    void HandlePsduTimeout(uint8_t, Ptr<const WifiPsdu>, const WifiTxVector&)
    {
        timeouts++;
    }

    void HandleTransmission(Ptr<const WifiPpdu> ppdu, const WifiTxVector&)
    {
        ppdus++;
        airtime += ppdu->GetTxDuration();
    }
};

WifiStatistics::WifiStatistics() = default;
WifiStatistics::~WifiStatistics() = default;

TypeId
WifiStatistics::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::WifiStatistics").SetParent<Object>().SetGroupName("Cosim").AddConstructor<WifiStatistics>();
    return tid;
}

void
WifiStatistics::AddDevice(Ptr<NetDevice> device)
{
    auto wifi = DynamicCast<WifiNetDevice>(device);
    NS_ABORT_MSG_UNLESS(wifi, "WifiStatistics needs WifiNetDevices");
    auto counts = &m_counts.emplace_back();
    counts->node = device->GetNode()->GetId();
    counts->device = device->GetIfIndex();
    auto mac = wifi->GetMac();
    mac->TraceConnectWithoutContext("AckedMpdu", MakeCallback(&Counts::HandleAcked, counts));
    mac->TraceConnectWithoutContext("NAckedMpdu", MakeCallback(&Counts::HandleNacked, counts));
    mac->TraceConnectWithoutContext("DroppedMpdu", MakeCallback(&Counts::HandleDropped, counts));
    mac->TraceConnectWithoutContext("MpduResponseTimeout", MakeCallback(&Counts::HandleMpduTimeout, counts));
    mac->TraceConnectWithoutContext("PsduResponseTimeout", MakeCallback(&Counts::HandlePsduTimeout, counts));
    for (const auto& phy : wifi->GetPhys())
    {
        phy->TraceConnectWithoutContext("SignalTransmission", MakeCallback(&Counts::HandleTransmission, counts));
    }
}

bool
WifiStatistics::Write(const std::string& file) const
{
    std::ofstream out(file);
    out << "% node\tdevice\tackedMpdus\tackedBytes\tnackedMpdus\tdroppedMpdus\ttimeouts\tPPDUs\tairtime\n";
    for (const auto& counts : m_counts)
    {
        out << counts.node << '\t' << counts.device << '\t' << counts.ackedMpdus << '\t' << counts.ackedBytes << '\t'
            << counts.nackedMpdus << '\t' << counts.droppedMpdus << '\t' << counts.timeouts << '\t' << counts.ppdus
            << '\t' << counts.airtime.GetSeconds() << '\n';
    }
    return out.flush().good();
}

} // namespace ns3::cosim
