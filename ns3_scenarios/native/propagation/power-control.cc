// SPDX-License-Identifier: GPL-2.0-only
#include "power-control.h"

#include "decibel.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

PowerControl::PowerControl(uint32_t numerology, double mostDbm, double nominalDbm, double pathLossFactor)
    : m_numerology(numerology),
      m_mostDbm(mostDbm),
      m_nominalDbm(nominalDbm),
      m_pathLossFactor(pathLossFactor)
{
}

double
PowerControl::GetPsdMw(double pathLossDb, uint32_t prbs) const
{
    auto open = m_nominalDbm + 10 * std::log10(double(1 << m_numerology) * prbs) + m_pathLossFactor * pathLossDb;
    return FromDb(std::min(m_mostDbm, open)) / prbs;
}

} // namespace ns3::cosim
