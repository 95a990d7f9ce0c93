// SPDX-License-Identifier: GPL-2.0-only
#include "battery.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ns3::cosim
{

namespace
{

constexpr double NJ_PER_J = 1e9;
constexpr double LONGEST_NS = 9e18; // of 63 bits of virtual time

} // namespace

Battery::Battery(double capacityJ, const Powers& powersW, std::function<void()> empty)
    : m_leftNj(capacityJ * NJ_PER_J),
      m_powersW(powersW),
      m_empty(std::move(empty))
{
    Enter(m_phase);
}

void
Battery::Enter(DevicePhase phase)
{
    auto now = Simulator::Now().GetNanoSeconds();
    m_leftNj = std::max(0.0, m_leftNj - GetPowerW() * static_cast<double>(now - m_sinceNs));
    m_sinceNs = now;
    m_phase = phase;
    m_end.Cancel();
    if (auto leftNs = m_leftNj / GetPowerW(); leftNs + static_cast<double>(now) < LONGEST_NS)
    {
        m_end = Simulator::Schedule(NanoSeconds(std::llround(leftNs)), m_empty);
    }
}

double
Battery::GetPowerW() const
{
    return m_powersW[static_cast<size_t>(m_phase)];
}

} // namespace ns3::cosim
