// SPDX-License-Identifier: GPL-2.0-only
#include "course.h"

#include "ns3/constant-position-mobility-model.h"
#include "ns3/simulator.h"

namespace ns3::cosim
{

Course::Course(Ptr<MobilityModel> model)
    : m_model(model),
      m_place(CreateObject<ConstantPositionMobilityModel>())
{
    HandleChange(model);
    m_model->TraceConnectWithoutContext("CourseChange", MakeCallback(&Course::HandleChange, this));
}

Course::~Course()
{
    m_model->TraceDisconnectWithoutContext("CourseChange", MakeCallback(&Course::HandleChange, this));
}

void
Course::HandleChange(Ptr<const MobilityModel> model)
{
    m_since = Simulator::Now();
    m_position = model->GetPosition(); // where it has just stepped to
    m_velocity = model->GetVelocity();
}

Ptr<MobilityModel>
Course::GetPlace() const
{
    auto s = (Simulator::Now() - m_since).GetSeconds();
    m_place->SetPosition(
        {m_position.x + s * m_velocity.x, m_position.y + s * m_velocity.y, m_position.z + s * m_velocity.z});
    return m_place;
}

} // namespace ns3::cosim
