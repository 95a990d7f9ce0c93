// SPDX-License-Identifier: GPL-2.0-only
#include "share-scheduler.h"

#include "expose.h"

#include "ns3/lte-amc.h"
#include "ns3/lte-common.h"
#include "ns3/pf-ff-mac-scheduler.h"
#include "ns3/rr-ff-mac-scheduler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace ns3::cosim
{

namespace
{

constexpr double UPLINK_BER = 0.00005;
constexpr int HIGHEST_CQI = 15;
constexpr int LOWEST_CQI = 1;         // which ns-3 takes for a device that has not reported
constexpr uint32_t LEAST_BYTES = 16;  // that a MAC and RLC AM can do something with
constexpr uint32_t WORTH_BYTES = 128; // of which RLC's header is a few per cent
constexpr uint32_t HEADER_BYTES = 8;
constexpr int64_t GRANT_SUBFRAMES = 8; // until what a grant up is for has come

// Both schedulers have the same books, each a class of its own.
#define COSIM_BOOK(NAME, MEMBER)                                                                                       \
    COSIM_EXPOSE(Pf##NAME, &PfFfMacScheduler::MEMBER)                                                                  \
    COSIM_EXPOSE(Rr##NAME, &RrFfMacScheduler::MEMBER)                                                                  \
    auto& NAME(PfFfMacScheduler& scheduler)                                                                            \
    {                                                                                                                  \
        return scheduler.*Get(Pf##NAME{});                                                                             \
    }                                                                                                                  \
    auto& NAME(RrFfMacScheduler& scheduler)                                                                            \
    {                                                                                                                  \
        return scheduler.*Get(Rr##NAME{});                                                                             \
    }

#define COSIM_BOOKING(NAME, MEMBER)                                                                                    \
    COSIM_EXPOSE(Pf##NAME, &PfFfMacScheduler::MEMBER)                                                                  \
    COSIM_EXPOSE(Rr##NAME, &RrFfMacScheduler::MEMBER)                                                                  \
    template <class... Arguments>                                                                                      \
    auto NAME(PfFfMacScheduler& scheduler, Arguments... arguments)                                                     \
    {                                                                                                                  \
        return (scheduler.*Get(Pf##NAME{}))(arguments...);                                                             \
    }                                                                                                                  \
    template <class... Arguments>                                                                                      \
    auto NAME(RrFfMacScheduler& scheduler, Arguments... arguments)                                                     \
    {                                                                                                                  \
        return (scheduler.*Get(Rr##NAME{}))(arguments...);                                                             \
    }

COSIM_BOOK(CellConfig, m_cschedCellConfig)
COSIM_BOOK(Queues, m_rlcBufferReq)
COSIM_BOOK(Modes, m_uesTxMode)
COSIM_BOOK(DownlinkDcis, m_dlHarqProcessesDciBuffer)
COSIM_BOOK(DownlinkTimers, m_dlHarqProcessesTimer)
COSIM_BOOK(DownlinkPdus, m_dlHarqProcessesRlcPduListBuffer)
COSIM_BOOK(Reported, m_ceBsrRxed)
COSIM_BOOK(Sinrs, m_ueCqi)
COSIM_BOOK(RandomAccess, m_rachAllocationMap)
COSIM_BOOK(UplinkProcess, m_ulHarqCurrentProcessId)
COSIM_BOOK(UplinkDcis, m_ulHarqProcessesDciBuffer)
COSIM_BOOK(UplinkStates, m_ulHarqProcessesStatus)
COSIM_BOOKING(GroupSize, GetRbgSize)
COSIM_BOOKING(HasDownlinkProcess, HarqProcessAvailability)
COSIM_BOOKING(TakeDownlinkProcess, UpdateHarqProcessId)
COSIM_BOOKING(BookDownlink, UpdateDlRlcBufferInfo)
COSIM_BOOKING(BookUplink, UpdateUlRlcBufferInfo)
COSIM_EXPOSE(SubbandCqi, &PfFfMacScheduler::m_a30CqiRxed)
COSIM_EXPOSE(WidebandCqi, &RrFfMacScheduler::m_p10CqiRxed)

/// The CQI of a layer on a resource block group, each scheduler by the reports that it heeds.
int
GetCqi(PfFfMacScheduler& scheduler, uint16_t rnti, uint32_t group, uint32_t layer)
{
    const auto& reports = scheduler.*Get(SubbandCqi{});
    auto found = reports.find(rnti);
    if (found == reports.end() || group >= found->second.m_higherLayerSelected.size())
    {
        return LOWEST_CQI;
    }
    const auto& cqi = found->second.m_higherLayerSelected[group].m_sbCqi;
    return layer < cqi.size() ? cqi[layer] : LOWEST_CQI;
}

int
GetCqi(RrFfMacScheduler& scheduler, uint16_t rnti, uint32_t, uint32_t)
{
    const auto& reports = scheduler.*Get(WidebandCqi{});
    auto found = reports.find(rnti);
    return found == reports.end() ? LOWEST_CQI : found->second;
}

/// A logical channel's queues at the BS.
using Queue = FfMacSchedSapProvider::SchedDlRlcBufferReqParameters;

Queue&
GetQueue(std::pair<const LteFlowId_t, Queue>& flow)
{
    return flow.second;
}

Queue&
GetQueue(Queue& queue)
{
    return queue;
}

uint32_t
GetBytes(const Queue& queue)
{
    return queue.m_rlcTransmissionQueueSize + queue.m_rlcRetransmissionQueueSize + queue.m_rlcStatusPduSize;
}

/// Of one direction: the resource blocks that each device may still have.
class Credits
{
  public:
    void Clear()
    {
        m_blocks.clear();
    }

    double Get(uint16_t rnti)
    {
        return m_blocks[rnti];
    }

    /// Its share of a subframe; no more than a subframe is saved up.
    void Earn(uint16_t rnti, double share, int bandwidth)
    {
        m_blocks[rnti] = std::min<double>(m_blocks[rnti] + share * bandwidth, bandwidth);
    }

    void Spend(uint16_t rnti, int blocks)
    {
        m_blocks[rnti] -= blocks;
    }

    /// What is not used is lost.
    void Forfeit(uint16_t rnti)
    {
        m_blocks[rnti] = std::min(m_blocks[rnti], 0.0);
    }

    /// Who has most comes first.
    void Sort(std::vector<uint16_t>& rntis)
    {
        std::stable_sort(rntis.begin(), rntis.end(), [this](uint16_t one, uint16_t other) {
            return m_blocks[one] > m_blocks[other];
        });
    }

  private:
    std::map<uint16_t, double> m_blocks; // by RNTI
};

template <class Scheduler>
class ShareSchedulerOf : public ShareScheduler
{
  public:
    ShareSchedulerOf(Ptr<Scheduler> scheduler,
                     FfMacSchedSapUser* mac,
                     ShareOf shareOf,
                     DueOf dueOf,
                     IsEndless isEndless)
        : m_scheduler(scheduler),
          m_mac(mac),
          m_shareOf(std::move(shareOf)),
          m_dueOf(std::move(dueOf)),
          m_isEndless(std::move(isEndless)),
          m_amc(CreateObject<LteAmc>())
    {
    }

    void Begin() override
    {
        m_downlinkCredits.Clear();
        m_uplinkCredits.Clear();
        m_scheduler->SetFfMacSchedSapUser(this);
    }

    void End() override
    {
        m_scheduler->SetFfMacSchedSapUser(m_mac);
    }

    void SchedDlTriggerReq(const FfMacSchedSapProvider::SchedDlTriggerReqParameters& params) override
    {
        m_downlink = {};
        std::remove_reference_t<decltype(Queues(*m_scheduler))> hidden;
        std::swap(hidden, Queues(*m_scheduler));
        m_scheduler->GetFfMacSchedSapProvider()->SchedDlTriggerReq(params);
        std::swap(hidden, Queues(*m_scheduler));
        GrantDownlink();
        m_downlink.m_nrOfPdcchOfdmSymbols = 1;
        m_mac->SchedDlConfigInd(m_downlink);
    }

    void SchedUlTriggerReq(const FfMacSchedSapProvider::SchedUlTriggerReqParameters& params) override
    {
        m_uplink = {};
        m_subframe++;
        auto randomAccess = RandomAccess(*m_scheduler);
        std::remove_reference_t<decltype(Reported(*m_scheduler))> hidden;
        std::swap(hidden, Reported(*m_scheduler));
        m_scheduler->GetFfMacSchedSapProvider()->SchedUlTriggerReq(params);
        std::swap(hidden, Reported(*m_scheduler));
        GrantUplink(randomAccess);
        m_mac->SchedUlConfigInd(m_uplink);
    }

    void SchedDlConfigInd(const SchedDlConfigIndParameters& params) override
    {
        m_downlink = params;
    }

    void SchedUlConfigInd(const SchedUlConfigIndParameters& params) override
    {
        m_uplink = params;
    }

  private:
    void GrantDownlink()
    {
        auto& books = *m_scheduler;
        int bandwidth = CellConfig(books).m_dlBandwidth;
        int size = GroupSize(books, bandwidth);
        std::vector<bool> isFree(bandwidth / size, true);
        std::set<uint16_t> repeating;
        for (const auto& retransmission : m_downlink.m_buildDataList)
        {
            auto groups = retransmission.m_dci.m_rbBitmap;
            repeating.insert(retransmission.m_rnti);
            m_downlinkCredits.Spend(retransmission.m_rnti, size * std::popcount(groups));
            for (uint32_t group = 0; group < isFree.size(); group++)
            {
                isFree[group] = isFree[group] && !(groups >> group & 1);
            }
        }
        std::map<uint16_t, std::vector<Queue*>> waiting;
        for (auto& flow : Queues(books))
        {
            if (auto& queue = GetQueue(flow); GetBytes(queue) > 0 && IsThere(queue.m_rnti))
            {
                waiting[queue.m_rnti].push_back(&queue);
            }
        }
        auto rntis = Earn(m_downlinkCredits, waiting, repeating, bandwidth);
        for (auto rnti : rntis)
        {
            if (HasDownlinkProcess(books, rnti))
            {
                GrantDownlink(rnti, waiting[rnti], isFree, size);
            }
        }
    }

    void GrantDownlink(uint16_t rnti, const std::vector<Queue*>& queues, std::vector<bool>& isFree, int size)
    {
        auto& books = *m_scheduler;
        bool isStatus = false;
        uint32_t waiting = 0;
        for (auto queue : queues)
        {
            isStatus = isStatus || queue->m_rlcStatusPduSize > 0; // of which RLC makes a block of its own
            waiting += GetBytes(*queue);
        }
        auto undivided = isStatus ? 0 : m_dueOf(rnti, false).undividedBytes;
        auto least = isStatus ? LEAST_BYTES : GetLeast(waiting, undivided);
        auto credit = isStatus ? 0 : m_downlinkCredits.Get(rnti);
        if (!isStatus && credit <= 0)
        {
            return;
        }
        std::vector<int> worst(TransmissionModesLayers::TxMode2LayerNum(Modes(books).at(rnti)), HIGHEST_CQI);
        std::vector<int> bytes(worst.size(), 0);
        uint32_t groups = 0;
        int count = 0;
        for (uint32_t group = 0; group < isFree.size() && (credit > 0 || bytes[0] < static_cast<int>(least)); group++)
        {
            if (!isFree[group] || GetCqi(books, rnti, group, 0) == 0) // out of range
            {
                continue;
            }
            groups |= 1U << group;
            count++;
            credit -= size;
            for (uint32_t layer = 0; layer < worst.size(); layer++)
            {
                worst[layer] = std::min(worst[layer], GetCqi(books, rnti, group, layer));
                bytes[layer] = m_amc->GetDlTbSizeFromMcs(m_amc->GetMcsFromCqi(worst[layer]), count * size) / 8;
            }
        }
        if (count == 0 || bytes[0] < static_cast<int>(undivided))
        {
            return;
        }
        for (uint32_t group = 0; group < isFree.size(); group++)
        {
            isFree[group] = isFree[group] && !(groups >> group & 1);
        }
        m_downlinkCredits.Spend(rnti, count * size);
        AddDownlinkGrant(rnti, queues, groups, worst, bytes);
        if (std::all_of(queues.begin(), queues.end(), [](const Queue* queue) { return GetBytes(*queue) == 0; }))
        {
            m_downlinkCredits.Forfeit(rnti);
        }
    }

    void AddDownlinkGrant(uint16_t rnti,
                          const std::vector<Queue*>& queues,
                          uint32_t groups,
                          const std::vector<int>& cqi,
                          const std::vector<int>& bytes)
    {
        auto& books = *m_scheduler;
        DlDciListElement_s dci;
        dci.m_rnti = rnti;
        dci.m_harqProcess = TakeDownlinkProcess(books, rnti);
        dci.m_resAlloc = 0;
        dci.m_rbBitmap = groups;
        dci.m_tpc = 1; // no change
        auto& pdus = DownlinkPdus(books).at(rnti);
        for (uint32_t layer = 0; layer < bytes.size(); layer++)
        {
            dci.m_mcs.push_back(m_amc->GetMcsFromCqi(cqi[layer]));
            dci.m_tbsSize.push_back(bytes[layer]);
            dci.m_ndi.push_back(1);
            dci.m_rv.push_back(0);
            pdus.at(layer).at(dci.m_harqProcess).clear();
        }
        BuildDataListElement_s grant;
        grant.m_rnti = rnti;
        grant.m_dci = dci;
        for (auto queue : queues)
        {
            auto& layers = grant.m_rlcPduList.emplace_back();
            for (uint32_t layer = 0; layer < bytes.size(); layer++)
            {
                RlcPduListElement_s pdu;
                pdu.m_logicalChannelIdentity = queue->m_logicalChannelIdentity;
                pdu.m_size = bytes[layer] / queues.size();
                layers.push_back(pdu);
                pdus.at(layer).at(dci.m_harqProcess).push_back(pdu);
                BookDownlink(books, rnti, pdu.m_logicalChannelIdentity, pdu.m_size);
            }
        }
        DownlinkDcis(books).at(rnti).at(dci.m_harqProcess) = dci;
        DownlinkTimers(books).at(rnti).at(dci.m_harqProcess) = 0;
        m_downlink.m_buildDataList.push_back(grant);
    }

    void GrantUplink(const std::vector<uint16_t>& randomAccess)
    {
        auto& books = *m_scheduler;
        int bandwidth = CellConfig(books).m_ulBandwidth;
        std::vector<bool> isFree(bandwidth, true);
        for (int block = 0; block < bandwidth; block++)
        {
            isFree[block] = randomAccess.at(block) == 0;
        }
        std::set<uint16_t> repeating;
        for (const auto& dci : m_uplink.m_dciList)
        {
            repeating.insert(dci.m_rnti);
            m_uplinkCredits.Spend(dci.m_rnti, dci.m_rbLen);
            std::fill_n(isFree.begin() + dci.m_rbStart, dci.m_rbLen, false);
        }
        std::map<uint16_t, uint32_t> waiting;
        for (auto [rnti, bytes] : Reported(books))
        {
            if ((bytes > 0 || m_isEndless(rnti)) && IsThere(rnti))
            {
                waiting[rnti] = bytes > 0 ? bytes : WORTH_BYTES;
            }
        }
        for (auto rnti : Earn(m_uplinkCredits, waiting, repeating, bandwidth))
        {
            GrantUplink(rnti, waiting[rnti], isFree);
        }
    }

    void GrantUplink(uint16_t rnti, uint32_t waiting, std::vector<bool>& isFree)
    {
        auto due = m_dueOf(rnti, true);
        auto credit = m_uplinkCredits.Get(rnti);
        bool isStatusAlone = due.isStatus && (credit <= 0 || waiting <= LEAST_BYTES || due.undividedBytes > 0);
        auto& asked = m_statusGrant[rnti];
        if (isStatusAlone ? m_subframe - asked < GRANT_SUBFRAMES : credit <= 0)
        {
            return;
        }
        auto undivided = isStatusAlone ? 0 : due.undividedBytes;
        auto least = isStatusAlone ? LEAST_BYTES : GetLeast(waiting, undivided);
        auto wanted = isStatusAlone ? 1 : static_cast<int>(std::ceil(credit));
        auto [begin, room] = FindRoom(isFree, undivided > 0 ? static_cast<int>(isFree.size()) : wanted);
        auto count = std::min(wanted, room);
        auto mcs = GetUplinkMcs(rnti, begin, count);
        while (count < room && mcs >= 0 && GetUplinkBytes(mcs, count) < least)
        {
            count++;
            mcs = GetUplinkMcs(rnti, begin, count);
        }
        if (count == 0 || mcs < 0 || GetUplinkBytes(mcs, count) < std::max(undivided, LEAST_BYTES))
        {
            return;
        }
        std::fill_n(isFree.begin() + begin, count, false);
        m_uplinkCredits.Spend(rnti, count);
        asked = isStatusAlone ? m_subframe : asked;
        AddUplinkGrant(rnti, begin, count, mcs);
        if (Reported(*m_scheduler).at(rnti) == 0)
        {
            m_uplinkCredits.Forfeit(rnti);
        }
    }

    void AddUplinkGrant(uint16_t rnti, int begin, int count, int mcs)
    {
        auto& books = *m_scheduler;
        UlDciListElement_s dci;
        dci.m_rnti = rnti;
        dci.m_rbStart = begin;
        dci.m_rbLen = count;
        dci.m_mcs = mcs;
        dci.m_tbSize = GetUplinkBytes(mcs, count);
        dci.m_ndi = 1;
        dci.m_cceIndex = 0;
        dci.m_aggrLevel = 1;
        dci.m_ueTxAntennaSelection = 3; // off
        dci.m_hopping = false;
        dci.m_n2Dmrs = 0;
        dci.m_tpc = 0;
        dci.m_cqiRequest = false;
        dci.m_ulIndex = 0;
        dci.m_dai = 1;
        dci.m_freqHopping = 0;
        dci.m_pdcchPowerOffset = 0;
        BookUplink(books, rnti, dci.m_tbSize);
        auto process = UplinkProcess(books).at(rnti);
        UplinkDcis(books).at(rnti).at(process) = dci;
        UplinkStates(books).at(rnti).at(process) = 0;
        m_uplink.m_dciList.push_back(dci);
    }

    /// Whether the device has not left the cell; a last report of one that has may come behind.
    bool IsThere(uint16_t rnti) const
    {
        return Modes(*m_scheduler).contains(rnti);
    }

    /// Who sends earns. Returns those that a new grant can be for, who has most credit first.
    template <class Waiting>
    std::vector<uint16_t> Earn(Credits& credits,
                               const std::map<uint16_t, Waiting>& waiting,
                               const std::set<uint16_t>& repeating,
                               int bandwidth) const
    {
        std::vector<uint16_t> rntis;
        for (auto rnti : repeating)
        {
            credits.Earn(rnti, m_shareOf(rnti), bandwidth);
        }
        for (const auto& [rnti, what] : waiting)
        {
            if (!repeating.contains(rnti))
            {
                credits.Earn(rnti, m_shareOf(rnti), bandwidth);
                rntis.push_back(rnti);
            }
        }
        credits.Sort(rntis);
        return rntis;
    }

    /// Bytes that a grant should have, for what waits.
    static uint32_t GetLeast(uint32_t waiting, uint32_t undivided)
    {
        return std::max({undivided, LEAST_BYTES, std::min(WORTH_BYTES, waiting + HEADER_BYTES)});
    }

    /// Begin and length of the first gap of so many blocks, or of the longest there is.
    static std::pair<int, int> FindRoom(const std::vector<bool>& isFree, int wanted)
    {
        std::pair<int, int> room{0, 0};
        auto begin = std::find(isFree.begin(), isFree.end(), true);
        while (begin != isFree.end() && room.second < wanted)
        {
            auto end = std::find(begin, isFree.end(), false);
            if (end - begin > room.second)
            {
                room = {begin - isFree.begin(), end - begin};
            }
            begin = std::find(end, isFree.end(), true);
        }
        return room;
    }

    /// By the worst of the blocks; -1 if that is out of range, and 0 where nothing is known.
    int GetUplinkMcs(uint16_t rnti, int begin, int count) const
    {
        const auto& sinrs = Sinrs(*m_scheduler);
        auto found = sinrs.find(rnti);
        if (found == sinrs.end() || count == 0)
        {
            return 0;
        }
        auto first = found->second.begin() + begin;
        auto cqi = GetUplinkCqi(m_amc, *std::min_element(first, first + count));
        return cqi > 0 ? m_amc->GetMcsFromCqi(cqi) : -1;
    }

    uint32_t GetUplinkBytes(int mcs, int blocks) const
    {
        return blocks > 0 ? m_amc->GetUlTbSizeFromMcs(mcs, blocks) / 8 : 0;
    }

    Ptr<Scheduler> m_scheduler;
    FfMacSchedSapUser* m_mac;
    ShareOf m_shareOf;
    DueOf m_dueOf;
    IsEndless m_isEndless;
    Ptr<LteAmc> m_amc;
    Credits m_downlinkCredits;
    Credits m_uplinkCredits;
    int64_t m_subframe{GRANT_SUBFRAMES};       // its number
    std::map<uint16_t, int64_t> m_statusGrant; // the subframe of the last grant for a STATUS PDU alone, by RNTI
    SchedDlConfigIndParameters m_downlink{};   // of this subframe
    SchedUlConfigIndParameters m_uplink{};
};

} // namespace

int
GetUplinkCqi(Ptr<LteAmc> amc, double sinrDb)
{
    auto gap = -std::log(5 * UPLINK_BER) / 1.5;
    return amc->GetCqiFromSpectralEfficiency(std::log2(1 + std::pow(10, sinrDb / 10) / gap));
}

std::unique_ptr<ShareScheduler>
ShareScheduler::Create(Ptr<FfMacScheduler> scheduler,
                       FfMacSchedSapUser* mac,
                       const ShareOf& shareOf,
                       const DueOf& dueOf,
                       const IsEndless& isEndless)
{
    if (auto fair = DynamicCast<PfFfMacScheduler>(scheduler))
    {
        return std::make_unique<ShareSchedulerOf<PfFfMacScheduler>>(fair, mac, shareOf, dueOf, isEndless);
    }
    if (auto inTurn = DynamicCast<RrFfMacScheduler>(scheduler))
    {
        return std::make_unique<ShareSchedulerOf<RrFfMacScheduler>>(inTurn, mac, shareOf, dueOf, isEndless);
    }
    return nullptr;
}

} // namespace ns3::cosim
