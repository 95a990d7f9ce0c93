// SPDX-License-Identifier: GPL-2.0-only
#include "wifi-radio.h"

#include "transfer-tag.h"
#include "wifi-capacity.h"

#include "ns3/arp-cache.h"
#include "ns3/block-ack-manager.h"
#include "ns3/ipv4-interface.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node.h"
#include "ns3/qos-txop.h"
#include "ns3/qos-utils.h"
#include "ns3/simulator.h"
#include "ns3/sta-wifi-mac.h"
#include "ns3/wifi-mac-queue.h"
#include "ns3/wifi-mac.h"
#include "ns3/wifi-mpdu.h"
#include "ns3/wifi-net-device.h"
#include "ns3/wifi-phy-state-helper.h"
#include "ns3/wifi-phy.h"
#include "ns3/wifi-ppdu.h"
#include "ns3/wifi-psdu.h"
#include "ns3/wifi-remote-station-manager.h"
#include "ns3/wifi-tx-vector.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(WifiRadio);

namespace
{

constexpr uint8_t BEST_EFFORT_TID = 0;
constexpr int64_t LONGEST_PPDU_NS = 5'484'000; // aPPDUMaxTime of IEEE 802.11ax's PHY
constexpr uint8_t ONLY_LINK = 0;
// Takes some 0.13 s. Contention alone does not get there: with collisions in four of five attempts it would once in
// 5e9 times, 0.8 to the power of 100.
constexpr uint32_t MOST_UNANSWERED = 100;

WifiContainerQueueId
GetQueueId(Mac48Address receiver)
{
    return {WIFI_QOSDATA_QUEUE, WIFI_UNICAST, receiver, BEST_EFFORT_TID};
}

bool
IsStale(Ptr<const WifiMpdu> mpdu, uint32_t exchange)
{
    TransferTag tag;
    return mpdu->GetPacket()->FindFirstMatchingByteTag(tag) && tag.exchange <= exchange;
}

/// Drop what waits for a receiver and `isStale`, but for what is on the air and answered in a moment.
template <class IsStale>
void
DiscardWaiting(Ptr<WifiMac> mac, Mac48Address receiver, IsStale isStale)
{
    auto txop = mac->GetQosTxop(AC_BE);
    auto queue = txop->GetWifiMacQueue();
    auto id = GetQueueId(receiver);
    auto mpdu = queue->PeekByQueueId(id);
    while (mpdu)
    {
        auto next = queue->PeekByQueueId(id, mpdu);
        if (!mpdu->IsInFlight() && isStale(mpdu))
        {
            queue->Remove(mpdu);
            if (mpdu->HasSeqNoAssigned())
            {
                txop->GetBaManager()->NotifyDiscardedMpdu(mpdu); // the receiver need not wait for it
            }
        }
        mpdu = next;
    }
}

Ptr<Ipv4Interface>
GetInterface(Ptr<NetDevice> device)
{
    auto ip = device->GetNode()->GetObject<Ipv4L3Protocol>();
    return ip->GetInterface(ip->GetInterfaceForDevice(device));
}

/// Let one device know the other's address for good.
void
Resolve(Ptr<NetDevice> device, Ptr<NetDevice> other)
{
    auto cache = GetInterface(device)->GetArpCache();
    auto address = GetInterface(other)->GetAddress(0).GetLocal();
    auto entry = cache->Lookup(address);
    entry = entry ? entry : cache->Add(address);
    entry->SetMacAddress(other->GetAddress());
    entry->MarkPermanent();
}

/// What a received data frame tells of the way that it came; true if there was one and some of it was right.
bool
Measure(Ptr<const WifiPpdu> ppdu,
        const RxSignalInfo& signal,
        const WifiTxVector& vector,
        const std::vector<bool>& outcomes,
        LinkSample& found)
{
    auto psdu = ppdu->GetPsdu();
    bool received = std::find(outcomes.begin(), outcomes.end(), true) != outcomes.end();
    if (!received || !psdu || !psdu->GetHeader(0).IsQosData() || vector.GetPreambleType() < WIFI_PREAMBLE_HT_MF)
    {
        return false;
    }
    found.downlinkSinrDb = 10 * std::log10(signal.snr);
    found.downlinkMcs = vector.GetMode().GetMcsValue();
    found.downlinkRateBps = static_cast<double>(vector.GetMode().GetDataRate(vector));
    return true;
}

} // namespace

