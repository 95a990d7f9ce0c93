// SPDX-License-Identifier: GPL-2.0-only
#include "nr-panel.h"

#include <cmath>
#include <numbers>

namespace ns3::cosim
{

namespace
{

/// Of `count` elements in a line, half a wavelength apart; `away` is by how much the sines of the angles differ.
double
GetLineGain(uint32_t count, double away)
{
    auto half = std::numbers::pi * away / 2;
    auto one = std::sin(half);
    if (count == 1 || std::abs(one) < 1e-9)
    {
        return count;
    }
    auto all = std::sin(count * half) / one;
    return all * all / count;
}

} // namespace

NrPanel::NrPanel(uint32_t rows, uint32_t columns, double bearing, double downtilt)
    : m_rows(rows),
      m_columns(columns),
      m_bearing(bearing),
      m_ahead(std::cos(downtilt) * std::cos(bearing), std::cos(downtilt) * std::sin(bearing), -std::sin(downtilt)),
      m_left(-std::sin(bearing), std::cos(bearing), 0),
      m_up(std::sin(downtilt) * std::cos(bearing), std::sin(downtilt) * std::sin(bearing), std::cos(downtilt))
{
}

Vector
NrPanel::GetDirection(const Vector& way) const
{
    auto length = way.GetLength();
    auto along = [&way, length](const Vector& axis) { return (way * axis) / length; };
    return {along(m_ahead), along(m_left), along(m_up)};
}

Vector
NrPanel::GetWay(double ahead, double left) const
{
    auto x = std::cos(m_bearing);
    auto y = std::sin(m_bearing);
    return {ahead * x - left * y, ahead * y + left * x, 0};
}

double
NrPanel::GetBeamGain(const Vector& at, const Vector& there) const
{
    return GetLineGain(m_rows, there.z - at.z) * GetLineGain(m_columns, there.y - at.y);
}

std::array<NrPanel, SITE_SECTORS>
MakeSitePanels(uint32_t rows, uint32_t columns, double downtiltDegrees)
{
    constexpr double RADIANS = std::numbers::pi / 180;
    std::array<NrPanel, SITE_SECTORS> panels;
    for (uint32_t i = 0; i < SITE_SECTORS; i++)
    {
        panels[i] = NrPanel(rows, columns, (30 + 120 * i) * RADIANS, downtiltDegrees * RADIANS);
    }
    return panels;
}

} // namespace ns3::cosim
