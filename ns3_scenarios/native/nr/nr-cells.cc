// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cells.h"

#include "decibel.h"
#include "sector-load.h"

#include "ns3/double.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <utility>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrCells);

namespace
{

constexpr double NEW_WEIGHT = 0.25; // of the latest report's period in the average of what is sent; ours

} // namespace

NrCells::NrCells() = default;

NrCells::~NrCells()
{
    Release();
}

TypeId
NrCells::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::NrCells")
                            .SetParent<Object>()
                            .SetGroupName("Cosim")
                            .AddConstructor<NrCells>()
                            .AddAttribute("Hysteresis",
                                          "Of event A3 (TS 38.331 clause 5.5.4.4), in dB.",
                                          DoubleValue(3),
                                          MakeDoubleAccessor(&NrCells::m_hysteresisDb),
                                          MakeDoubleChecker<double>(0))
                            .AddAttribute("TimeToTrigger",
                                          "For so long its condition holds before it is reported.",
                                          TimeValue(MilliSeconds(256)),
                                          MakeTimeAccessor(&NrCells::m_timeToTrigger),
                                          MakeTimeChecker(Time()))
                            .AddAttribute("PreparationTime",
                                          "From that report until the device leaves its cell.",
                                          TimeValue(MilliSeconds(20)),
                                          MakeTimeAccessor(&NrCells::m_preparation),
                                          MakeTimeChecker(Time()))
                            .AddAttribute("InterruptionTime",
                                          "From then on until the other cell serves it.",
                                          TimeValue(MilliSeconds(50)),
                                          MakeTimeAccessor(&NrCells::m_interruption),
                                          MakeTimeChecker(Time()))
                            .AddAttribute("FailureTime",
                                          "For so long a connection is lost before the radio link has failed (T310).",
                                          TimeValue(Seconds(1)),
                                          MakeTimeAccessor(&NrCells::m_failure),
                                          MakeTimeChecker(Time()))
                            .AddAttribute("ReestablishmentTime",
                                          "From then on until the strongest cell serves it, and between two tries.",
                                          TimeValue(MilliSeconds(200)),
                                          MakeTimeAccessor(&NrCells::m_reestablishment),
                                          MakeTimeChecker(NanoSeconds(1)))
                            .AddAttribute("MostDevices",
                                          "That a cell admits, those on their way to it included; 0: any number.",
                                          UintegerValue(0),
                                          MakeUintegerAccessor(&NrCells::m_mostDevices),
                                          MakeUintegerChecker<uint32_t>())
                            .AddTraceSource("Mobility",
                                            "A device is handed over, or its radio link fails.",
                                            MakeTraceSourceAccessor(&NrCells::m_mobilityTrace),
                                            "ns3::cosim::NrMobilityTrace")
                            .AddTraceSource("Slot",
                                            "All cells have sent what this slot carries, and none has received it.",
                                            MakeTraceSourceAccessor(&NrCells::m_slotTrace),
                                            "ns3::TracedValueCallback::Int64");
    return tid;
}

void
NrCells::Release()
{
    for (const auto& cell : m_cells)
    {
        cell->SetCells(nullptr);
    }
    m_cells.clear();
    m_channels.clear();
    m_interference = {};
}

void
NrCells::DoDispose()
{
    m_tick.Cancel();
    m_reporting.Cancel();
    m_measuring.Cancel();
    for (auto& device : m_devices)
    {
        device.next.Cancel();
    }
    Release();
    Object::DoDispose();
}

void
NrCells::AddCell(Ptr<NrCell> cell, Ptr<NrChannel> channel, Ptr<MobilityModel> gnb, Ptr<PhasedArrayModel> antenna)
{
    cell->SetCells(this);
    m_cells.push_back(cell);
    m_channels.push_back(channel);
    m_interference.AddCell(channel, gnb, antenna);
}

void
NrCells::AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    m_interference.AddDevice(mobility, antenna);
    m_devices.push_back({.measurements = NrMeasurements(m_cells.size())});
    for (auto isUplink : {false, true})
    {
        m_sentMw[isUplink].push_back(0);
        m_meanMw[isUplink].push_back(0);
    }
}

