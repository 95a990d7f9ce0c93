// SPDX-License-Identifier: GPL-2.0-only
#include "lte-radio.h"

#include "buffer-report.h"
#include "decibel.h"
#include "lte-bearer.h"
#include "scheduler-tap.h"
#include "share-scheduler.h"
#include "x2-gate.h"

#include "ns3/component-carrier-enb.h"
#include "ns3/component-carrier-ue.h"
#include "ns3/epc-ue-nas.h"
#include "ns3/ff-mac-common.h"
#include "ns3/ff-mac-scheduler.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/lte-amc.h"
#include "ns3/lte-common.h"
#include "ns3/lte-enb-mac.h"
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-phy.h"
#include "ns3/lte-enb-rrc.h"
#include "ns3/lte-spectrum-signal-parameters.h"
#include "ns3/lte-ue-net-device.h"
#include "ns3/lte-ue-phy.h"
#include "ns3/rr-ff-mac-scheduler.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <numeric>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(LteRadio);

namespace
{

constexpr double SUBFRAMES_PER_S = 1000;
// ns-3's RLC UM waits 100 ms for a missing PDU, and HARQ takes 8 ms for each of up to three transmissions more.
constexpr int64_t LONGEST_DELIVERY_NS = 124'000'000;
constexpr int BEST_CQI = 15;
constexpr int64_t MOST_REPORTED_BYTES = 150'000;   // TS 36.321 table 6.1.3.1-1, index 63: more than that
constexpr double DOWNLINK_DATA_S = 1e-3 * 11 / 14; // ns-3's PDCCH has three symbols of a subframe
constexpr int64_t OUT_OF_SYNC_NS = 200'000'000;    // TS 36.133 table 7.6.2.1-1

} // namespace

LteRadio::LteRadio() = default;
LteRadio::~LteRadio() = default;

TypeId
LteRadio::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::LteRadio")
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
LteRadio::AddEnb(Ptr<NetDevice> device)
{
    auto enb = DynamicCast<LteEnbNetDevice>(device);
    NS_ABORT_MSG_UNLESS(enb && m_links.empty(), "LteRadio needs all LteEnbNetDevices first, then the devices");
    m_amc = CreateObject<LteAmc>();
    m_enbs[enb->GetCellId()] = enb;
    m_carriers = enb->GetCcMap().size();
    for (uint32_t carrier = 0; carrier < m_carriers; carrier++)
    {
        Watch(enb, carrier);
    }
    m_gates.push_back(std::make_unique<X2Gate>(enb, m_coreDelay));
}

