// SPDX-License-Identifier: GPL-2.0-only
#include "recorded-radio.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(RecordedRadio);

namespace
{

constexpr int64_t RATE_WINDOW_NS = 100'000'000; // ours: some packets even of slow links
constexpr int64_t SILENCE_NS = 1'000'000'000;   // ours

} // namespace

TypeId
RecordedRadio::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::RecordedRadio").SetParent<Radio>().SetGroupName("Cosim").AddConstructor<RecordedRadio>();
    return tid;
}

void
RecordedRadio::AddLink(Ptr<NetDevice> atServer, Ptr<NetDevice> atDevice)
{
    m_links.push_back({DynamicCast<RecordedNetDevice>(atServer), DynamicCast<RecordedNetDevice>(atDevice)});
    NS_ABORT_MSG_UNLESS(m_links.back().atServer && m_links.back().atDevice, "RecordedRadio needs RecordedNetDevices");
}

bool
RecordedRadio::IsConnected(uint32_t device) const
{
    const auto& link = m_links[device];
    return link.atServer->GetRateBps(SILENCE_NS) > 0 && link.atDevice->GetRateBps(SILENCE_NS) > 0;
}

LinkSample
RecordedRadio::GetLink(uint32_t device) const
{
    const auto& link = m_links[device];
    LinkSample sample;
    sample.downlinkRateBps = link.atServer->GetRateBps(RATE_WINDOW_NS);
    sample.uplinkRateBps = link.atDevice->GetRateBps(RATE_WINDOW_NS);
    sample.rlcQueueBytes = link.atServer->GetWaitingBytes();
    sample.bsrBytes = link.atDevice->GetWaitingBytes();
    return sample;
}

bool
RecordedRadio::IsChanging() const
{
    return true;
}

std::vector<Capacity>
RecordedRadio::GetCapacity(uint32_t device, int64_t forNs) const
{
    const auto& link = m_links[device];
    std::vector<Capacity> both;
    for (const auto& end : {link.atServer, link.atDevice})
    {
        auto [pool, others] = end->GetSharing();
        auto own = 2 * device + static_cast<uint32_t>(both.size());
        auto number = pool < 0 ? own : 2 * m_links.size() + pool;
        both.push_back({static_cast<uint32_t>(number), static_cast<uint32_t>(others), end->GetComingRateBps(forNs)});
    }
    return both;
}

void
RecordedRadio::Discard(uint32_t device, uint32_t exchange)
{
    m_links[device].atServer->Discard(exchange);
    m_links[device].atDevice->Discard(exchange);
}

void
RecordedRadio::DoDispose()
{
    m_links.clear();
    Radio::DoDispose();
}

} // namespace ns3::cosim