void
NrCells::Begin()
{
    const auto& frame = m_cells.front()->GetFrame();
    m_grid = NrGrid(m_cells.front()->GetPrbs());
    for (uint32_t slot = 0; slot < frame.GetPeriod(); slot++)
    {
        m_use[false] += frame.GetPdschSymbols(slot) > 0 ? 1.0 / frame.GetPeriod() : 0;
        m_use[true] += frame.GetPuschSymbols(slot) > 0 ? 1.0 / frame.GetPeriod() : 0;
    }
    m_reporting = Simulator::ScheduleNow(&NrCells::Report, this);
    BeginMeasuring();
}

uint32_t
NrCells::CountCells() const
{
    return m_cells.size();
}

uint32_t
NrCells::CountDevices() const
{
    return m_devices.size();
}

Ptr<NrCell>
NrCells::Get(uint32_t cell) const
{
    return m_cells[cell];
}

uint32_t
NrCells::GetServing(uint32_t device) const
{
    return m_interference.GetServing(device);
}

Ptr<NrCell>
NrCells::GetCell(uint32_t device) const
{
    return m_cells[GetServing(device)];
}

std::vector<Ptr<Channel>>
NrCells::GetChannels() const
{
    return {m_channels.begin(), m_channels.end()};
}

double
NrCells::GetRsrpDbm(uint32_t cell, uint32_t device) const
{
    return ToDb(m_cells[cell]->GetGnbPsdMw() / SUBCARRIERS * m_interference.GetCoupling(cell, device));
}

bool
NrCells::HasNewsSince(int64_t sinceNs) const
{
    return m_movedNs >= sinceNs || std::any_of(m_cells.begin(), m_cells.end(), [sinceNs](const auto& cell) {
               return cell->HasNewsSince(sinceNs);
           });
}

bool
NrCells::IsConnected(uint32_t device) const
{
    auto phase = m_devices[device].phase;
    return phase == Phase::MOVING || (IsServed(device) && GetCell(device)->IsConnected(device));
}

bool
NrCells::IsServed(uint32_t device) const
{
    auto phase = m_devices[device].phase;
    return phase == Phase::SERVED || phase == Phase::PREPARING;
}

void
NrCells::SetShares(uint32_t count, const double* shares)
{
    for (const auto& cell : m_cells)
    {
        cell->SetShares(count, shares);
    }
}

void
NrCells::ClearShares()
{
    for (const auto& cell : m_cells)
    {
        cell->ClearShares();
    }
}

uint32_t
NrCells::CountIn(uint32_t cell) const
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m_devices.size(); i++)
    {
        const auto& device = m_devices[i];
        bool isComing = device.phase == Phase::PREPARING && device.isAdmitted && device.target == cell;
        bool isMoving = device.phase == Phase::MOVING && device.target == cell;
        count += isComing || isMoving || (IsServed(i) && GetServing(i) == cell) ? 1 : 0;
    }
    return count;
}

bool
NrCells::HasRoom(uint32_t cell) const
{
    return m_mostDevices == 0 || CountIn(cell) < m_mostDevices;
}

uint32_t
NrCells::FindStrongest(uint32_t device) const
{
    auto best = GetServing(device);
    bool isAny = false;
    for (uint32_t cell = 0; cell < m_cells.size(); cell++)
    {
        bool isBetter = m_interference.GetCoupling(cell, device) > m_interference.GetCoupling(best, device);
        if (HasRoom(cell) && (isBetter || !isAny))
        {
            best = cell;
            isAny = true;
        }
    }
    return best;
}

void
NrCells::Tell(Kind kind, uint32_t device, uint32_t cell, uint32_t other)
{
    auto now = Simulator::Now().GetNanoSeconds();
    m_movedNs = now;
    m_mobilityTrace({kind, now, device, cell, other});
}

void
NrCells::Wake()
{
    if (!m_tick.IsPending())
    {
        const auto& frame = m_cells.front()->GetFrame();
        auto now = Simulator::Now().GetNanoSeconds();
        auto slot = std::max(frame.GetSlotFrom(now), m_lastSlot + 1);
        m_tick = Simulator::Schedule(NanoSeconds(frame.GetStartNs(slot) - now), &NrCells::Tick, this);
    }
}

