// SPDX-License-Identifier: GPL-2.0-only
#include "sector-antenna.h"

#include "decibel.h"

#include "ns3/double.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(SectorAntenna);

namespace
{

constexpr double LEAST_COLUMN_GAIN = 1e-4; // where its elements cancel out; ours

} // namespace

SectorAntenna::SectorAntenna()
    : m_element(CreateObject<ThreeGppAntennaModel>())
{
}

TypeId
SectorAntenna::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::SectorAntenna")
                            .SetParent<AntennaModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<SectorAntenna>()
                            .AddAttribute("Rows",
                                          "Elements of the column.",
                                          UintegerValue(10),
                                          MakeUintegerAccessor(&SectorAntenna::SetRows),
                                          MakeUintegerChecker<uint32_t>(1))
                            .AddAttribute("Downtilt",
                                          "By how many degrees the beam looks below the horizon.",
                                          DoubleValue(12),
                                          MakeDoubleAccessor(&SectorAntenna::SetDowntilt),
                                          MakeDoubleChecker<double>(-90, 90));
    return tid;
}

void
SectorAntenna::DoDispose()
{
    m_element = nullptr;
    AntennaModel::DoDispose();
}

void
SectorAntenna::SetRows(uint32_t rows)
{
    m_column = Panel(rows, 1, 0, 0);
}

void
SectorAntenna::SetDowntilt(double degrees)
{
    auto tilt = DegreesToRadians(degrees);
    m_beam = Vector(std::cos(tilt), 0, -std::sin(tilt));
}

double
SectorAntenna::GetGainDb(Angles angles)
{
    auto column = m_column.GetBeamGain(m_beam, Vector(0, 0, std::cos(angles.GetInclination())));
    return m_element->GetGainDb(angles) + ToDb(std::max(column, LEAST_COLUMN_GAIN));
}

} // namespace ns3::cosim
