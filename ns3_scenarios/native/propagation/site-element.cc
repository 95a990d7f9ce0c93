// SPDX-License-Identifier: GPL-2.0-only
#include "site-element.h"

#include "ns3/double.h"
#include "ns3/pointer.h"
#include "ns3/three-gpp-antenna-model.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(SiteElement);

SiteElement::SiteElement() = default;

TypeId
SiteElement::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::SiteElement")
                            .SetParent<AntennaModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<SiteElement>()
                            .AddAttribute("Downtilt",
                                          "By how many degrees the panels look below the horizon.",
                                          DoubleValue(12),
                                          MakeDoubleAccessor(&SiteElement::SetDowntilt),
                                          MakeDoubleChecker<double>(-90, 90))
                            .AddAttribute("AntennaElement",
                                          "Of the panels; by default that of TR 38.901 table 7.3-1.",
                                          PointerValue(CreateObject<ThreeGppAntennaModel>()),
                                          MakePointerAccessor(&SiteElement::m_element),
                                          MakePointerChecker<AntennaModel>());
    return tid;
}

void
SiteElement::DoDispose()
{
    m_element = nullptr;
    AntennaModel::DoDispose();
}

void
SiteElement::SetDowntilt(double degrees)
{
    m_downtiltDegrees = degrees;
    m_panels = MakePanels(1, 1);
}

std::array<Panel, SITE_SECTORS>
SiteElement::MakePanels(uint32_t rows, uint32_t columns) const
{
    return MakeSitePanels(rows, columns, m_downtiltDegrees);
}

double
SiteElement::GetSectorGainDb(uint32_t sector, const Vector& way) const
{
    return m_element->GetGainDb(Angles(m_panels[sector].GetDirection(way)));
}

double
SiteElement::GetGainDb(Angles angles)
{
    auto level = std::sin(angles.GetInclination());
    Vector way(level * std::cos(angles.GetAzimuth()),
               level * std::sin(angles.GetAzimuth()),
               std::cos(angles.GetInclination()));
    auto best = std::numeric_limits<double>::lowest();
    for (uint32_t sector = 0; sector < SITE_SECTORS; sector++)
    {
        best = std::max(best, GetSectorGainDb(sector, way));
    }
    return best;
}

} // namespace ns3::cosim
