// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cell.h"

#include "decibel.h"
#include "nr-cells.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t DMRS_ELEMENTS = 12; // one symbol, none of its elements for data (TS 38.214 clauses 5.1.6.2, 6.2.2)
constexpr uint32_t MOST_SHORTER = 2;   // by which a block's next transmission may have fewer elements; ours

} // namespace

NrCell::NrCell() = default;
NrCell::~NrCell() = default;

NrCell::Mac::Mac(NrCell& cell, const Deliver& toDevice, const Deliver& toGnb)
    : down(cell.m_qosFlows, cell.m_isAcknowledged, cell.m_bufferBytes, cell.m_reordering, toDevice),
      up(cell.m_qosFlows, cell.m_isAcknowledged, cell.m_bufferBytes, cell.m_reordering, toGnb)
{
    if (cell.m_isAcknowledged && cell.m_arq.isOn)
    {
        auto wake = [&cell] { cell.Wake(); };
        down.Acknowledge(cell.m_arq, up, wake);
        up.Acknowledge(cell.m_arq, down, wake);
    }
}

NrCell::Direction::Direction(NrBearers& itsBearers)
    : bearers(itsBearers),
      draw(CreateObject<UniformRandomVariable>())
{
}

NrCell::Link::Link(uint32_t index, Ptr<Node> itsNode, std::shared_ptr<Mac> itsMac)
    : device(index),
      node(itsNode),
      mac(std::move(itsMac)),
      down(mac->down),
      up(mac->up),
      buffer(mac->buffer),
      requests(mac->requests)
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
NrCell::SetNeighbours(Ptr<NeighbourSites> neighbours)
{
    m_neighbours = neighbours;
}

void
NrCell::SetCells(NrCells* cells)
{
    m_cells = cells;
}

void
NrCell::SetTiming(const NrTimingSettings& settings)
{
    m_timingSettings = settings;
}

void
NrCell::SetArq(const NrArqSettings& settings)
{
    m_arq = settings;
}

void
NrCell::AddDevice(Ptr<Node> device, Deliver deliver)
{
    uint32_t index = m_links.size();
    auto mac = m_primary ? m_primary->m_links[index].mac : std::make_shared<Mac>(*this, deliver, m_toGnb);
    m_links.emplace_back(index, device, mac).isServed = !m_cells;
}

void
NrCell::Begin()
{
    m_frame = NrFrame({m_numerology,
                       m_pattern,
                       m_specialDownlinkSymbols,
                       m_specialUplinkSymbols,
                       m_specialPuschSymbols,
                       m_pdcchSymbols,
                       m_pucchSymbols,
                       m_unitSymbols});
    m_timing = NrTiming(m_frame, m_timingSettings);
    m_use = {m_timing.GetUse(false, PROCESSES), m_timing.GetUse(true, PROCESSES)};
    auto table = static_cast<NrMcsTable>(m_mcsTableIndex);
    m_downlink.grid = NrGrid(m_prbs);
    m_downlink.isTold = true;
    for (uint32_t slot = 0; slot < m_frame.GetPeriod(); slot++)
    {
        m_downlink.elements = std::max(m_downlink.elements, GetElements(false, slot));
        m_uplink.elements = std::max(m_uplink.elements, GetElements(true, slot));
    }
    m_downlink.thresholdDb = NrLinkAdaptation::GetThresholdsDb(*m_errors, table, m_prbs, m_downlink.elements);
    m_uplink.grid = NrGrid(m_prbs);
    m_controlChannel = NrControlChannel(m_prbs, m_pdcchSymbols, m_pucchSymbols, m_uplink.grid.CountGroups());
    m_answers = NrAnswers(m_prbs, m_pucchSymbols);
    m_configured = NrConfiguredGrants(m_uplink.grid, m_configuredPrbs, CountDevices());
    for (auto settings : {&m_downlink, &m_uplink})
    {
        settings->errors = m_errors;
        settings->table = table;
        settings->layers = m_channel->GetMostLayers();
    }
    SetTargetBler(GetTargetBler());
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
    m_grantOffsets = m_timing.GetGrantOffsets();
    BeginConnections();
    if (!m_cells)
    {
        m_reporting = Simulator::ScheduleNow(&NrCell::ReportAll, this);
    }
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
    return used + (m_connections ? m_connections->AssignStreams(stream + used) : 0);
}

