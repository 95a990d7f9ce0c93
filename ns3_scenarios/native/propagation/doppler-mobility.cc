// SPDX-License-Identifier: GPL-2.0-only
#include "doppler-mobility.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(DopplerMobilityModel);

TypeId
DopplerMobilityModel::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::DopplerMobilityModel")
                            .SetParent<ConstantPositionMobilityModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<DopplerMobilityModel>()
                            .AddAttribute("DopplerVelocity",
                                          "Velocity (m/s) that makes the Doppler shift.",
                                          VectorValue(Vector()),
                                          MakeVectorAccessor(&DopplerMobilityModel::m_velocity),
                                          MakeVectorChecker());
    return tid;
}

Vector
DopplerMobilityModel::DoGetVelocity() const
{
    return m_velocity;
}

} // namespace ns3::cosim
