// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cell.h"

#include "decibel.h"

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrCell);

namespace
{

constexpr uint32_t DMRS_ELEMENTS = 12; // one symbol, none of its elements for data (TS 38.214 clauses 5.1.6.2, 6.2.2)
constexpr uint32_t BSR_BYTES = 4;      // long BSR of one group with its subheader, TS 38.321 clause 6.1.3.1
constexpr int64_t NR_OUT_OF_SYNC_NS = 200'000'000; // as for LTE, TS 36.133 table 7.6.2.1-1
constexpr double LEAST_DB = -8;     // below the lowest MCS: no use of spreading the power any further; ours
constexpr double HOPELESS_DB = -15; // no use of granting anything; ours

} // namespace

NrCell::NrCell() = default;
NrCell::~NrCell() = default;

TypeId
NrCell::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NrCell")
            .SetParent<Object>()
            .SetGroupName("Cosim")
            .AddConstructor<NrCell>()
            .AddAttribute("Numerology",
                          "Subcarrier spacing is 15 kHz * 2^this (TS 38.211 table 4.2-1).",
                          UintegerValue(1),
                          MakeUintegerAccessor(&NrCell::m_numerology),
                          MakeUintegerChecker<uint32_t>(0, 3))
            .AddAttribute("Pattern",
                          "Slots, repeated: D downlink, S special, U uplink; or F for FDD.",
                          StringValue("DDDSU"),
                          MakeStringAccessor(&NrCell::m_pattern),
                          MakeStringChecker())
            .AddAttribute("SpecialDownlinkSymbols",
                          "Symbols for the downlink at the beginning of a special slot.",
                          UintegerValue(10),
                          MakeUintegerAccessor(&NrCell::m_specialDownlinkSymbols),
                          MakeUintegerChecker<uint32_t>(0, 14))
            .AddAttribute("PdcchSymbols",
                          "Symbols for control at the beginning of each slot with downlink.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NrCell::m_pdcchSymbols),
                          MakeUintegerChecker<uint32_t>(1, 3))
            .AddAttribute("PucchSymbols",
                          "Symbols for control at the end of each slot with uplink.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&NrCell::m_pucchSymbols),
                          MakeUintegerChecker<uint32_t>(1, 4))
            .AddAttribute("Prbs",
                          "Physical resource blocks of the carrier.",
                          UintegerValue(273),
                          MakeUintegerAccessor(&NrCell::m_prbs),
                          MakeUintegerChecker<uint32_t>(1, 275))
            .AddAttribute("Overhead",
                          "Resource elements of each PRB and slot for other signals, xOverhead of TS 38.214.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&NrCell::m_overhead),
                          MakeUintegerChecker<uint32_t>(0, 18))
            .AddAttribute("GnbPower",
                          "Transmit power (dBm) of the gNB, even over all PRBs, used or not.",
                          DoubleValue(40),
                          MakeDoubleAccessor(&NrCell::m_gnbPowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("DevicePower",
                          "Highest transmit power (dBm) of a device, which it spreads over the PRBs in use.",
                          DoubleValue(23),
                          MakeDoubleAccessor(&NrCell::m_devicePowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("NominalPower",
                          "P0 of uplink power control (dBm in a PRB of 15 kHz), TS 38.213 clause 7.1.1.",
                          DoubleValue(-80),
                          MakeDoubleAccessor(&NrCell::m_nominalPowerDbm),
                          MakeDoubleChecker<double>(-202, 24))
            .AddAttribute("PathLossFactor",
                          "alpha of uplink power control.",
                          DoubleValue(1),
                          MakeDoubleAccessor(&NrCell::m_pathLossFactor),
                          MakeDoubleChecker<double>(0, 1))
            .AddAttribute(
                "McsTable",
                "Of TS 38.214: 1 to 64QAM (table 5.1.3.1-1), 2 to 256QAM (-2), 3 to 64QAM for low rates (-3).",
                UintegerValue(2),
                MakeUintegerAccessor(&NrCell::m_mcsTableIndex),
                MakeUintegerChecker<uint32_t>(1, 3))
            .AddAttribute(
                "IncrementalRedundancy",
                "Whether retransmissions bring other bits of the code, or else the same ones (chase combining).",
                BooleanValue(true),
                MakeBooleanAccessor(&NrCell::m_isIncremental),
                MakeBooleanChecker())
            .AddAttribute("MostTransmissions",
                          "Transmissions of a block after which HARQ gives it up.",
                          UintegerValue(4),
                          MakeUintegerAccessor(&NrCell::m_mostTransmissions),
                          MakeUintegerChecker<uint32_t>(1, MOST_TRANSMISSIONS))
            .AddAttribute("ReportPeriod",
                          "Slots between two reports of the channel, down (CQI) and up (SRS).",
                          UintegerValue(20),
                          MakeUintegerAccessor(&NrCell::m_reportPeriod),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("ReportDelay",
                          "Slots between measuring the channel and the first slot that is scheduled by it.",
                          UintegerValue(4),
                          MakeUintegerAccessor(&NrCell::m_reportDelay),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("TargetBler",
                          "Block error rate of first transmissions that link adaptation aims at.",
                          DoubleValue(0.1),
                          MakeDoubleAccessor(&NrCell::SetTargetBler, &NrCell::GetTargetBler),
                          MakeDoubleChecker<double>(0.001, 0.5))
            .AddAttribute("OuterLoopStep",
                          "By how much (dB) the outer loop lowers what it expects of a link when a block fails.",
                          DoubleValue(0.25),
                          MakeDoubleAccessor(&NrCell::SetStepDb, &NrCell::GetStepDb),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("RequestGrantBytes",
                          "What a device is granted that has sent a scheduling request and no buffer status yet.",
                          UintegerValue(256),
                          MakeUintegerAccessor(&NrCell::m_requestGrantBytes),
                          MakeUintegerChecker<uint32_t>(16))
            .AddAttribute("ConfiguredGrantPrbs",
                          "PRBs of every uplink slot that each device may use without asking (TS 38.321 clause 5.8.2).",
                          UintegerValue(0),
                          MakeUintegerAccessor(&NrCell::m_configuredPrbs),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("Acknowledged",
                          "RLC in acknowledged mode, or else in unacknowledged mode.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&NrCell::m_isAcknowledged),
                          MakeBooleanChecker())
            .AddAttribute("BufferBytes",
                          "What may wait at each end of each device's bearer.",
                          UintegerValue(64'000'000),
                          MakeUintegerAccessor(&NrCell::m_bufferBytes),
                          MakeUintegerChecker<uint64_t>())
            .AddAttribute("Reordering",
                          "How long a missing packet is waited for in unacknowledged mode.",
                          TimeValue(MilliSeconds(100)),
                          MakeTimeAccessor(&NrCell::m_reordering),
                          MakeTimeChecker(Time()))
            .AddAttribute("StatusTimer",
                          "How long after its last transmission a device with data asks again (retxBSR-Timer).",
                          TimeValue(MilliSeconds(10)),
                          MakeTimeAccessor(&NrCell::m_statusTimer),
                          MakeTimeChecker(Time()))
            .AddAttribute("Scheduler",
                          "pf: proportional fair, or rr: round robin.",
                          StringValue("pf"),
                          MakeStringAccessor(&NrCell::m_schedulerName),
                          MakeStringChecker())
            .AddTraceSource("Block",
                            "A transport block is sent.",
                            MakeTraceSourceAccessor(&NrCell::m_blockTrace),
                            "ns3::cosim::NrBlockTrace");
    return tid;
}

NrCell::Direction::Direction(bool isAcknowledged, uint64_t bufferBytes, Time reordering, Deliver deliver)
    : sender(isAcknowledged, bufferBytes),
      receiver(isAcknowledged, reordering, std::move(deliver)),
      draw(CreateObject<UniformRandomVariable>())
{
}

NrCell::Link::Link(uint32_t index, Ptr<Node> itsNode, const NrCell& cell, Deliver toDevice, Deliver toGnb)
    : device(index),
      node(itsNode),
      down(cell.m_isAcknowledged, cell.m_bufferBytes, cell.m_reordering, std::move(toDevice)),
      up(cell.m_isAcknowledged, cell.m_bufferBytes, cell.m_reordering, std::move(toGnb))
{
}

NrCell::Direction&
NrCell::Get(Link& link, bool isUplink)
{
    return isUplink ? link.up : link.down;
}

const NrCell::Direction&
NrCell::Get(const Link& link, bool isUplink) const
{
    return isUplink ? link.up : link.down;
}

void
NrCell::SetGnb(Ptr<Node> gnb, Deliver deliver, Ptr<NrChannel> channel, Ptr<NrErrorModel> errors)
{
    m_gnb = gnb;
    m_toGnb = std::move(deliver);
    m_channel = channel;
    m_errors = errors;
}

void
NrCell::AddDevice(Ptr<Node> device, Deliver deliver)
{
    uint32_t index = m_links.size();
    m_links.emplace_back(index, device, *this, std::move(deliver), m_toGnb);
}

void
NrCell::SetTargetBler(double target)
{
    m_downlink.targetBler = m_uplink.targetBler = target;
}

double
NrCell::GetTargetBler() const
{
    return m_downlink.targetBler;
}

void
NrCell::SetStepDb(double stepDb)
{
    m_downlink.stepDb = m_uplink.stepDb = stepDb;
}

double
NrCell::GetStepDb() const
{
    return m_downlink.stepDb;
}

void
NrCell::Begin()
{
    m_frame = NrFrame(m_numerology, m_pattern, m_specialDownlinkSymbols, m_pdcchSymbols, m_pucchSymbols);
    m_gnbProcessingNs = m_frame.GetDecodingNs();
    auto reserved = m_configuredPrbs * CountDevices();
    NS_ABORT_MSG_IF(reserved >= m_prbs, "NrCell: configured grants leave no PRB");
    auto table = static_cast<NrMcsTable>(m_mcsTableIndex);
    m_downlink.grid = NrGrid(m_prbs);
    m_downlink.isTold = true;
    for (uint32_t slot = 0; slot < m_frame.GetPeriod(); slot++)
    {
        m_downlink.elements = std::max(m_downlink.elements, GetElements(false, slot));
    }
    m_downlink.thresholdDb = NrLinkAdaptation::GetThresholdsDb(*m_errors, table, m_prbs, m_downlink.elements);
    m_uplink.grid = NrGrid(m_prbs - reserved);
    m_uplink.elements = GetElements(true, 0);
    for (auto settings : {&m_downlink, &m_uplink})
    {
        settings->errors = m_errors;
        settings->table = table;
    }
    for (auto& link : m_links)
    {
        link.down.adaptation.Begin(&m_downlink);
        link.up.adaptation.Begin(&m_uplink);
    }
    NS_ABORT_MSG_UNLESS(m_schedulerName == "pf" || m_schedulerName == "rr", "NrCell: no scheduler " << m_schedulerName);
    auto kind = m_schedulerName == "pf" ? NrScheduler::Kind::PROPORTIONAL_FAIR : NrScheduler::Kind::ROUND_ROBIN;
    m_downlinkScheduler.Configure(kind, m_downlink.grid, CountDevices());
    m_uplinkScheduler.Configure(kind, m_uplink.grid, CountDevices());
    m_takenPrbs.assign(CountDevices(), 0);
    m_gnbPsdMw = FromDb(m_gnbPowerDbm) / m_prbs;
    m_grantOffsets = m_frame.GetGrantOffsets();
    m_reporting = Simulator::ScheduleNow(&NrCell::ReportAll, this);
}

int64_t
NrCell::AssignStreams(int64_t stream)
{
    int64_t used = 0;
    for (auto& link : m_links)
    {
        link.down.draw->SetStream(stream + used++);
        link.up.draw->SetStream(stream + used++);
    }
    return used;
}

void
NrCell::DoDispose()
{
    m_tick.Cancel();
    m_reporting.Cancel();
    m_links.clear();
    m_news.clear();
    m_grants.clear();
    m_channel = nullptr;
    m_errors = nullptr;
    m_downlink.errors = nullptr;
    m_uplink.errors = nullptr;
    m_gnb = nullptr;
    m_toGnb = nullptr;
    Object::DoDispose();
}

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

void
NrCell::SetShares(uint32_t count, const double* shares)
{
    std::vector<double> all(shares, shares + count);
    all.resize(CountDevices(), 0.0);
    m_downlinkScheduler.SetShares(all);
    m_uplinkScheduler.SetShares(all);
}

void
NrCell::ClearShares()
{
    m_downlinkScheduler.SetShares({});
    m_uplinkScheduler.SetShares({});
}

bool
NrCell::Enqueue(uint32_t device, bool isUplink, Ptr<Packet> packet)
{
    auto& direction = Get(m_links[device], isUplink);
    if (!direction.sender.Enqueue(packet, Simulator::Now().GetNanoSeconds()))
    {
        direction.count.dropped++;
        return false;
    }
    Wake();
    return true;
}

void
NrCell::Wake()
{
    if (!m_tick.IsPending())
    {
        auto now = Simulator::Now().GetNanoSeconds();
        auto slot = std::max(m_frame.GetSlotFrom(now), m_lastSlot + 1);
        m_tick = Simulator::Schedule(NanoSeconds(m_frame.GetStartNs(slot) - now), &NrCell::Tick, this);
    }
}

bool
NrCell::IsActive() const
{
    return !m_news.empty() || !m_grants.empty() || std::any_of(m_links.begin(), m_links.end(), [](const Link& link) {
        auto isWaiting = [](const Process& process) { return process.state == HarqState::WAITING; };
        return link.down.sender.GetBytes() > 0 || link.up.sender.GetBytes() > 0 || link.requests.IsRequesting() ||
               std::any_of(link.down.processes.begin(), link.down.processes.end(), isWaiting) ||
               std::any_of(link.up.processes.begin(), link.up.processes.end(), isWaiting);
    });
}

void
NrCell::Tick()
{
    auto slot = m_frame.GetSlotFrom(Simulator::Now().GetNanoSeconds());
    m_lastSlot = slot;
    Learn(slot);
    if (m_frame.HasDownlink(slot))
    {
        for (auto offset : m_grantOffsets[slot % m_frame.GetPeriod()])
        {
            GrantUplink(slot, slot + offset);
        }
        if (m_frame.GetPdschSymbols(slot) > 0)
        {
            ScheduleDownlink(slot);
        }
    }
    if (m_frame.HasUplink(slot))
    {
        SendUplink(slot);
        RequestUplink(slot);
    }
    if (IsActive())
    {
        m_tick = Simulator::Schedule(NanoSeconds(m_frame.GetSlotNs()), &NrCell::Tick, this);
    }
}

void
NrCell::AddNews(int64_t knownNs, News news)
{
    m_news[m_frame.GetSlotFrom(knownNs)].push_back(news);
}

void
NrCell::Learn(int64_t slot)
{
    while (!m_news.empty() && m_news.begin()->first <= slot)
    {
        for (const auto& news : m_news.begin()->second)
        {
            auto& link = m_links[news.device];
            if (news.kind == News::Kind::REQUEST)
            {
                link.buffer.LearnRequest(m_requestGrantBytes, news.slot);
            }
            else
            {
                LearnResult(link, news.kind == News::Kind::UPLINK_RESULT, news.process, slot);
            }
        }
        m_news.erase(m_news.begin());
    }
}

void
NrCell::LearnResult(Link& link, bool isUplink, uint32_t index, int64_t slot)
{
    auto& direction = Get(link, isUplink);
    auto& process = direction.processes[index];
    if (process.transmissions == 1)
    {
        direction.adaptation.Judge(process.mcs, process.isDecoded);
    }
    if (process.isDecoded)
    {
        if (isUplink)
        {
            link.buffer.LearnStatus(process.waiting, process.slot);
        }
        process.state = HarqState::FREE;
    }
    else if (process.transmissions < m_mostTransmissions)
    {
        process.state = HarqState::WAITING;
    }
    else
    {
        direction.count.givenUp++;
        if (m_isAcknowledged)
        {
            direction.sender.Retransmit(process.content);
        }
        process.content.clear();
        process.state = HarqState::FREE;
    }
}

uint32_t
NrCell::GetElements(bool isUplink, int64_t slot) const
{
    auto symbols = isUplink ? m_frame.GetPuschSymbols() : m_frame.GetPdschSymbols(slot);
    auto used = DMRS_ELEMENTS + m_overhead;
    return symbols * SUBCARRIERS > used ? symbols * SUBCARRIERS - used : 0;
}

void
NrCell::MakeBlock(Direction& direction,
                  bool isUplink,
                  uint32_t index,
                  NrGroups groups,
                  double psdMw,
                  uint32_t prbs,
                  int64_t slot)
{
    auto& process = direction.processes[index];
    auto elements = GetElements(isUplink, slot);
    process.state = HarqState::FLYING;
    process.isDecoded = false;
    process.transmissions = 0;
    process.layers = direction.adaptation.GetRank(psdMw);
    process.prbs = prbs;
    process.slot = slot;
    process.content.clear();
    auto expected = direction.adaptation.GetExpectedDb(groups, psdMw, process.layers);
    process.mcs = direction.adaptation.ChooseMcs(expected, prbs, elements, process.layers);
    process.bits = GetNrTbsBits(prbs, elements, GetNrMcsTable(m_uplink.table)[process.mcs], process.layers);
    direction.mcs = process.mcs;
    direction.prbs = prbs;
}

template <class Take>
void
NrCell::Retransmit(bool isUplink, NrGroups& free, Take take)
{
    const auto& grid = (isUplink ? m_uplink : m_downlink).grid;
    std::fill(m_takenPrbs.begin(), m_takenPrbs.end(), 0);
    auto first = (isUplink ? m_uplinkScheduler : m_downlinkScheduler).GetFirst();
    for (uint32_t i = 0; i < m_links.size(); i++)
    {
        auto& link = m_links[(first + i) % m_links.size()];
        auto& processes = Get(link, isUplink).processes;
        for (uint32_t index = 0; index < PROCESSES; index++)
        {
            if (processes[index].state != HarqState::WAITING)
            {
                continue;
            }
            if (auto groups = grid.Take(free, processes[index].prbs))
            {
                m_takenPrbs[link.device] += grid.CountPrbs(groups);
                take(link, index, groups);
            }
        }
    }
}

void
NrCell::ScheduleDownlink(int64_t slot)
{
    const auto& grid = m_downlink.grid;
    auto free = grid.GetAll();
    auto byNs = m_frame.GetStartNs(slot) - m_gnbProcessingNs;
    Retransmit(false, free, [this, slot](Link& link, uint32_t index, NrGroups groups) {
        Transmit(link, false, index, slot, groups, 0, 0);
    });
    std::vector<NrCandidate> candidates;
    for (auto& link : m_links)
    {
        auto bytes = link.down.sender.GetBytes(byNs);
        auto& adaptation = link.down.adaptation;
        if (bytes > 0 && link.down.FindFree() >= 0 &&
            adaptation.GetReport(slot).cqi > NrLinkAdaptation::OUT_OF_RANGE_CQI)
        {
            auto bitsPerPrb =
                adaptation.GetBitsPerPrb(m_gnbPsdMw, GetElements(false, slot), adaptation.GetRank(m_gnbPsdMw));
            candidates.push_back({link.device, 8.0 * bytes, m_prbs, std::move(bitsPerPrb)});
        }
    }
    m_downlinkScheduler.Allocate(slot, free, candidates, m_takenPrbs);
    for (const auto& candidate : candidates)
    {
        if (candidate.groups)
        {
            auto& link = m_links[candidate.device];
            auto index = link.down.FindFree();
            auto prbs = grid.CountPrbs(candidate.groups);
            MakeBlock(link.down, false, index, candidate.groups, m_gnbPsdMw, prbs, slot);
            auto& process = link.down.processes[index];
            link.down.sender.Fill(process.bits / 8, byNs, process.content);
            Transmit(link, false, index, slot, candidate.groups, 0, 0);
        }
    }
    DeliverAll(false, m_frame.GetSymbolNs(slot, m_frame.GetPdschEnd(slot)) + m_frame.GetDecodingNs());
}

double
NrCell::GetUplinkPsdMw(const Link& link, uint32_t prbs) const
{
    NrPowerControl control(m_numerology, m_devicePowerDbm, m_nominalPowerDbm, m_pathLossFactor);
    return control.GetPsdMw(link.pathLossDb, prbs);
}

uint32_t
NrCell::GetMostUplinkPrbs(const Link& link, const NrReport& report) const
{
    for (uint32_t prbs = m_uplink.grid.GetPrbs(); prbs > 1; prbs = (prbs + 1) / 2)
    {
        if (report.GetQuality().wideDb + ToDb(GetUplinkPsdMw(link, prbs) / report.psdMw) > LEAST_DB)
        {
            return prbs;
        }
    }
    return 1;
}

void
NrCell::GrantUplink(int64_t slot, int64_t uplinkSlot)
{
    const auto& grid = m_uplink.grid;
    auto free = grid.GetAll();
    std::vector<Grant> grants;
    Retransmit(true, free, [&grants](Link& link, uint32_t index, NrGroups groups) {
        link.up.processes[index].state = HarqState::FLYING;
        grants.push_back({link.device, index, groups});
    });
    std::vector<NrCandidate> candidates;
    for (auto& link : m_links)
    {
        auto bytes = link.buffer.GetWantedBytes();
        const auto& report = link.up.adaptation.GetReport(slot);
        if (bytes > 0 && report.GetQuality().wideDb > HOPELESS_DB && link.up.FindFree() >= 0)
        {
            candidates.push_back({link.device, 8.0 * (bytes + BSR_BYTES), GetMostUplinkPrbs(link, report), {}});
        }
    }
    for (auto& candidate : candidates)
    {
        auto& link = m_links[candidate.device];
        auto prbs = std::max<uint32_t>(grid.GetPrbs() / candidates.size(), 1);
        auto psdMw = GetUplinkPsdMw(link, prbs);
        auto rank = link.up.adaptation.GetRank(psdMw);
        candidate.bitsPerPrb = link.up.adaptation.GetBitsPerPrb(psdMw, GetElements(true, 0), rank);
    }
    m_uplinkScheduler.Allocate(slot, free, candidates, m_takenPrbs);
    for (const auto& candidate : candidates)
    {
        if (!candidate.groups)
        {
            continue;
        }
        auto& link = m_links[candidate.device];
        auto index = static_cast<uint32_t>(link.up.FindFree());
        auto prbs = grid.CountPrbs(candidate.groups);
        MakeBlock(link.up, true, index, candidate.groups, GetUplinkPsdMw(link, prbs), prbs, uplinkSlot);
        link.buffer.Grant(link.up.processes[index].bits / 8, uplinkSlot);
        grants.push_back({link.device, index, candidate.groups});
    }
    for (const auto& grant : grants)
    {
        m_links[grant.device].requests.AddGrant();
    }
    if (!grants.empty())
    {
        m_grants[uplinkSlot] = std::move(grants);
    }
}

void
NrCell::Fill(Link& link, Process& process, int64_t slot)
{
    auto byNs = m_frame.GetStartNs(slot) - m_frame.GetPreparationNs();
    auto bytes = process.bits / 8;
    link.up.sender.Fill(bytes - std::min(bytes, BSR_BYTES), byNs, process.content);
    process.waiting = NrUplinkBuffer::GetStatus(link.up.sender.GetBytes(byNs));
    link.requests.TellStatus(process.waiting);
}

void
NrCell::SendUplink(int64_t slot)
{
    std::vector<bool> busy(m_links.size(), false);
    if (auto found = m_grants.find(slot); found != m_grants.end())
    {
        for (const auto& grant : found->second)
        {
            auto& link = m_links[grant.device];
            auto& process = link.up.processes[grant.process];
            link.requests.UseGrant();
            busy[grant.device] = true;
            if (process.transmissions == 0)
            {
                Fill(link, process, slot);
            }
            Transmit(link, true, grant.process, slot, grant.groups, 0, 0);
        }
        m_grants.erase(found);
    }
    if (m_configuredPrbs > 0)
    {
        UseConfiguredGrants(slot, busy);
    }
    DeliverAll(true, m_frame.GetSymbolNs(slot, m_frame.GetPuschSymbols()) + m_gnbProcessingNs);
}

void
NrCell::UseConfiguredGrants(int64_t slot, const std::vector<bool>& busy)
{
    auto byNs = m_frame.GetStartNs(slot) - m_frame.GetPreparationNs();
    for (auto& link : m_links)
    {
        auto index = link.up.FindFree();
        if (busy[link.device] || index < 0 || link.up.sender.GetBytes(byNs) == 0 ||
            link.up.adaptation.GetReport(slot).from < 0)
        {
            continue;
        }
        auto psdMw = GetUplinkPsdMw(link, m_configuredPrbs);
        MakeBlock(link.up, true, index, m_uplink.grid.GetAll(), psdMw, m_configuredPrbs, slot);
        auto& process = link.up.processes[index];
        Fill(link, process, slot);
        auto begin = m_uplink.grid.GetPrbs() + link.device * m_configuredPrbs;
        Transmit(link, true, index, slot, 0, begin, begin + m_configuredPrbs);
    }
}

void
NrCell::RequestUplink(int64_t slot)
{
    auto now = m_frame.GetStartNs(slot);
    for (auto& link : m_links)
    {
        if (link.requests.Request(link.up.sender.GetBytes(now), now, m_statusTimer.GetNanoSeconds()))
        {
            AddNews(m_frame.GetStartNs(slot + 1) + m_gnbProcessingNs, {News::Kind::REQUEST, link.device, 0, slot});
        }
    }
}

void
NrCell::Transmit(Link& link, bool isUplink, uint32_t index, int64_t slot, NrGroups groups, uint32_t begin, uint32_t end)
{
    auto& direction = Get(link, isUplink);
    auto& process = direction.processes[index];
    const auto& grid = (isUplink ? m_uplink : m_downlink).grid;
    auto table = (isUplink ? m_uplink : m_downlink).table;
    const auto& gains = isUplink ? m_channel->GetUplink(link.device) : m_channel->GetDownlink(link.device);
    auto prbs = groups ? grid.CountPrbs(groups) : end - begin;
    auto psdMw = isUplink ? GetUplinkPsdMw(link, prbs) : m_gnbPsdMw;
    m_sinr.clear();
    AddSinr(gains, psdMw, process.layers, begin, end, m_sinr);
    for (auto left = groups; left; left &= left - 1)
    {
        auto group = std::countr_zero(left);
        auto from = grid.GetBegin(group);
        AddSinr(gains, psdMw, process.layers, from, from + grid.GetSize(group), m_sinr);
    }
    auto sinrDb = m_errors->GetEffectiveSinrDb(table, process.mcs, m_sinr.data(), m_sinr.size());
    process.sinrDb[process.transmissions++] = sinrDb;
    auto bler = m_errors->GetCombinedBler(table,
                                          process.mcs,
                                          process.bits,
                                          process.sinrDb.data(),
                                          process.transmissions,
                                          m_isIncremental);
    process.isDecoded = direction.draw->GetValue() >= bler;
    process.state = HarqState::FLYING;
    auto& count = direction.count;
    count.blocks++;
    count.prbs += prbs;
    if (process.transmissions == 1)
    {
        count.firstBlocks++;
        count.firstErrors += process.isDecoded ? 0 : 1;
        count.firstBlers += bler;
    }
    m_blockTrace({slot,
                  link.device,
                  isUplink,
                  process.transmissions,
                  process.mcs,
                  process.layers,
                  prbs,
                  process.bits,
                  sinrDb,
                  bler,
                  process.isDecoded});
    if (process.isDecoded)
    {
        count.bytes += process.bits / 8;
        m_arrivals.push_back({link.device, std::move(process.content)});
        process.content = {};
    }
    auto now = Simulator::Now().GetNanoSeconds();
    link.lastActiveNs = now;
    if (isUplink)
    {
        link.requests.Send(now);
        AddNews(m_frame.GetSymbolNs(slot, m_frame.GetPuschSymbols()) + m_gnbProcessingNs,
                {News::Kind::UPLINK_RESULT, link.device, index, slot});
    }
    else
    {
        auto decoded = m_frame.GetSymbolNs(slot, m_frame.GetPdschEnd(slot)) + m_frame.GetDecodingNs();
        auto answer = m_frame.GetPucchSlotFrom(decoded);
        AddNews(m_frame.GetStartNs(answer + 1) + m_gnbProcessingNs,
                {News::Kind::DOWNLINK_RESULT, link.device, index, slot});
    }
}

void
NrCell::DeliverAll(bool isUplink, int64_t atNs)
{
    for (auto& arrival : m_arrivals)
    {
        auto node = isUplink ? m_gnb : m_links[arrival.device].node;
        Simulator::ScheduleWithContext(node->GetId(),
                                       NanoSeconds(atNs) - Simulator::Now(),
                                       &NrCell::Arrive,
                                       this,
                                       arrival.device,
                                       isUplink,
                                       std::move(arrival.content));
    }
    m_arrivals.clear();
}

void
NrCell::Arrive(uint32_t device, bool isUplink, const std::vector<NrSegment>& content)
{
    if (device < m_links.size()) // and not disposed of
    {
        for (const auto& segment : content)
        {
            Get(m_links[device], isUplink).receiver.Receive(segment);
        }
    }
}

void
NrCell::ReportAll()
{
    auto slot = m_frame.GetSlotFrom(Simulator::Now().GetNanoSeconds());
    auto from = slot + m_reportDelay;
    auto noiseMw = m_channel->GetNoiseMw(true);
    for (auto& link : m_links)
    {
        link.down.adaptation.Measure(m_channel->GetDownlink(link.device), m_gnbPsdMw, slot, from);
        if (link.down.adaptation.GetLatest().cqi > NrLinkAdaptation::OUT_OF_RANGE_CQI)
        {
            link.lastInRangeNs = Simulator::Now().GetNanoSeconds();
        }
        const auto& gains = m_channel->GetUplink(link.device);
        double sum = 0;
        for (const auto& gain : gains)
        {
            sum += gain.single;
        }
        link.pathLossDb = -ToDb(std::max(sum / gains.size() * noiseMw, 1e-30));
        link.up.adaptation.Measure(gains, GetUplinkPsdMw(link, m_prbs), slot, from);
    }
    m_reporting = Simulator::Schedule(NanoSeconds(m_reportPeriod * m_frame.GetSlotNs()), &NrCell::ReportAll, this);
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
    state.queueBytes = direction.sender.GetBytes();
    state.mcs = direction.mcs;
    state.prbs = direction.prbs;
    state.bler = direction.adaptation.GetBler();
    if (!report.GetQuality().groupDb.empty())
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
    if (report.GetQuality().groupDb.empty() || (!isUplink && report.cqi == NrLinkAdaptation::OUT_OF_RANGE_CQI))
    {
        return 0;
    }
    auto prbs = isUplink ? GetMostUplinkPrbs(link, report) : m_prbs;
    auto psdMw = isUplink ? GetUplinkPsdMw(link, prbs) : m_gnbPsdMw;
    double bits = 0;
    for (uint32_t slot = 0; slot < m_frame.GetPeriod(); slot++)
    {
        auto elements = GetElements(isUplink, slot);
        if (elements > 0 && (isUplink ? m_frame.HasUplink(slot) : m_frame.HasDownlink(slot)))
        {
            bits += adaptation.GetCapacityBits(prbs, psdMw, elements);
        }
    }
    return bits * 1e9 / (m_frame.GetPeriod() * m_frame.GetSlotNs());
}

bool
NrCell::IsConnected(uint32_t device) const
{
    auto last = m_links[device].lastInRangeNs;
    return last >= 0 && Simulator::Now().GetNanoSeconds() - last <= NR_OUT_OF_SYNC_NS;
}

int64_t
NrCell::GetLastActiveNs(uint32_t device) const
{
    return m_links[device].lastActiveNs;
}

int64_t
NrCell::GetLongestDeliveryNs() const
{
    auto patternNs = m_frame.GetPeriod() * m_frame.GetSlotNs();
    auto round = 4 * patternNs + 2 * (m_gnbProcessingNs + m_frame.GetDecodingNs());
    return m_mostTransmissions * round + (m_isAcknowledged ? 0 : m_reordering.GetNanoSeconds());
}

void
NrCell::Discard(uint32_t device, uint32_t exchange)
{
    m_links[device].down.sender.Discard(exchange);
    m_links[device].up.sender.Discard(exchange);
}

} // namespace ns3::cosim