WifiRadio::WifiRadio() = default;
WifiRadio::~WifiRadio() = default;

TypeId
WifiRadio::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::WifiRadio").SetParent<Radio>().SetGroupName("Cosim").AddConstructor<WifiRadio>();
    return tid;
}

void
WifiRadio::SetAccessPoint(Ptr<NetDevice> accessPoint)
{
    m_accessPoint = DynamicCast<WifiNetDevice>(accessPoint);
    NS_ABORT_MSG_UNLESS(m_accessPoint, "WifiRadio needs a WifiNetDevice");
    auto loss = WifiCapacity::FindLoss(m_accessPoint->GetPhy()->GetChannel());
    m_capacity = loss ? std::make_unique<WifiCapacity>(loss) : nullptr;
    Follow(m_accessPoint);
    m_accessPoint->GetPhy()->GetState()->TraceConnectWithoutContext("RxOutcome",
                                                                    MakeCallback(&WifiRadio::HandleUplink, this));
    m_accessPoint->GetMac()->TraceConnectWithoutContext("AckedMpdu", MakeCallback(&WifiRadio::HandleAnswer, this));
    m_accessPoint->GetRemoteStationManager()->TraceConnectWithoutContext(
        "MacTxDataFailed",
        MakeCallback(&WifiRadio::HandleNoAnswer, this));
}

void
WifiRadio::AddStation(Ptr<NetDevice> station)
{
    auto device = static_cast<uint32_t>(m_links.size());
    auto wifi = DynamicCast<WifiNetDevice>(station);
    auto mac = wifi ? DynamicCast<StaWifiMac>(wifi->GetMac()) : nullptr;
    NS_ABORT_MSG_UNLESS(mac && m_accessPoint, "WifiRadio needs SetAccessPoint first, then stations");
    m_links.push_back({wifi, mac, {}});
    m_byAddress[mac->GetAddress()] = device;
    Follow(wifi);
    Introduce(station);
    wifi->GetPhy()->GetState()->TraceConnectWithoutContext("RxOutcome",
                                                           MakeCallback(&WifiRadio::HandleDownlink, this, device));
}

void
WifiRadio::Follow(Ptr<WifiNetDevice> device)
{
    if (m_capacity && !m_capacity->Add(device))
    {
        m_capacity = nullptr;
    }
}

void
WifiRadio::AddOther(Ptr<NetDevice> station)
{
    m_others.push_back(DynamicCast<WifiNetDevice>(station));
    NS_ABORT_MSG_UNLESS(m_others.back(), "WifiRadio's others are WifiNetDevices");
    Introduce(station);
}

void
WifiRadio::Introduce(Ptr<NetDevice> station)
{
    station->AddLinkChangeCallback(MakeCallback(&WifiRadio::HandleLinkChange, this, PeekPointer(station)));
}

bool
WifiRadio::IsConnected(uint32_t device) const
{
    return m_links[device].mac->IsAssociated();
}

uint32_t
WifiRadio::GetWaitingBytes(Ptr<WifiMac> mac, Mac48Address receiver) const
{
    return mac->GetQosTxop(AC_BE)->GetWifiMacQueue()->GetNBytes(GetQueueId(receiver));
}

LinkSample
WifiRadio::GetLink(uint32_t device) const
{
    const auto& link = m_links[device];
    auto sample = link.sample;
    sample.rlcQueueBytes = GetWaitingBytes(m_accessPoint->GetMac(), link.mac->GetAddress());
    return sample;
}

bool
WifiRadio::IsChanging() const
{
    return true;
}

std::vector<Capacity>
WifiRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    if (!m_capacity)
    {
        return {};
    }
    auto station = m_links[device].station;
    std::vector<Capacity> both{m_capacity->Get(m_accessPoint, station), m_capacity->Get(station, m_accessPoint)};
    auto accessPoint = m_accessPoint->GetMac();
    for (const auto& other : m_others)
    {
        auto mac = other->GetMac();
        both[0].others += GetWaitingBytes(accessPoint, mac->GetAddress()) > 0 ? 1 : 0;
        both[1].others += GetWaitingBytes(mac, accessPoint->GetAddress()) > 0 ? 1 : 0;
    }
    return both;
}