void
NrCell::DoDispose()
{
    m_tick.Cancel();
    m_reporting.Cancel();
    m_connections.reset();
    m_links.clear();
    m_news.clear();
    m_grants.clear();
    m_channel = nullptr;
    m_errors = nullptr;
    m_neighbours = nullptr;
    m_cells = nullptr;
    if (m_secondary)
    {
        m_secondary->Dispose();
    }
    m_secondary = nullptr;
    m_primary = nullptr;
    m_downlink.errors = nullptr;
    m_uplink.errors = nullptr;
    m_gnb = nullptr;
    m_toGnb = nullptr;
    Object::DoDispose();
}

void
NrCell::SetShares(uint32_t count, const double* shares)
{
    std::vector<double> all(shares, shares + count);
    all.resize(CountDevices(), 0.0);
    m_downlinkScheduler.SetShares(all);
    m_uplinkScheduler.SetShares(all);
    if (m_secondary)
    {
        m_secondary->SetShares(count, shares);
    }
}

void
NrCell::ClearShares()
{
    m_downlinkScheduler.SetShares({});
    m_uplinkScheduler.SetShares({});
    if (m_secondary)
    {
        m_secondary->ClearShares();
    }
}

bool
NrCell::Enqueue(uint32_t device, bool isUplink, Ptr<Packet> packet)
{
    auto& direction = Get(m_links[device], isUplink);
    if (!direction.bearers.Enqueue(packet, isUplink))
    {
        direction.count.dropped++;
        return false;
    }
    Arouse(device, isUplink);
    return true;
}

void
NrCell::Wake()
{
    if (m_cells)
    {
        m_cells->Wake();
    }
    else if (m_primary)
    {
        m_primary->Wake();
    }
    else if (!m_tick.IsPending())
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
        return link.isServed &&
               (link.down.bearers.GetBytes() > 0 || link.up.bearers.GetBytes() > 0 || link.requests.IsRequesting() ||
                std::any_of(link.down.processes.begin(), link.down.processes.end(), isWaiting) ||
                std::any_of(link.up.processes.begin(), link.up.processes.end(), isWaiting));
    });
}

void
NrCell::Tick()
{
    auto slot = m_frame.GetSlotFrom(Simulator::Now().GetNanoSeconds());
    Send(slot);
    if (m_secondary)
    {
        m_secondary->Send(slot);
    }
    Receive(slot);
    if (m_secondary)
    {
        m_secondary->Receive(slot);
    }
    if (IsActive() || (m_secondary && m_secondary->IsActive()))
    {
        m_tick = Simulator::Schedule(NanoSeconds(m_frame.GetSlotNs()), &NrCell::Tick, this);
    }
}

void
NrCell::Send(int64_t slot)
{
    m_lastSlot = slot;
    m_sent[false].clear();
    m_sent[true].clear();
    m_control = m_controlChannel.CountElements();
    Learn(slot);
    if (m_secondary)
    {
        m_secondary->Learn(slot); // of one slot's two buffer status reports the secondary cell's is of the less
    }
    // By turns, one direction and then the other has what there is of the PDCCH first.
    for (bool isUplink : {slot / m_frame.GetPeriod() % 2 == 0, slot / m_frame.GetPeriod() % 2 != 0})
    {
        if (isUplink && m_frame.HasPdcch(slot))
        {
            for (auto offset : m_grantOffsets[slot % m_frame.GetPeriod()])
            {
                GrantUplink(slot, slot + offset);
            }
        }
        if (!isUplink && m_frame.GetPdschSymbols(slot) > 0)
        {
            ScheduleDownlink(slot);
        }
    }
    if (m_frame.GetPuschSymbols(slot) > 0)
    {
        SendUplink(slot);
        if (!m_primary && m_timing.HasRequest(slot))
        {
            RequestUplink(slot);
        }
    }
}

void
NrCell::Receive(int64_t slot)
{
    for (bool isUplink : {false, true})
    {
        for (const auto& sent : m_sent[isUplink])
        {
            Hear(sent, isUplink, slot);
        }
        DeliverAll(isUplink, m_timing.GetDecodedNs(isUplink, slot));
    }
}