void
LteRadio::Watch(Ptr<LteEnbNetDevice> enb, uint8_t carrier)
{
    auto component = DynamicCast<ComponentCarrierEnb>(enb->GetCcMap().at(carrier));
    auto mac = component->GetMac();
    auto cell = enb->GetCellId();
    mac->TraceConnectWithoutContext("DlScheduling", MakeCallback(&LteRadio::HandleDownlinkGrant, this, cell));
    mac->TraceConnectWithoutContext("UlScheduling", MakeCallback(&LteRadio::HandleUplinkGrant, this, cell));
    component->GetPhy()->TraceConnectWithoutContext("ReportUeSinr",
                                                    MakeCallback(&LteRadio::HandleUplinkSinr, this, cell));
    bool isWideband = !!DynamicCast<RrFfMacScheduler>(component->GetFfMacScheduler());
    auto cqi = [this, cell, carrier, isWideband](const CqiListElement_s& report) {
        auto link = Find({cell, report.m_rnti});
        if (link && carrier == 0 && !report.m_wbCqi.empty())
        {
            link->sample.cqi = report.m_wbCqi.front();
            link->lastInRange = link->sample.cqi > 0 ? Simulator::Now().GetNanoSeconds() : link->lastInRange;
        }
        if (link && report.m_cqiType == (isWideband ? CqiListElement_s::P10 : CqiListElement_s::A30))
        {
            link->grantable[carrier].downlink = GetDownlinkBits(report, isWideband);
        }
    };
    auto sinr = [this, cell, carrier](uint16_t rnti, double sinrDb) {
        if (auto link = Find({cell, rnti}))
        {
            link->grantable[carrier].uplink = GetUplinkBits(sinrDb);
        }
    };
    auto bsr = [this, cell, carrier](uint16_t rnti, const std::vector<uint8_t>& groups) {
        if (auto link = Find({cell, rnti}))
        {
            int64_t bytes = 0;
            for (auto index : groups)
            {
                bytes += BufferSizeLevelBsr::BsrId2BufferSize(index);
            }
            link->bsr[carrier] = bytes;
        }
    };
    auto grant = [this, cell, phy = PeekPointer(component->GetPhy())](const DlDciListElement_s& dci) {
        HandleDownlinkData(cell, *phy, dci);
    };
    auto scheduler = component->GetFfMacScheduler();
    m_taps.push_back(std::make_unique<SchedulerTap>(scheduler->GetFfMacSchedSapProvider(),
                                                    mac->GetFfMacSchedSapUser(),
                                                    cqi,
                                                    sinr,
                                                    bsr,
                                                    grant));
    mac->SetFfMacSchedSapProvider(m_taps.back().get());
    auto shareOf = [this, cell](uint16_t rnti) { return GetShare({cell, rnti}); };
    auto dueOf = [this, cell](uint16_t rnti, bool isUplink) { return GetDue({cell, rnti}, isUplink); };
    auto isEndless = [this, cell](uint16_t rnti) {
        auto link = Find({cell, rnti}); // whose report ns-3 has split among the carriers
        return link && std::accumulate(link->bsr.begin(), link->bsr.end(), int64_t{0}) >= MOST_REPORTED_BYTES;
    };
    scheduler->SetFfMacSchedSapUser(m_taps.back().get());
    m_granters.push_back(ShareScheduler::Create(scheduler, m_taps.back().get(), shareOf, dueOf, isEndless));
}

void
LteRadio::AddUe(Ptr<NetDevice> ue)
{
    auto lte = DynamicCast<LteUeNetDevice>(ue);
    NS_ABORT_MSG_UNLESS(lte && !m_enbs.empty(), "LteRadio needs AddEnb first, then LteUeNetDevices");
    auto device = static_cast<uint32_t>(m_links.size());
    auto& link = m_links.emplace_back();
    link.ue = lte;
    Forget(link);
    auto rrc = lte->GetRrc();
    rrc->TraceConnectWithoutContext("StateTransition", MakeCallback(&LteRadio::HandleState, this, device));
    rrc->TraceConnectWithoutContext("DrbCreated", MakeCallback(&LteRadio::HandleBearer, this, device));
    lte->GetPhy()->TraceConnectWithoutContext("ReportCurrentCellRsrpSinr",
                                              MakeCallback(&LteRadio::HandleDownlinkSinr, this, device));
    for (const auto& [number, carrier] : lte->GetCcMap())
    {
        auto phy = carrier->GetPhy()->GetUplinkSpectrumPhy();
        auto channel = phy->GetChannel();
        m_senders[PeekPointer(phy)] = device;
        if (m_uplinks.insert(PeekPointer(channel)).second)
        {
            channel->TraceConnectWithoutContext("TxSigParams", MakeCallback(&LteRadio::HandleUplinkSignal, this));
        }
    }
}

void
LteRadio::AddOther(Ptr<NetDevice> device)
{
    auto ue = DynamicCast<LteUeNetDevice>(device);
    NS_ABORT_MSG_UNLESS(ue && !m_enbs.empty(), "LteRadio needs AddEnb first, then LteUeNetDevices");
    m_others.push_back(ue);
    ue->GetRrc()->TraceConnectWithoutContext("DrbCreated", MakeCallback(&LteRadio::HandleOther, this, ue));
}

