// SPDX-License-Identifier: GPL-2.0-only
// How a cell releases the connections of its devices and has them again, and when they listen.
#include "nr-cell.h"
#include "nr-cells.h"

#include "ns3/simulator.h"

namespace ns3::cosim
{

void
NrCell::SetConnection(const NrConnectionSettings& settings)
{
    m_connection = settings;
}

void
NrCell::SetDrx(const NrDrxSettings& settings)
{
    m_drx = settings;
}

void
NrCell::Arouse(uint32_t device, bool isUplink)
{
    if (IsReleased(device))
    {
        m_connections->Ask(device, isUplink);
    }
    else
    {
        Wake();
    }
}

void
NrCell::BeginDrx(Link& link, int64_t slot)
{
    if (m_drx.isOn)
    {
        link.drx.emplace(m_frame, m_drx, link.device, PROCESSES).Begin(slot);
    }
}

bool
NrCell::IsListening(const Link& link, int64_t slot) const
{
    return link.isServed && (!m_primary || IsAggregated(link.device)) &&
           (!link.drx || link.requests.IsRequesting() || link.drx->IsActive(slot));
}

void
NrCell::NoteGranted(Link& link, bool isUplink, uint32_t process, int64_t slot)
{
    if (link.drx)
    {
        link.drx->Learn(isUplink, process, slot, Get(link, isUplink).processes[process].transmissions == 0);
    }
}

void
NrCell::NoteSent(Link& link, bool isUplink, uint32_t process, int64_t slot)
{
    if (!link.drx)
    {
        return;
    }
    if (isUplink)
    {
        link.drx->Send(process, slot);
    }
    else
    {
        link.drx->Answer(process, m_timing.GetAnswerSlot(slot), link.down.processes[process].isDecoded);
    }
}

void
NrCell::BeginConnections()
{
    for (auto& link : m_links)
    {
        BeginDrx(link, 0);
    }
    if (!m_connection.isOn)
    {
        return;
    }
    auto tell = [this](const NrConnectionTrace& trace) { m_connectionTrace(trace); };
    m_connections = std::make_unique<NrConnections>(*this, m_frame, m_timing, m_connection, tell);
    for (const auto& link : m_links)
    {
        if (link.isServed)
        {
            m_connections->Watch(link.device);
        }
    }
}

NrConnections*
NrCell::GetConnections() const
{
    return m_connections.get();
}

bool
NrCell::IsInRange(uint32_t device) const
{
    return IsInRange(m_links[device]);
}

NrLinkState
NrCell::GetKnown(uint32_t device, bool isUplink) const
{
    auto state = GetState(device, isUplink);
    if (IsReleased(device))
    {
        auto known = m_links[device].known[isUplink];
        known.queueBytes = state.queueBytes;
        return known;
    }
    return state;
}

void
NrCell::ReleaseConnection(uint32_t device)
{
    m_links[device].known = {GetState(device, false), GetState(device, true)};
    Detach(device);
}

NrConnections*
NrCell::Camp(uint32_t device)
{
    return (m_cells ? m_cells->Reselect(device)->m_connections : m_connections).get();
}

void
NrCell::TakeReleased(uint32_t device, NrCell& from)
{
    m_links[device].known = from.m_links[device].known;
    TakeOver(device, from);
    Detach(device);
}

void
NrCell::Connect(uint32_t device, int64_t completeSlot)
{
    TakeOver(device, *this);
    auto& link = m_links[device];
    auto status = NrUplinkBuffer::GetStatus(link.up.bearers.GetWaiting(m_timing.GetUplinkReadyNs(completeSlot)));
    link.buffer.LearnStatus(status, completeSlot);
    link.requests.TellStatus(status);
    link.requests.Send(m_frame.GetStartNs(completeSlot));
}

} // namespace ns3::cosim