void
NrCell::AddNews(int64_t knownSlot, News news)
{
    m_news[knownSlot].push_back(news);
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
        if (m_isAcknowledged && !m_arq.isOn)
        {
            direction.bearers.Retransmit(process.content);
        }
        process.content.clear();
        process.state = HarqState::FREE;
    }
}

double
NrCell::GetAirS(bool isUplink, int64_t slot) const
{
    auto symbols = isUplink ? m_frame.GetPuschSymbols(slot) : m_frame.GetPdschSymbols(slot);
    return 1e-9 * m_frame.GetSlotNs() * symbols / m_frame.GetSymbols();
}

uint32_t
NrCell::GetElements(bool isUplink, int64_t slot) const
{
    auto symbols = isUplink ? m_frame.GetPuschSymbols(slot) : m_frame.GetPdschSymbols(slot);
    auto used = DMRS_ELEMENTS + m_overhead;
    return symbols * SUBCARRIERS > used ? symbols * SUBCARRIERS - used : 0;
}

void
NrCell::MakeBlock(Direction& direction,
                  bool isUplink,
                  uint32_t index,
                  const NrAllocation& allocation,
                  double psdMw,
                  int64_t slot)
{
    auto& process = direction.processes[index];
    auto block = direction.adaptation.MakeBlock(allocation, psdMw, GetElements(isUplink, slot));
    process.state = HarqState::FLYING;
    process.isDecoded = false;
    process.transmissions = 0;
    process.layers = block.layers;
    process.mcs = block.mcs;
    process.bits = block.bits;
    process.prbs = m_downlink.grid.CountPrbs(allocation);
    process.slot = slot;
    process.content.clear();
    direction.mcs = process.mcs;
    direction.prbs = process.prbs;
}

void
NrCell::Retransmit(bool isUplink,
                   int64_t slot,
                   const std::vector<bool>& mayGrant,
                   NrFreePrbs& free,
                   std::vector<Grant>& grants)
{
    auto elements = GetElements(isUplink, slot);
    const auto& grid = (isUplink ? m_uplink : m_downlink).grid;
    std::fill(m_takenPrbs.begin(), m_takenPrbs.end(), 0);
    auto first = (isUplink ? m_uplinkScheduler : m_downlinkScheduler).GetFirst();
    auto answerSlot = m_timing.GetAnswerSlot(m_lastSlot); // of the downlink
    for (uint32_t i = 0; i < m_links.size(); i++)
    {
        auto& link = m_links[(first + i) % m_links.size()];
        const auto& processes = Get(link, isUplink).processes;
        for (uint32_t index = 0; index < PROCESSES && IsListening(link, m_lastSlot); index++)
        {
            auto answer = isUplink ? 0 : m_answers.GetCost(answerSlot, link.device);
            const auto& process = processes[index];
            if (process.state != HarqState::WAITING || !mayGrant[link.device] || link.control > free.control ||
                answer > free.answers || process.elements > MOST_SHORTER * elements * process.prbs)
            {
                continue;
            }
            if (auto allocation = grid.Take(free, process.prbs); !allocation.IsEmpty())
            {
                free.control -= link.control;
                if (!isUplink)
                {
                    free.answers -= answer;
                    m_answers.Add(answerSlot, link.device, m_lastSlot);
                }
                m_takenPrbs[link.device] += grid.CountPrbs(allocation);
                grants.push_back({link.device, index, allocation});
            }
        }
    }
}

