// SPDX-License-Identifier: GPL-2.0-only
#include "lte-radio.h"

#include "lte-bearer.h"
#include "scheduler-tap.h"

#include "ns3/component-carrier-enb.h"
#include "ns3/ff-mac-scheduler.h"
#include "ns3/lte-amc.h"
#include "ns3/lte-common.h"
#include "ns3/lte-enb-mac.h"
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-phy.h"
#include "ns3/lte-enb-rrc.h"
#include "ns3/lte-ue-net-device.h"
#include "ns3/lte-ue-phy.h"
#include "ns3/lte-ue-rrc.h"
#include "ns3/simulator.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(LteRadio);

namespace
{

constexpr double SUBFRAMES_PER_S = 1000;
// ns-3's RLC UM waits 100 ms for a missing PDU, and HARQ takes 8 ms for each of up to three transmissions more.
constexpr int64_t LONGEST_DELIVERY_NS = 124'000'000;
constexpr int64_t OUT_OF_SYNC_NS = 200'000'000; // TS 36.133 table 7.6.2.1-1

double
ToDb(double ratio)
{
    return 10 * std::log10(ratio);
}

} // namespace

LteRadio::LteRadio() = default;
LteRadio::~LteRadio() = default;

TypeId
LteRadio::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::LteRadio")
            .SetParent<Radio>()
            .SetGroupName("Cosim")
            .AddConstructor<LteRadio>()
            .AddAttribute("CoreDelay",
                          "One-way delay between the edge server and the eNB.",
                          TimeValue(Time()),
                          MakeTimeAccessor(&LteRadio::m_coreDelay),
                          MakeTimeChecker(Time()));
    return tid;
}

void
LteRadio::SetEnb(Ptr<NetDevice> enb)
{
    m_enb = DynamicCast<LteEnbNetDevice>(enb);
    NS_ABORT_MSG_UNLESS(m_enb, "LteRadio needs an LteEnbNetDevice");
    m_amc = CreateObject<LteAmc>();
    m_enb->GetRrc()->TraceConnectWithoutContext("ConnectionEstablished",
                                                MakeCallback(&LteRadio::HandleConnected, this));
    m_carriers = m_enb->GetCcMap().size();
    for (uint32_t carrier = 0; carrier < m_carriers; carrier++)
    {
        Watch(carrier);
    }
}

void
LteRadio::Watch(uint8_t carrier)
{
    auto component = DynamicCast<ComponentCarrierEnb>(m_enb->GetCcMap().at(carrier));
    auto mac = component->GetMac();
    mac->TraceConnectWithoutContext("DlScheduling", MakeCallback(&LteRadio::HandleDownlinkGrant, this));
    mac->TraceConnectWithoutContext("UlScheduling", MakeCallback(&LteRadio::HandleUplinkGrant, this));
    component->GetPhy()->TraceConnectWithoutContext("ReportUeSinr", MakeCallback(&LteRadio::HandleUplinkSinr, this));
    auto cqi = [this, carrier](uint16_t rnti, uint8_t index) {
        if (auto link = Find(rnti); link && carrier == 0)
        {
            link->sample.cqi = index;
            link->lastInRange = index > 0 ? Simulator::Now().GetNanoSeconds() : link->lastInRange;
        }
    };
    auto bsr = [this, carrier](uint16_t rnti, const std::vector<uint8_t>& groups) {
        if (auto link = Find(rnti))
        {
            int64_t bytes = 0;
            for (auto index : groups)
            {
                bytes += BufferSizeLevelBsr::BsrId2BufferSize(index);
            }
            link->bsr[carrier] = bytes;
        }
    };
    auto scheduler = component->GetFfMacScheduler()->GetFfMacSchedSapProvider();
    m_taps.push_back(std::make_unique<SchedulerTap>(scheduler, cqi, bsr));
    mac->SetFfMacSchedSapProvider(m_taps.back().get());
}

void
LteRadio::AddUe(Ptr<NetDevice> ue)
{
    auto lte = DynamicCast<LteUeNetDevice>(ue);
    NS_ABORT_MSG_UNLESS(lte && m_enb, "LteRadio needs SetEnb first, then LteUeNetDevices");
    auto device = static_cast<uint32_t>(m_links.size());
    auto& link = m_links.emplace_back();
    link.ue = lte;
    link.bsr.assign(m_carriers, -1);
    lte->GetPhy()->TraceConnectWithoutContext("ReportCurrentCellRsrpSinr",
                                              MakeCallback(&LteRadio::HandleDownlinkSinr, this, device));
}

LteRadio::Link*
LteRadio::Find(uint16_t rnti)
{
    auto found = m_byRnti.find(rnti);
    return found == m_byRnti.end() ? nullptr : &m_links[found->second];
}

Ptr<UeManager>
LteRadio::GetManager(uint32_t device) const
{
    const auto& ue = m_links[device].ue;
    auto rnti = ue->GetRrc()->GetRnti();
    if (ue->GetRrc()->GetState() != LteUeRrc::CONNECTED_NORMALLY || !m_enb->GetRrc()->HasUeManager(rnti))
    {
        return nullptr;
    }
    auto manager = m_enb->GetRrc()->GetUeManager(rnti);
    return manager->GetImsi() == ue->GetImsi() ? manager : nullptr;
}