void
LteRadio::Forget(Link& link)
{
    link.sample = {};
    link.bsr.assign(m_carriers, -1);
    auto bandwidth = m_enbs.begin()->second;
    link.grantable.assign(m_carriers,
                          {m_amc->GetDlTbSizeFromMcs(0, bandwidth->GetDlBandwidth()),
                           m_amc->GetUlTbSizeFromMcs(0, bandwidth->GetUlBandwidth())});
}

LteRadio::Link*
LteRadio::Find(Address address)
{
    auto found = m_devices.find(address);
    return found == m_devices.end() ? nullptr : &m_links[found->second];
}

void
LteRadio::SetShares(uint32_t count, const double* shares)
{
    NS_ABORT_MSG_UNLESS(std::all_of(m_granters.begin(), m_granters.end(), [](const auto& each) { return !!each; }),
                        "LteRadio has shares with PfFfMacScheduler and RrFfMacScheduler, and no others");
    m_shares.assign(shares, shares + count);
    m_shares.resize(m_links.size(), 0.0);
    for (uint32_t i = 0; i < m_taps.size(); i++)
    {
        m_granters[i]->Begin();
        m_taps[i]->SetGranter(m_granters[i].get());
    }
}

void
LteRadio::ClearShares()
{
    for (uint32_t i = 0; i < m_taps.size(); i++)
    {
        m_granters[i]->End();
        m_taps[i]->SetGranter(nullptr);
    }
}

double
LteRadio::GetShare(Address address) const
{
    auto found = m_devices.find(address);
    return found == m_devices.end() ? 0 : m_shares[found->second];
}

RlcDue
LteRadio::GetDue(Address address, bool isUplink)
{
    auto link = Find(address);
    auto manager = link ? GetManager(link->ue) : nullptr;
    if (!manager)
    {
        return {};
    }
    auto bearer = isUplink ? GetDataBearer(link->ue->GetRrc()) : GetDataBearer(manager);
    auto report = bearer ? bearer->m_rlc->GetObject<BufferReport>() : nullptr;
    return report ? RlcDue{report->IsStatusDue(), report->GetRetransmissionBytes()} : RlcDue{};
}

Ptr<UeManager>
LteRadio::GetManager(Ptr<LteUeNetDevice> ue) const
{
    auto rrc = ue->GetRrc();
    auto found = m_enbs.find(rrc->GetCellId());
    if (found == m_enbs.end() || !found->second->GetRrc()->HasUeManager(rrc->GetRnti()))
    {
        return nullptr;
    }
    auto manager = found->second->GetRrc()->GetUeManager(rrc->GetRnti());
    return manager->GetImsi() == ue->GetImsi() ? manager : nullptr;
}

bool
LteRadio::IsConnected(uint32_t device) const
{
    const auto& link = m_links[device];
    auto state = link.ue->GetRrc()->GetState();
    auto manager = GetManager(link.ue);
    if (!manager || (state != LteUeRrc::CONNECTED_NORMALLY && state != LteUeRrc::CONNECTED_HANDOVER))
    {
        return false;
    }
    bool inSync = link.lastInRange >= 0 && Simulator::Now().GetNanoSeconds() - link.lastInRange <= OUT_OF_SYNC_NS;
    bool settled =
        manager->GetState() == UeManager::CONNECTED_NORMALLY || manager->GetState() >= UeManager::HANDOVER_PREPARATION;
    return inSync && settled && GetDataBearer(manager) && GetDataBearer(link.ue->GetRrc());
}

