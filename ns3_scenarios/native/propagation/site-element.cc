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
    m_panels = MakeSitePanels(1, 1, degrees);
}

double
SiteElement::GetGainDb(Angles angles)
{
    auto level = std::sin(angles.GetInclination());
    Vector way(level * std::cos(angles.GetAzimuth()),
               level * std::sin(angles.GetAzimuth()),
               std::cos(angles.GetInclination()));
    auto best = std::numeric_limits<double>::lowest();
    for (const auto& panel : m_panels)
    {
        best = std::max(best, m_element->GetGainDb(Angles(panel.GetDirection(way))));
    }
    return best;
}

} // namespace ns3::cosim