void
NrCells::Tick()
{
    const auto& frame = m_cells.front()->GetFrame();
    auto slot = frame.GetSlotFrom(Simulator::Now().GetNanoSeconds());
    m_lastSlot = slot;
    std::vector<Ptr<NrCell>> active;
    std::copy_if(m_cells.begin(), m_cells.end(), std::back_inserter(active), [](const auto& cell) {
        return cell->IsActive();
    });
    for (const auto& cell : active)
    {
        cell->Send(slot);
    }
    NoteSent(slot);
    m_slotTrace(slot);
    for (const auto& cell : active)
    {
        cell->Receive(slot);
    }
    if (std::any_of(m_cells.begin(), m_cells.end(), [](const auto& cell) { return cell->IsActive(); }))
    {
        m_tick = Simulator::Schedule(NanoSeconds(frame.GetSlotNs()), &NrCells::Tick, this);
    }
}

void
NrCells::NoteSent(int64_t slot)
{
    for (const auto& cell : m_cells)
    {
        for (auto isUplink : {false, true})
        {
            for (const auto& sent : cell->GetSent(isUplink, slot))
            {
                m_sentMw[isUplink][sent.device] += sent.psdMw * m_grid.CountPrbs(sent.allocation);
            }
        }
    }
}

void
NrCells::Average(int64_t slot)
{
    for (auto isUplink : {false, true})
    {
        auto slots = m_use[isUplink] * (slot - m_averagedSlot);
        for (uint32_t device = 0; device < CountDevices(); device++)
        {
            auto latest = slots > 0 ? m_sentMw[isUplink][device] / (slots * m_grid.GetPrbs()) : 0;
            auto& mean = m_meanMw[isUplink][device];
            mean += NEW_WEIGHT * (latest - mean);
            m_sentMw[isUplink][device] = 0;
        }
    }
    m_averagedSlot = slot;
}

void
NrCells::Choose()
{
    auto isNowhere = [](const Device& device) { return device.phase == Phase::NOWHERE; };
    if (std::none_of(m_devices.begin(), m_devices.end(), isNowhere))
    {
        return;
    }
    m_interference.Renew();
    for (uint32_t device = 0; device < CountDevices(); device++)
    {
        if (m_devices[device].phase == Phase::NOWHERE)
        {
            auto cell = FindStrongest(device);
            m_interference.SetServing(device, cell);
            m_devices[device].phase = Phase::SERVED;
            m_cells[cell]->Attach(device);
        }
    }
}

void
NrCells::Report()
{
    const auto& frame = m_cells.front()->GetFrame();
    Choose();
    Average(frame.GetSlotFrom(Simulator::Now().GetNanoSeconds()));
    uint32_t period = 1;
    for (const auto& cell : m_cells)
    {
        cell->Report();
        period = std::max(period, cell->GetReportPeriod());
    }
    WatchLinks();
    m_reporting = Simulator::Schedule(NanoSeconds(period * frame.GetSlotNs()), &NrCells::Report, this);
}

uint32_t
NrCells::GetFirstGroup(const NrCell& cell, int64_t slot) const
{
    auto isIt = [&cell](const Ptr<NrCell>& each) { return PeekPointer(each) == &cell; };
    auto number = std::find_if(m_cells.begin(), m_cells.end(), isIt) - m_cells.begin();
    return (Mix(slot * m_cells.size() + number) >> 32) * m_grid.CountGroups() >> 32;
}

const std::vector<double>&
NrCells::GetInterferenceMw(uint32_t device, bool isUplink, int64_t slot)
{
    m_received.assign(m_grid.GetPrbs(), 0.0);
    for (uint32_t cell = 0; cell < m_cells.size(); cell++)
    {
        if (cell == GetServing(device))
        {
            continue;
        }
        for (const auto& sent : m_cells[cell]->GetSent(isUplink, slot))
        {
            auto gain =
                isUplink ? m_interference.GetUp(device, sent.device) : m_interference.GetDown(device, sent.device);
            m_grid.ForEach(sent.allocation, [this, mw = gain * sent.psdMw](uint32_t, uint32_t begin, uint32_t end) {
                std::for_each(m_received.begin() + begin, m_received.begin() + end, [mw](double& prb) { prb += mw; });
            });
        }
    }
    return m_received;
}

double
NrCells::GetMeanInterferenceMw(uint32_t device, bool isUplink)
{
    double sum = 0;
    for (uint32_t other = 0; other < CountDevices(); other++)
    {
        auto mw = m_meanMw[isUplink][other];
        if (mw > 0 && GetServing(other) != GetServing(device))
        {
            sum += mw * (isUplink ? m_interference.GetUp(device, other) : m_interference.GetDown(device, other));
        }
    }
    return sum;
}

} // namespace ns3::cosim
