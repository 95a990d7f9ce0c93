// SPDX-License-Identifier: GPL-2.0-only
// How a cell releases the connections of its devices, and has them again.
#include "nr-cell.h"
#include "nr-cells.h"

#include "ns3/simulator.h"

#include <tuple>
#include <utility>

namespace ns3::cosim
{

void
NrCell::SetConnection(const NrConnectionSettings& settings)
{
    m_connection = settings;
}

void
NrCell::BeginConnections()
{
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
NrCell::IsInRange(uint32_t device)
{
    if (m_neighbours)
    {
        m_neighbours->Renew();
    }
    // What the gNB knows of the link stays as it is: nothing is reported.
    auto& link = m_links[device];
    auto down = link.down.adaptation;
    auto up = link.up.adaptation;
    auto known = std::tuple(link.pathLossDb, link.control, link.lastInRangeNs);
    Report(link, m_frame.GetSlotFrom(Simulator::Now().GetNanoSeconds()));
    bool isInRange = IsInRange(link);
    link.down.adaptation = std::move(down);
    link.up.adaptation = std::move(up);
    std::tie(link.pathLossDb, link.control, link.lastInRangeNs) = known;
    return isInRange;
}

NrConnections*
NrCell::Camp(uint32_t device)
{
    return (m_cells ? m_cells->Reselect(device)->m_connections : m_connections).get();
}

void
NrCell::TakeReleased(uint32_t device, NrCell& from)
{
    TakeOver(device, from);
    Detach(device);
}

void
NrCell::Connect(uint32_t device, int64_t completeSlot)
{
    if (m_neighbours)
    {
        m_neighbours->Renew();
    }
    TakeOver(device, *this);
    auto& link = m_links[device];
    auto status = NrUplinkBuffer::GetStatus(link.up.sender.GetBytes(m_timing.GetUplinkReadyNs(completeSlot)));
    link.buffer.LearnStatus(status, completeSlot);
    link.requests.TellStatus(status);
    link.requests.Send(m_frame.GetStartNs(completeSlot));
}

} // namespace ns3::cosim
