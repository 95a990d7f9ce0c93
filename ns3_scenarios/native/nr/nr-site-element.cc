// SPDX-License-Identifier: GPL-2.0-only
#include "nr-site-element.h"

#include "ns3/double.h"
#include "ns3/three-gpp-antenna-model.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrSiteElement);

NrSiteElement::NrSiteElement()
    : m_element(CreateObject<ThreeGppAntennaModel>())
{
}

TypeId
NrSiteElement::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::NrSiteElement")
                            .SetParent<AntennaModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<NrSiteElement>()
                            .AddAttribute("Downtilt",
                                          "By how many degrees the panels look below the horizon.",
                                          DoubleValue(12),
                                          MakeDoubleAccessor(&NrSiteElement::SetDowntilt),
                                          MakeDoubleChecker<double>(-90, 90));
    return tid;
}

void
NrSiteElement::DoDispose()
{
    m_element = nullptr;
    AntennaModel::DoDispose();
}

void
NrSiteElement::SetDowntilt(double degrees)
{
    m_panels = MakeSitePanels(1, 1, degrees);
}

double
NrSiteElement::GetGainDb(Angles angles)
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