LinkSample
LteRadio::GetLink(uint32_t device) const
{
    const auto& link = m_links[device];
    auto sample = link.sample;
    if (sample.downlinkMcs >= 0)
    {
        auto bits = m_amc->GetDlTbSizeFromMcs(sample.downlinkMcs, m_enbs.begin()->second->GetDlBandwidth());
        sample.downlinkRateBps = bits * SUBFRAMES_PER_S * link.layers * m_carriers;
    }
    if (sample.uplinkMcs >= 0)
    {
        auto bits = m_amc->GetUlTbSizeFromMcs(sample.uplinkMcs, m_enbs.begin()->second->GetUlBandwidth());
        sample.uplinkRateBps = bits * SUBFRAMES_PER_S * m_carriers;
    }
    for (auto bytes : link.bsr)
    {
        if (bytes >= 0)
        {
            sample.bsrBytes = std::max<int64_t>(sample.bsrBytes, 0) + bytes;
        }
    }
    if (auto manager = GetManager(link.ue))
    {
        auto bearer = GetDataBearer(manager);
        sample.cell = link.ue->GetRrc()->GetCellId();
        sample.rlcQueueBytes = bearer ? GetQueueBytes(bearer->m_rlc) : -1;
    }
    return sample;
}

bool
LteRadio::IsChanging() const
{
    return true;
}

std::vector<Capacity>
LteRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    const auto& link = m_links[device];
    auto rrc = link.ue->GetRrc();
    Grantable bits{0, 0};
    if (rrc->GetState() == LteUeRrc::CONNECTED_NORMALLY) // and not between two cells
    {
        for (const auto& carrier : link.grantable)
        {
            bits.downlink += carrier.downlink;
            bits.uplink += carrier.uplink;
        }
    }
    uint32_t pool = 2 * rrc->GetCellId();
    return {{pool, CountOthers(pool), bits.downlink * SUBFRAMES_PER_S, link.sample.downlinkSinrDb},
            {pool + 1, CountOthers(pool + 1), bits.uplink * SUBFRAMES_PER_S, link.sample.uplinkSinrDb}};
}

int64_t
LteRadio::GetDownlinkBits(const CqiListElement_s& report, bool isWideband) const
{
    auto bandwidth = m_enbs.begin()->second->GetDlBandwidth();
    if (isWideband)
    {
        auto cqi = report.m_wbCqi.front();
        auto bits = cqi > 0 ? m_amc->GetDlTbSizeFromMcs(m_amc->GetMcsFromCqi(cqi), bandwidth) : 0;
        return bits * static_cast<int64_t>(report.m_wbCqi.size());
    }
    const auto& groups = report.m_sbMeasResult.m_higherLayerSelected;
    std::vector<int> worst; // CQI of each layer
    int inRange = 0;
    for (const auto& group : groups)
    {
        const auto& cqi = group.m_sbCqi;
        if (std::any_of(cqi.begin(), cqi.end(), [](uint8_t index) { return index > 0; }))
        {
            inRange++;
            worst.resize(cqi.size(), BEST_CQI);
            std::transform(cqi.begin(), cqi.end(), worst.begin(), worst.begin(), [](int index, int lowest) {
                return std::min(index, lowest);
            });
        }
    }
    int64_t bits = 0;
    for (auto cqi : worst)
    {
        bits +=
            m_amc->GetDlTbSizeFromMcs(m_amc->GetMcsFromCqi(cqi), bandwidth * inRange / static_cast<int>(groups.size()));
    }
    return bits;
}

int64_t
LteRadio::GetUplinkBits(double sinrDb) const
{
    auto cqi = GetUplinkCqi(m_amc, sinrDb);
    auto bandwidth = m_enbs.begin()->second->GetUlBandwidth();
    return cqi > 0 ? m_amc->GetUlTbSizeFromMcs(m_amc->GetMcsFromCqi(cqi), bandwidth) : 0;
}

