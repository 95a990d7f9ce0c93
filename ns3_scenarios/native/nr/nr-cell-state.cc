// SPDX-License-Identifier: GPL-2.0-only
// What others ask a cell for.
#include "nr-cell.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

constexpr int64_t NR_OUT_OF_SYNC_NS = 200'000'000; // as for LTE, TS 36.133 table 7.6.2.1-1

} // namespace

Ptr<Channel>
NrCell::GetChannel() const
{
    return DynamicCast<Channel>(Ptr<Object>(m_channel));
}

uint32_t
NrCell::CountDevices() const
{
    return m_links.size();
}

const NrFrame&
NrCell::GetFrame() const
{
    return m_frame;
}

uint32_t
NrCell::GetPrbs() const
{
    return m_prbs;
}

const NrQosFlows&
NrCell::GetQosFlows() const
{
    return m_qosFlows;
}

double
NrCell::GetGnbPsdMw() const
{
    return m_gnbPsdMw;
}

const std::vector<NrSent>&
NrCell::GetSent(bool isUplink, int64_t slot) const
{
    static const std::vector<NrSent> NOTHING;
    return slot == m_lastSlot ? m_sent[isUplink] : NOTHING;
}

NrCount
NrCell::GetCount(uint32_t device, bool isUplink) const
{
    return Get(m_links[device], isUplink).count;
}

NrLinkState
NrCell::GetState(uint32_t device, bool isUplink) const
{
    const auto& direction = Get(m_links[device], isUplink);
    const auto& report = direction.adaptation.GetLatest();
    NrLinkState state;
    state.queueBytes = direction.bearers.GetBytes();
    state.mcs = direction.mcs;
    state.prbs = direction.prbs;
    state.bler = direction.adaptation.GetBler();
    if (!report.GetQuality().groupBits.empty())
    {
        state.sinrDb = report.GetQuality().wideDb;
        state.rank = report.rank;
        state.cqi = isUplink ? -1 : report.cqi;
        state.rateBps = GetCapacityBps(device, isUplink);
    }
    return state;
}

double
NrCell::GetCapacityBps(uint32_t device, bool isUplink) const
{
    const auto& link = m_links[device];
    const auto& adaptation = Get(link, isUplink).adaptation;
    const auto& report = adaptation.GetLatest();
    if (report.GetQuality().groupBits.empty() || (!isUplink && report.cqi == NrLinkAdaptation::OUT_OF_RANGE_CQI))
    {
        return 0;
    }
    auto prbs = isUplink ? GetMostUplinkPrbs(link, report, m_uplink.elements) : m_prbs;
    if (prbs == 0)
    {
        return 0;
    }
    auto psdMw = isUplink ? GetUplinkPsdMw(link, prbs) : m_gnbPsdMw;
    double bits = 0;
    for (uint32_t slot = 0; slot < m_frame.GetPeriod(); slot++)
    {
        auto elements = GetElements(isUplink, slot);
        if (auto use = m_use[isUplink][slot]; use > 0 && elements > 0)
        {
            bits += use * adaptation.GetCapacityBits(prbs, psdMw, elements);
        }
    }
    return bits * 1e9 / (m_frame.GetPeriod() * m_frame.GetSlotNs());
}

bool
NrCell::IsInRange(const Link& link) const
{
    return link.down.adaptation.GetLatest().cqi > NrLinkAdaptation::OUT_OF_RANGE_CQI &&
           GetMostUplinkPrbs(link, link.up.adaptation.GetLatest(), m_uplink.elements) > 0;
}

bool
NrCell::IsServed(uint32_t device) const
{
    return m_links[device].isServed;
}

bool
NrCell::IsReleased(uint32_t device) const
{
    return m_connections && m_connections->IsReleased(device);
}

bool
NrCell::IsConnected(uint32_t device) const
{
    if (IsReleased(device))
    {
        return true; // for all that the gNB knows
    }
    auto last = m_links[device].lastInRangeNs;
    return last >= 0 && Simulator::Now().GetNanoSeconds() - last <= NR_OUT_OF_SYNC_NS;
}

bool
NrCell::HasNewsSince(int64_t sinceNs) const
{
    auto isLost = [sinceNs, now = Simulator::Now().GetNanoSeconds()](const Link& link) {
        auto lossNs = link.lastInRangeNs + NR_OUT_OF_SYNC_NS;
        return link.lastInRangeNs >= 0 && lossNs >= sinceNs && lossNs < now;
    };
    return m_lastReportNs >= sinceNs || std::any_of(m_links.begin(), m_links.end(), isLost) ||
           (m_secondary && m_secondary->HasNewsSince(sinceNs));
}

bool
NrCell::IsSettled(uint32_t device) const
{
    return m_links[device].down.bearers.IsSettled() && m_links[device].up.bearers.IsSettled();
}

int64_t
NrCell::GetLastActiveNs(uint32_t device) const
{
    auto lastNs = m_links[device].lastActiveNs;
    return m_secondary ? std::max(lastNs, m_secondary->GetLastActiveNs(device)) : lastNs;
}

int64_t
NrCell::GetLongestDeliveryNs() const
{
    auto round = m_timing.GetLongestRoundNs() + (m_drx.isOn ? MilliSeconds(m_drx.cycleMs).GetNanoSeconds() : 0);
    auto longestNs = m_mostTransmissions * round + (m_isAcknowledged ? 0 : m_reordering.GetNanoSeconds());
    return m_secondary ? std::max(longestNs, m_secondary->GetLongestDeliveryNs()) : longestNs;
}

} // namespace ns3::cosim