bool
WifiRadio::IsQuiet(uint32_t device, int64_t sentNs) const
{
    const auto& link = m_links[device];
    return GetWaitingBytes(m_accessPoint->GetMac(), link.mac->GetAddress()) == 0 &&
           GetWaitingBytes(link.mac, m_accessPoint->GetMac()->GetAddress()) == 0 &&
           Simulator::Now().GetNanoSeconds() - sentNs > LONGEST_PPDU_NS;
}

void
WifiRadio::Discard(uint32_t device, uint32_t exchange)
{
    const auto& link = m_links[device];
    auto accessPoint = m_accessPoint->GetMac();
    auto isStale = [=](Ptr<const WifiMpdu> mpdu) { return IsStale(mpdu, exchange); };
    DiscardWaiting(accessPoint, link.mac->GetAddress(), isStale);
    DiscardWaiting(link.mac, accessPoint->GetAddress(), isStale);
}

void
WifiRadio::HandleLinkChange(NetDevice* station)
{
    Resolve(station, m_accessPoint);
    Resolve(m_accessPoint, station);
}

WifiRadio::Link*
WifiRadio::Find(Mac48Address station)
{
    auto found = m_byAddress.find(station);
    return found == m_byAddress.end() ? nullptr : &m_links[found->second];
}

void
WifiRadio::HandleAnswer(Ptr<const WifiMpdu> mpdu)
{
    if (auto link = Find(mpdu->GetHeader().GetAddr1()))
    {
        link->unanswered = 0;
    }
}

void
WifiRadio::HandleNoAnswer(Mac48Address receiver)
{
    auto link = Find(receiver);
    auto now = Simulator::Now().GetNanoSeconds();
    if (!link || link->lastUnanswered == now)
    {
        return; // one of many MPDUs in one PPDU
    }
    link->lastUnanswered = now;
    if (++link->unanswered == MOST_UNANSWERED)
    {
        Simulator::ScheduleNow(&WifiRadio::GiveUp, this, m_byAddress[receiver]);
    }
}

void
WifiRadio::GiveUp(uint32_t device)
{
    auto& link = m_links[device];
    link.unanswered = 0;
    auto accessPoint = m_accessPoint->GetMac();
    auto station = link.mac->GetAddress();
    accessPoint->GetQosTxop(AC_BE)->GetBaManager()->NotifyMissedBlockAck(ONLY_LINK, station, BEST_EFFORT_TID);
    DiscardWaiting(accessPoint, station, [](Ptr<const WifiMpdu>) { return true; });
}

void
WifiRadio::HandleDownlink(uint32_t device,
                          Ptr<const WifiPpdu> ppdu,
                          RxSignalInfo signal,
                          const WifiTxVector& vector,
                          const std::vector<bool>& outcomes)
{
    auto& link = m_links[device];
    LinkSample found;
    auto psdu = ppdu->GetPsdu();
    if (psdu && psdu->GetAddr1() == link.mac->GetAddress() && Measure(ppdu, signal, vector, outcomes, found))
    {
        link.sample.downlinkSinrDb = found.downlinkSinrDb;
        link.sample.downlinkMcs = found.downlinkMcs;
        link.sample.downlinkRateBps = found.downlinkRateBps;
    }
}

void
WifiRadio::HandleUplink(Ptr<const WifiPpdu> ppdu,
                        RxSignalInfo signal,
                        const WifiTxVector& vector,
                        const std::vector<bool>& outcomes)
{
    LinkSample found;
    if (!Measure(ppdu, signal, vector, outcomes, found))
    {
        return;
    }
    if (auto link = Find(ppdu->GetPsdu()->GetAddr2()))
    {
        link->sample.uplinkSinrDb = found.downlinkSinrDb;
        link->sample.uplinkMcs = found.downlinkMcs;
        link->sample.uplinkRateBps = found.downlinkRateBps;
    }
}

void
WifiRadio::DoDispose()
{
    m_links.clear();
    m_byAddress.clear();
    m_others.clear();
    m_capacity = nullptr;
    m_accessPoint = nullptr;
    Radio::DoDispose();
}

} // namespace ns3::cosim