uint32_t
LteRadio::CountOthers(uint32_t pool) const
{
    auto now = Simulator::Now().GetNanoSeconds();
    if (m_countedNs != now)
    {
        m_countedNs = now;
        m_waiting.clear();
        for (const auto& other : m_others)
        {
            auto manager = GetManager(other);
            auto atDevice = GetDataBearer(other->GetRrc());
            auto atBs = manager ? GetDataBearer(manager) : nullptr;
            uint32_t cell = other->GetRrc()->GetCellId();
            m_waiting[2 * cell] += atBs && GetQueueBytes(atBs->m_rlc) > 0 ? 1 : 0;
            m_waiting[2 * cell + 1] += atDevice && GetQueueBytes(atDevice->m_rlc) > 0 ? 1 : 0;
        }
    }
    auto found = m_waiting.find(pool);
    return found == m_waiting.end() ? 0 : found->second;
}

AirEnergy
LteRadio::GetAirEnergy(uint32_t device) const
{
    return m_links[device].air;
}

bool
LteRadio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    const auto& link = m_links[device];
    auto manager = GetManager(link.ue);
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
    link.discarded = exchange;
    auto manager = GetManager(link.ue);
    auto atDevice = GetDataBearer(link.ue->GetRrc());
    auto atBs = manager ? GetDataBearer(manager) : nullptr;
    for (const auto& bearer : {atBs, atDevice})
    {
        if (auto tap = bearer ? bearer->m_rlc->GetObject<BearerTap>() : nullptr)
        {
            tap->Discard(exchange);
        }
    }
}

std::vector<Ptr<Channel>>
LteRadio::GetChannels(uint32_t device) const
{
    auto phy = m_links[device].ue->GetPhy(); // all carriers share one channel down and one up
    return {phy->GetDownlinkSpectrumPhy()->GetChannel(), phy->GetUplinkSpectrumPhy()->GetChannel()};
}

void
LteRadio::HandleState(uint32_t device,
                      uint64_t imsi,
                      uint16_t cell,
                      uint16_t rnti,
                      LteUeRrc::State from,
                      LteUeRrc::State to)
{
    switch (to)
    {
    case LteUeRrc::CONNECTED_NORMALLY:
        Arrive(device, {cell, rnti}, from == LteUeRrc::CONNECTED_HANDOVER);
        break;
    case LteUeRrc::CONNECTED_HANDOVER:
        HandOver(m_links[device]);
        break;
    case LteUeRrc::IDLE_START:
        m_devices.erase(m_links[device].address);
        break;
    default:
        break;
    }
}

void
LteRadio::Arrive(uint32_t device, Address address, bool isHandover)
{
    auto& link = m_links[device];
    m_devices.erase(link.address);
    m_devices[address] = device;
    link.address = address;
    Forget(link);
    auto now = Simulator::Now().GetNanoSeconds();
    link.lastGrant = now;
    link.lastInRange = isHandover ? now : -1;
}

void
LteRadio::HandOver(Link& link)
{
    auto manager = GetManager(link.ue);
    auto atDevice = GetDataBearer(link.ue->GetRrc());
    auto atBs = manager ? GetDataBearer(manager) : nullptr;
    auto deviceTap = atDevice ? atDevice->m_rlc->GetObject<BearerTap>() : nullptr;
    auto bsTap = atBs ? atBs->m_rlc->GetObject<BearerTap>() : nullptr;
    if (!deviceTap || !bsTap)
    {
        return;
    }
    link.uplink = deviceTap->HandOver();
    for (const auto& sdu : bsTap->HandOver())
    {
        manager->SendData(atBs->m_epsBearerIdentity, sdu); // over X2, since the device is leaving
    }
}

void
LteRadio::HandleBearer(uint32_t device, uint64_t imsi, uint16_t cell, uint16_t rnti, uint8_t channel)
{
    Simulator::ScheduleNow(&LteRadio::Tap, this, device); // when ns-3 has finished with it
}

void
LteRadio::Tap(uint32_t device)
{
    auto& link = m_links[device];
    auto manager = GetManager(link.ue);
    auto atDevice = GetDataBearer(link.ue->GetRrc());
    auto atBs = manager ? GetDataBearer(manager) : nullptr;
    if (!atDevice || !atBs)
    {
        return;
    }
    BearerTap::Install(atBs, atDevice, link.discarded);
    for (const auto& sdu : std::exchange(link.uplink, {}))
    {
        link.ue->GetNas()->Send(sdu, Ipv4L3Protocol::PROT_NUMBER);
    }
}

