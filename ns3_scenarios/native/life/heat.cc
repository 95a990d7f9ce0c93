// SPDX-License-Identifier: GPL-2.0-only
#include "heat.h"

#include "units.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

namespace
{

constexpr double PRECISION = 1e-12; // relative, of a step that is the last

} // namespace

Heat::Heat(double warmingS, double coolingS, double threshold, double slowest)
    : m_warmingNs(warmingS * NS_PER_S),
      m_coolingNs(coolingS * NS_PER_S),
      m_threshold(threshold),
      m_slowest(slowest)
{
}

void
Heat::Enter(DevicePhase phase)
{
    m_warmth = GetWarmth();
    m_sinceNs = Simulator::Now().GetNanoSeconds();
    m_computes = phase == DevicePhase::COMPUTING;
}

double
Heat::GetWarmth() const
{
    auto past = static_cast<double>(Simulator::Now().GetNanoSeconds() - m_sinceNs);
    return m_computes ? 1 - (1 - m_warmth) * std::exp(-past / m_warmingNs) : m_warmth * std::exp(-past / m_coolingNs);
}

int64_t
Heat::GetComputeNs(int64_t fullSpeedNs) const
{
    // At full speed until the threshold, if the work lasts so long.
    double warmth = GetWarmth();
    double coldness = std::min(1 - warmth, 1 - m_threshold); // when the speed begins to fall
    double fullNs = warmth < m_threshold ? m_warmingNs * std::log((1 - warmth) / coldness) : 0;
    double work = static_cast<double>(fullSpeedNs) - fullNs;
    if (work <= 0)
    {
        return fullSpeedNs;
    }
    // From there on the speed is slowest + fall * exp(-t / warming). What is done by t is concave in t, so that
    // Newton's steps from t = work, where too little is done, approach the instant from below.
    double fall = (1 - m_slowest) / (1 - m_threshold) * coldness;
    double t = work;
    for (double step = t; step > PRECISION * t;)
    {
        double decay = std::exp(-t / m_warmingNs);
        double done = m_slowest * t + fall * m_warmingNs * (1 - decay);
        step = (work - done) / (m_slowest + fall * decay);
        t += step;
    }
    return std::llround(fullNs + t);
}

} // namespace ns3::cosim
