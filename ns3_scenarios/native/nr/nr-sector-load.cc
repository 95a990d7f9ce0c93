// SPDX-License-Identifier: GPL-2.0-only
#include "nr-sector-load.h"

#include <cmath>
#include <utility>

namespace ns3::cosim
{

uint64_t
Mix(uint64_t key)
{
    key += 0x9e3779b97f4a7c15;
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9;
    key = (key ^ (key >> 27)) * 0x94d049bb133111eb;
    return key ^ (key >> 31);
}

namespace
{

/// Above 0, and below or equal to 1.
double
ToUniform(uint64_t mixed)
{
    return std::ldexp((mixed >> 11) + 1, -53);
}

} // namespace

NrSectorLoad::NrSectorLoad(std::vector<NrLoadStep> steps, bool isRandom, uint64_t key)
    : m_steps(std::move(steps)),
      m_isRandom(isRandom),
      m_key(key)
{
    if (m_isRandom)
    {
        double all = 0;
        for (const auto& step : m_steps)
        {
            all += step.ns;
        }
        auto at = all * ToUniform(Mix(m_key + m_drawn++));
        while (m_step + 1 < m_steps.size() && at > m_steps[m_step].ns)
        {
            at -= m_steps[m_step++].ns;
        }
    }
    m_endNs = DrawNs();
}

double
NrSectorLoad::DrawNs()
{
    auto ns = m_steps[m_step].ns;
    return m_isRandom ? -ns * std::log(ToUniform(Mix(m_key + m_drawn++))) : ns;
}

double
NrSectorLoad::GetShare(double atNs)
{
    while (atNs >= m_endNs)
    {
        m_step = (m_step + 1) % m_steps.size();
        m_endNs += DrawNs();
    }
    return m_steps[m_step].share;
}

} // namespace ns3::cosim
