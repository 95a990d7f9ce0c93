// SPDX-License-Identifier: GPL-2.0-only
// How devices go from cell to cell.
#include "decibel.h"
#include "nr-cells.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t BURSTS = 10;                 // of SSBs, of which a measurement is: 200 ms, TS 38.133 table 9.2.5.2-1
constexpr int64_t BURST_PERIOD_NS = 20'000'000; // TS 38.213 clause 4.1

} // namespace

void
NrCells::BeginMeasuring()
{
    m_measuring = Simulator::Schedule(NanoSeconds(BURST_PERIOD_NS), &NrCells::Measure, this);
}

void
NrCells::Measure()
{
    m_interference.Renew();
    bool isWhole = ++m_bursts % BURSTS == 0;
    for (uint32_t i = 0; i < m_devices.size(); i++)
    {
        auto& device = m_devices[i];
        for (uint32_t cell = 0; cell < m_cells.size(); cell++)
        {
            device.measurements.AddSample(cell, FromDb(GetRsrpDbm(cell, i)));
        }
        if (isWhole && device.measurements.Filter(Simulator::Now().GetNanoSeconds(), GetServing(i), m_hysteresisDb))
        {
            Simulator::Schedule(m_timeToTrigger, &NrCells::CheckEvent, this, i);
        }
        else if (isWhole)
        {
            CheckEvent(i); // what could not be reported before
        }
    }
    BeginMeasuring();
}

void
NrCells::CheckEvent(uint32_t index)
{
    auto& device = m_devices[index];
    if (device.phase != Phase::SERVED || !IsConnected(index) || GetCell(index)->IsReleased(index))
    {
        return;
    }
    auto now = Simulator::Now().GetNanoSeconds();
    auto target = device.measurements.FindTriggered(now, m_timeToTrigger.GetNanoSeconds());
    if (target >= 0)
    {
        device.target = target;
        device.isAdmitted = HasRoom(device.target);
        device.phase = Phase::PREPARING;
        device.next = Simulator::Schedule(m_preparation, &NrCells::Command, this, index);
        Tell(Kind::REPORTED, index, GetServing(index), device.target);
    }
}

void
NrCells::Command(uint32_t index)
{
    auto& device = m_devices[index];
    device.phase = Phase::SERVED;
    device.measurements.Reset();
    if (!device.isAdmitted)
    {
        Tell(Kind::REFUSED, index, GetServing(index), device.target);
    }
    else if (IsConnected(index) && !GetCell(index)->IsReleased(index)) // else the command is lost
    {
        device.phase = Phase::MOVING;
        Tell(Kind::COMMANDED, index, GetServing(index), device.target);
        GetCell(index)->Detach(index);
        Leave(index, m_interruption, &NrCells::Arrive);
    }
}

void
NrCells::Leave(uint32_t device, Time later, void (NrCells::*next)(uint32_t))
{
    auto receivedNs = GetCell(device)->GetLastDeliveryNs(device) - Simulator::Now().GetNanoSeconds();
    later = std::max(later, NanoSeconds(receivedNs));
    m_devices[device].next = Simulator::Schedule(later, next, this, device);
}

bool
NrCells::Move(uint32_t device, uint32_t cell)
{
    m_interference.Renew();
    auto before = GetCell(device);
    m_interference.SetServing(device, cell);
    m_devices[device].phase = Phase::SERVED;
    m_devices[device].lostNs = -1;
    m_devices[device].measurements.Reset();
    m_cells[cell]->TakeOver(device, *before);
    return m_cells[cell]->IsConnected(device);
}

Ptr<NrCell>
NrCells::Reselect(uint32_t index)
{
    m_interference.Renew();
    auto from = GetServing(index);
    m_devices[index].phase = Phase::NOWHERE; // its own place is free for it
    auto target = FindStrongest(index);
    m_devices[index].phase = Phase::SERVED;
    if (target != from)
    {
        m_interference.SetServing(index, target);
        m_devices[index].measurements.Reset();
        m_cells[target]->TakeReleased(index, *m_cells[from]);
        Tell(Kind::RESELECTED, index, from, target);
    }
    return m_cells[target];
}

void
NrCells::Arrive(uint32_t index)
{
    auto from = GetServing(index);
    auto target = m_devices[index].target;
    if (Move(index, target))
    {
        Tell(Kind::ARRIVED, index, from, target);
    }
    else
    {
        Fail(index);
    }
}

void
NrCells::WatchLinks()
{
    auto now = Simulator::Now().GetNanoSeconds();
    for (uint32_t i = 0; i < m_devices.size(); i++)
    {
        auto& device = m_devices[i];
        if (!IsServed(i) || IsConnected(i))
        {
            device.lostNs = -1;
            continue;
        }
        device.lostNs = device.lostNs < 0 ? now : device.lostNs;
        if (now - device.lostNs >= m_failure.GetNanoSeconds())
        {
            Fail(i);
        }
    }
}

void
NrCells::Fail(uint32_t index)
{
    auto& device = m_devices[index];
    device.next.Cancel();
    device.phase = Phase::FAILED;
    device.measurements.Reset();
    Tell(Kind::FAILED, index, GetServing(index), GetServing(index));
    GetCell(index)->Detach(index);
    Leave(index, m_reestablishment, &NrCells::Reestablish);
}

void
NrCells::Reestablish(uint32_t index)
{
    auto from = GetServing(index);
    m_interference.Renew();
    auto target = FindStrongest(index);
    if (Move(index, target))
    {
        Tell(Kind::REESTABLISHED, index, from, target);
    }
    else
    {
        m_devices[index].phase = Phase::FAILED;
        GetCell(index)->Detach(index);
        Leave(index, m_reestablishment, &NrCells::Reestablish);
    }
}

} // namespace ns3::cosim