void
NrCell::ScheduleDownlink(int64_t slot)
{
    auto answerSlot = m_timing.GetAnswerSlot(slot);
    NrFreePrbs free{m_downlink.grid.GetAll(), {}, m_control, m_answers.GetFree(answerSlot), GetFirstGroup(slot)};
    auto byNs = m_timing.GetDownlinkReadyNs(slot);
    std::vector<Grant> again;
    Retransmit(false, slot, std::vector<bool>(m_links.size(), true), free, again);
    for (const auto& grant : again)
    {
        Transmit(m_links[grant.device], false, grant.process, slot, grant.allocation);
    }
    std::vector<NrCandidate> candidates;
    auto elements = GetElements(false, slot);
    for (auto& link : m_links)
    {
        auto waiting = link.down.bearers.GetWaiting(byNs);
        auto& adaptation = link.down.adaptation;
        if (IsListening(link, slot) && CountBytes(waiting) > 0 && link.down.FindFree() >= 0 &&
            adaptation.GetReport(slot).cqi > NrLinkAdaptation::OUT_OF_RANGE_CQI)
        {
            const auto& bits = adaptation.GetBitsPerElement(m_gnbPsdMw, adaptation.GetRank(m_gnbPsdMw));
            auto answer = m_answers.GetCost(answerSlot, link.device);
            auto most = m_downlink.layers;
            candidates.push_back({link.device, waiting, m_prbs, elements, most, &bits, link.control, answer});
        }
    }
    m_downlinkScheduler.Allocate(slot, free, candidates, m_takenPrbs, [this](const NrCandidate& each) {
        return m_links[each.device].down.adaptation.MakeBlock(each.allocation, m_gnbPsdMw, each.elements).bits;
    });
    for (const auto& candidate : candidates)
    {
        if (!candidate.allocation.IsEmpty())
        {
            auto& link = m_links[candidate.device];
            auto index = link.down.FindFree();
            MakeBlock(link.down, false, index, candidate.allocation, m_gnbPsdMw, slot);
            auto& process = link.down.processes[index];
            link.down.bearers.Fill(process.bits / 8, byNs, process.content);
            Transmit(link, false, index, slot, candidate.allocation);
            m_answers.Add(answerSlot, link.device, slot);
        }
    }
}

double
NrCell::GetUplinkPsdMw(const Link& link, uint32_t prbs) const
{
    PowerControl control(m_numerology, m_devicePowerDbm, m_nominalPowerDbm, m_pathLossFactor);
    return control.GetPsdMw(link.pathLossDb, prbs);
}

uint32_t
NrCell::GetMostUplinkPrbs(const Link& link, const NrReport& report, uint32_t elements) const
{
    // Half as many PRBs have twice the power each, once there is no more of it.
    auto leastBits = 8 * (NrUplinkBuffer::GetReportBytes(m_qosFlows.CountGroups()) + NrRlcSender::LEAST_BYTES);
    auto prbs = m_prbs;
    while (prbs > 0 && link.up.adaptation.GetBits(report, prbs, GetUplinkPsdMw(link, prbs), elements) < leastBits)
    {
        prbs /= 2;
    }
    return prbs;
}

std::vector<NrCandidate>
NrCell::FindUplinkCandidates(int64_t slot, int64_t uplinkSlot)
{
    auto elements = GetElements(true, uplinkSlot);
    std::vector<NrCandidate> candidates;
    for (auto& link : m_links)
    {
        auto wanted = link.buffer.GetWantedBytes();
        const auto& report = link.up.adaptation.GetReport(slot);
        if (CountBytes(wanted) > 0 && report.from >= 0 && link.up.FindFree() >= 0 && IsListening(link, slot))
        {
            if (auto most = GetMostUplinkPrbs(link, report, elements))
            {
                wanted[wanted[0] == 0] += NrUplinkBuffer::GetReportBytes(m_qosFlows.CountGroups());
                candidates.push_back({link.device, wanted, most, elements, m_uplink.layers, nullptr, link.control});
            }
        }
    }
    auto isFirst = [](const NrCandidate& each) { return each.waiting[0] > 0; };
    auto first = std::count_if(candidates.begin(), candidates.end(), isFirst);
    for (auto& candidate : candidates)
    {
        auto& link = m_links[candidate.device];
        auto share = std::max<uint32_t>(m_prbs / (isFirst(candidate) ? first : candidates.size()), 1);
        auto psdMw = GetUplinkPsdMw(link, std::min(share, candidate.mostPrbs));
        candidate.bitsPerElement = &link.up.adaptation.GetBitsPerElement(psdMw, link.up.adaptation.GetRank(psdMw));
    }
    return candidates;
}