bool
LteRadio::IsConnected(uint32_t device) const
{
    const auto& link = m_links[device];
    auto manager = GetManager(device);
    bool inSync = link.lastInRange >= 0 && Simulator::Now().GetNanoSeconds() - link.lastInRange <= OUT_OF_SYNC_NS;
    return inSync && manager && manager->GetState() == UeManager::CONNECTED_NORMALLY && GetDataBearer(manager) &&
           GetDataBearer(link.ue->GetRrc());
}

LinkSample
LteRadio::GetLink(uint32_t device) const
{
    const auto& link = m_links[device];
    auto sample = link.sample;
    if (sample.downlinkMcs >= 0)
    {
        auto bits = m_amc->GetDlTbSizeFromMcs(sample.downlinkMcs, m_enb->GetDlBandwidth());
        sample.downlinkRateBps = bits * SUBFRAMES_PER_S * link.layers * m_carriers;
    }
    if (sample.uplinkMcs >= 0)
    {
        auto bits = m_amc->GetUlTbSizeFromMcs(sample.uplinkMcs, m_enb->GetUlBandwidth());
        sample.uplinkRateBps = bits * SUBFRAMES_PER_S * m_carriers;
    }
    for (auto bytes : link.bsr)
    {
        if (bytes >= 0)
        {
            sample.bsrBytes = std::max<int64_t>(sample.bsrBytes, 0) + bytes;
        }
    }
    auto manager = GetManager(device);
    if (auto bearer = manager ? GetDataBearer(manager) : nullptr)
    {
        sample.rlcQueueBytes = GetQueueBytes(bearer->m_rlc);
    }
    return sample;
}

bool
LteRadio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    const auto& link = m_links[device];
    auto manager = GetManager(device);
    auto atDevice = GetDataBearer(link.ue->GetRrc());
    auto atBs = manager ? GetDataBearer(manager) : nullptr;
    return atBs && atDevice && GetQueueBytes(atBs->m_rlc) == 0 && GetQueueBytes(atDevice->m_rlc) == 0 &&
           Simulator::Now().GetNanoSeconds() - std::max(link.lastGrant, sentNs) >
               LONGEST_DELIVERY_NS + m_coreDelay.GetNanoSeconds();
}

void
LteRadio::Discard(uint32_t device, uint32_t exchange)
{
    auto& link = m_links[device];
    auto manager = GetManager(device);
    auto atDevice = GetDataBearer(link.ue->GetRrc());
    auto atBs = manager ? GetDataBearer(manager) : nullptr;
    for (const auto& bearer : {atBs, atDevice})
    {
        if (!bearer)
        {
            continue;
        }
        auto& filter = link.filters[PeekPointer(bearer->m_rlc)];
        if (!filter)
        {
            filter = std::make_unique<StaleFilter>(bearer->m_pdcp, bearer->m_rlc);
        }
        filter->DropUpTo(exchange);
        DiscardSdus(bearer->m_rlc);
    }
}

void
LteRadio::HandleConnected(uint64_t imsi, uint16_t cell, uint16_t rnti)
{
    m_byRnti.erase(rnti); // perhaps another user's from now on
    for (uint32_t device = 0; device < m_links.size(); device++)
    {
        if (m_links[device].ue->GetImsi() == imsi)
        {
            m_byRnti[rnti] = device;
        }
    }
}

void
LteRadio::HandleDownlinkSinr(uint32_t device, uint16_t cell, uint16_t rnti, double rsrp, double sinr, uint8_t carrier)
{
    m_links[device].sample.downlinkSinrDb = ToDb(sinr);
}

void
LteRadio::HandleUplinkSinr(uint16_t cell, uint16_t rnti, double sinr, uint8_t carrier)
{
    if (auto link = Find(rnti); link && carrier == 0)
    {
        link->sample.uplinkSinrDb = ToDb(sinr);
    }
}

void
LteRadio::HandleDownlinkGrant(DlSchedulingCallbackInfo info)
{
    if (auto link = Find(info.rnti))
    {
        link->sample.downlinkMcs = info.mcsTb1;
        link->lastGrant = Simulator::Now().GetNanoSeconds();
        link->layers = info.sizeTb2 > 0 ? 2 : 1;
    }
}

void
LteRadio::HandleUplinkGrant(uint32_t frame, uint32_t subframe, uint16_t rnti, uint8_t mcs, uint16_t size, uint8_t carrier)
{
    if (auto link = Find(rnti))
    {
        link->sample.uplinkMcs = mcs;
        link->lastGrant = Simulator::Now().GetNanoSeconds();
    }
}

void
LteRadio::DoDispose()
{
    m_links.clear();
    m_taps.clear();
    m_enb = nullptr;
    m_amc = nullptr;
    Radio::DoDispose();
}

} // namespace ns3::cosim
