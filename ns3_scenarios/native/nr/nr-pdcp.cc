// SPDX-License-Identifier: GPL-2.0-only
#include "nr-pdcp.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace ns3::cosim
{

NrPdcpReceiver::NrPdcpReceiver(Time reordering, Deliver deliver)
    : m_reordering(reordering),
      m_deliver(std::move(deliver))
{
}

NrPdcpReceiver::~NrPdcpReceiver()
{
    m_timer.Cancel();
}

void
NrPdcpReceiver::Receive(uint32_t count, Ptr<Packet> sdu)
{
    if (count < m_deliv || !m_held.try_emplace(count, sdu).second)
    {
        return; // too late, or a second time
    }
    m_next = std::max(m_next, count + 1);
    DeliverInOrder();
    Watch();
}

void
NrPdcpReceiver::DeliverInOrder()
{
    while (!m_held.empty() && m_held.begin()->first == m_deliv)
    {
        auto sdu = m_held.begin()->second;
        m_held.erase(m_held.begin());
        m_deliv++;
        m_deliver(sdu);
    }
}

void
NrPdcpReceiver::Watch()
{
    if (m_timer.IsPending() && m_deliv >= m_reorder)
    {
        m_timer.Cancel();
    }
    if (!m_timer.IsPending() && m_deliv < m_next && m_reordering.IsStrictlyPositive())
    {
        m_reorder = m_next;
        m_timer = Simulator::Schedule(m_reordering, &NrPdcpReceiver::HandleTimeout, this);
    }
}

void
NrPdcpReceiver::HandleTimeout()
{
    while (!m_held.empty() && m_held.begin()->first < m_reorder)
    {
        auto sdu = m_held.begin()->second;
        m_held.erase(m_held.begin());
        m_deliver(sdu);
    }
    m_deliv = std::max(m_deliv, m_reorder);
    DeliverInOrder();
    Watch();
}

} // namespace ns3::cosim