void
NrCell::GrantUplink(int64_t slot, int64_t uplinkSlot)
{
    std::vector<bool> isGranted(m_links.size(), true);
    std::vector<Grant> again;
    auto candidates = FindUplinkCandidates(slot, uplinkSlot);
    bool isConfigured = m_configuredPrbs > 0 && m_frame.HasPucch(uplinkSlot);
    std::vector<NrCandidate> given;
    NrScheduler scheduler;
    NrFreePrbs free;
    // Who gets nothing keeps its configured grant, whose PRBs then are not there for the others.
    for (bool isSettled = false; !isSettled;)
    {
        again.clear();
        given.clear();
        free = m_configured.GetFree(isGranted);
        free.control = m_control;
        free.first = GetFirstGroup(uplinkSlot);
        Retransmit(true, uplinkSlot, isGranted, free, again);
        std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(given), [&isGranted](const auto& each) {
            return isGranted[each.device];
        });
        scheduler = m_uplinkScheduler;
        scheduler.Allocate(slot, free, given, m_takenPrbs, [this](const NrCandidate& each) {
            auto& link = m_links[each.device];
            auto psdMw = GetUplinkPsdMw(link, m_uplink.grid.CountPrbs(each.allocation));
            return link.up.adaptation.MakeBlock(each.allocation, psdMw, each.elements).bits;
        });
        std::vector<bool> isServed(m_links.size(), false);
        for (const auto& grant : again)
        {
            isServed[grant.device] = true;
        }
        for (const auto& candidate : given)
        {
            isServed[candidate.device] = isServed[candidate.device] || !candidate.allocation.IsEmpty();
        }
        isSettled = !isConfigured || isServed == isGranted;
        isGranted = isServed;
    }
    m_uplinkScheduler = scheduler;
    m_control = free.control;
    std::vector<Grant> grants = std::move(again);
    for (const auto& grant : grants)
    {
        m_links[grant.device].up.processes[grant.process].state = HarqState::FLYING;
    }
    for (const auto& candidate : given)
    {
        if (!candidate.allocation.IsEmpty())
        {
            auto& link = m_links[candidate.device];
            auto index = static_cast<uint32_t>(link.up.FindFree());
            auto psdMw = GetUplinkPsdMw(link, m_uplink.grid.CountPrbs(candidate.allocation));
            MakeBlock(link.up, true, index, candidate.allocation, psdMw, uplinkSlot);
            link.buffer.Grant(link.up.processes[index].bits / 8, uplinkSlot);
            grants.push_back({link.device, index, candidate.allocation});
        }
    }
    for (const auto& grant : grants)
    {
        m_links[grant.device].requests.AddGrant();
        NoteGranted(m_links[grant.device], true, grant.process, slot);
    }
    if (!grants.empty())
    {
        m_grants[uplinkSlot] = std::move(grants);
    }
}

void
NrCell::Fill(Link& link, Process& process, int64_t slot)
{
    auto byNs = m_timing.GetUplinkReadyNs(slot);
    auto bytes = process.bits / 8;
    auto reportBytes = NrUplinkBuffer::GetReportBytes(m_qosFlows.CountGroups());
    link.up.bearers.Fill(bytes - std::min(bytes, reportBytes), byNs, process.content);
    process.waiting = NrUplinkBuffer::GetStatus(link.up.bearers.GetWaiting(byNs));
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
            Transmit(link, true, grant.process, slot, grant.allocation);
        }
        m_grants.erase(found);
    }
    if (m_configuredPrbs > 0 && m_frame.HasPucch(slot))
    {
        UseConfiguredGrants(slot, busy);
    }
}

void
NrCell::UseConfiguredGrants(int64_t slot, const std::vector<bool>& busy)
{
    auto byNs = m_timing.GetUplinkReadyNs(slot);
    for (auto& link : m_links)
    {
        auto index = link.up.FindFree();
        const auto& report = link.up.adaptation.GetReport(slot);
        if (!link.isServed || busy[link.device] || index < 0 || CountBytes(link.up.bearers.GetWaiting(byNs)) == 0 ||
            report.from < 0)
        {
            continue;
        }
        auto allocation = m_configured.Get(link.device, GetMostUplinkPrbs(link, report, m_uplink.elements));
        if (!allocation.IsEmpty())
        {
            auto psdMw = GetUplinkPsdMw(link, m_uplink.grid.CountPrbs(allocation));
            MakeBlock(link.up, true, index, allocation, psdMw, slot);
            Fill(link, link.up.processes[index], slot);
            Transmit(link, true, index, slot, allocation);
        }
    }
}