void
LteRadio::HandleOther(Ptr<LteUeNetDevice> ue, uint64_t imsi, uint16_t cell, uint16_t rnti, uint8_t channel)
{
    Simulator::ScheduleNow(&LteRadio::CorrectReports, this, ue);
}

void
LteRadio::CorrectReports(Ptr<LteUeNetDevice> ue)
{
    auto manager = GetManager(ue);
    auto atUser = GetDataBearer(ue->GetRrc());
    auto atBs = manager ? GetDataBearer(manager) : nullptr;
    if (atUser && atBs)
    {
        BufferReport::Correct(atUser->m_rlc);
        BufferReport::Correct(atBs->m_rlc);
    }
}

void
LteRadio::HandleDownlinkSinr(uint32_t device, uint16_t cell, uint16_t rnti, double rsrp, double sinr, uint8_t carrier)
{
    m_links[device].sample.downlinkSinrDb = ToDb(sinr);
}

void
LteRadio::HandleUplinkSinr(uint16_t primary, uint16_t cell, uint16_t rnti, double sinr, uint8_t carrier)
{
    if (auto link = Find({primary, rnti}); link && carrier == 0)
    {
        link->sample.uplinkSinrDb = ToDb(sinr);
    }
}

void
LteRadio::HandleDownlinkData(uint16_t cell, LteEnbPhy& phy, const DlDciListElement_s& grant)
{
    if (auto link = Find({cell, grant.m_rnti}))
    {
        uint32_t bandwidth = m_enbs[cell]->GetDlBandwidth();
        uint32_t size = phy.GetRbgSize();
        uint32_t blocks = 0;
        for (uint32_t first = 0, bitmap = grant.m_rbBitmap; bitmap != 0 && first < bandwidth;
             first += size, bitmap >>= 1)
        {
            blocks += bitmap & 1 ? std::min(size, bandwidth - first) : 0;
        }
        link->air.downlinkJ += 1e-3 * FromDb(phy.GetTxPower()) * blocks / bandwidth * DOWNLINK_DATA_S;
    }
}

void
LteRadio::HandleUplinkSignal(Ptr<SpectrumSignalParameters> signal)
{
    auto frame = DynamicCast<LteSpectrumSignalParametersDataFrame>(signal);
    auto sender = m_senders.find(PeekPointer(signal->txPhy));
    if (frame && frame->packetBurst && sender != m_senders.end()) // else it is control, or another user's
    {
        m_links[sender->second].air.uplinkJ += Integral(*signal->psd) * signal->duration.GetSeconds();
    }
}

void
LteRadio::HandleDownlinkGrant(uint16_t cell, DlSchedulingCallbackInfo info)
{
    if (auto link = Find({cell, info.rnti}))
    {
        link->sample.downlinkMcs = info.mcsTb1;
        link->lastGrant = Simulator::Now().GetNanoSeconds();
        link->layers = info.sizeTb2 > 0 ? 2 : 1;
    }
}

void
LteRadio::HandleUplinkGrant(uint16_t cell,
                            uint32_t frame,
                            uint32_t subframe,
                            uint16_t rnti,
                            uint8_t mcs,
                            uint16_t size,
                            uint8_t carrier)
{
    if (auto link = Find({cell, rnti}))
    {
        link->sample.uplinkMcs = mcs;
        link->lastGrant = Simulator::Now().GetNanoSeconds();
    }
}

void
LteRadio::DoDispose()
{
    m_links.clear();
    m_others.clear();
    m_senders.clear();
    m_uplinks.clear();
    m_taps.clear();
    m_granters.clear();
    m_gates.clear();
    m_enbs.clear();
    m_amc = nullptr;
    Radio::DoDispose();
}

} // namespace ns3::cosim