void
NrCell::RequestUplink(int64_t slot)
{
    auto now = m_frame.GetStartNs(slot);
    for (auto& link : m_links)
    {
        if (link.isServed &&
            link.requests.Request(link.up.bearers.GetWaiting(now), now, m_statusTimer.GetNanoSeconds()))
        {
            AddNews(m_timing.GetRequestKnownSlot(slot), {News::Kind::REQUEST, link.device, 0, slot});
        }
    }
}

void
NrCell::Transmit(Link& link, bool isUplink, uint32_t index, int64_t slot, const NrAllocation& allocation)
{
    auto prbs = (isUplink ? m_uplink : m_downlink).grid.CountPrbs(allocation);
    Get(link, isUplink).processes[index].state = HarqState::FLYING;
    m_sent[isUplink].push_back({link.device, index, allocation, isUplink ? GetUplinkPsdMw(link, prbs) : m_gnbPsdMw});
    auto now = Simulator::Now().GetNanoSeconds();
    link.lastActiveNs = now;
    if (isUplink)
    {
        link.requests.Send(now);
    }
    else
    {
        NoteGranted(link, false, index, slot);
    }
    auto kind = isUplink ? News::Kind::UPLINK_RESULT : News::Kind::DOWNLINK_RESULT;
    AddNews(m_timing.GetKnownSlot(isUplink, slot), {kind, link.device, index, slot});
}

uint32_t
NrCell::GetFirstGroup(int64_t slot) const
{
    return m_cells ? m_cells->GetFirstGroup(*this, slot) : 0;
}

void
NrCell::DeliverAll(bool isUplink, int64_t atNs)
{
    for (auto& arrival : m_arrivals)
    {
        auto node = isUplink ? m_gnb : m_links[arrival.device].node;
        auto& lastNs = m_links[arrival.device].lastDeliveryNs;
        lastNs = std::max(lastNs, atNs);
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
            if (segment.status)
            {
                Get(m_links[device], !isUplink).bearers.LearnStatus(segment);
            }
            else
            {
                Get(m_links[device], isUplink).bearers.Receive(segment);
            }
        }
    }
}

uint32_t
NrCell::GetReportPeriod() const
{
    auto period = m_frame.GetPeriod();
    uint32_t uplinkSlots = 0;
    for (uint32_t slot = 0; slot < period; slot++)
    {
        uplinkSlots += m_frame.HasPucch(slot) ? 1 : 0;
    }
    uint32_t served = std::count_if(m_links.begin(), m_links.end(), [](const Link& link) { return link.isServed; });
    auto needed = (served + m_controlChannel.CountReports() - 1) / m_controlChannel.CountReports();
    return std::max(m_reportPeriod * m_frame.GetParts(), (needed * period + uplinkSlots - 1) / uplinkSlots);
}

void
NrCell::ReportAll()
{
    Report();
    m_reporting = Simulator::Schedule(NanoSeconds(GetReportPeriod() * m_frame.GetSlotNs()), &NrCell::ReportAll, this);
}

void
NrCell::Report()
{
    m_lastReportNs = Simulator::Now().GetNanoSeconds();
    auto slot = m_frame.GetSlotFrom(m_lastReportNs);
    if (m_neighbours)
    {
        m_neighbours->Renew();
    }
    for (auto& link : m_links)
    {
        if (link.isServed || IsReleased(link.device))
        {
            Report(link, slot);
        }
    }
}

void
NrCell::Report(Link& link, int64_t slot)
{
    auto from = slot + int64_t{m_reportDelay} * m_frame.GetParts();
    Measure(link, false, m_gnbPsdMw, slot, from);
    link.control = m_controlChannel.GetAggregationLevel(link.down.adaptation.GetLatest().layers[0].wideDb);
    const auto& gains = m_channel->GetUplink(link.device);
    double sum = 0;
    for (const auto& gain : gains)
    {
        sum += gain.single;
    }
    link.pathLossDb = -ToDb(std::max(sum / gains.size() * m_channel->GetNoiseMw(true), 1e-30));
    Measure(link, true, GetUplinkPsdMw(link, m_prbs), slot, from);
    if (IsInRange(link))
    {
        link.lastInRangeNs = m_lastReportNs;
    }
}

void
NrCell::Discard(uint32_t device, uint32_t exchange)
{
    m_links[device].down.bearers.Discard(exchange);
    m_links[device].up.bearers.Discard(exchange);
}

} // namespace ns3::cosim
