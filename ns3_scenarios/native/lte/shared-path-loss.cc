// SPDX-License-Identifier: GPL-2.0-only
#include "shared-path-loss.h"

#include "ns3/pointer.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(SharedPathLoss);

TypeId
SharedPathLoss::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::SharedPathLoss")
                            .SetParent<PropagationLossModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<SharedPathLoss>()
                            .AddAttribute("Model",
                                          "The model that answers.",
                                          PointerValue(),
                                          MakePointerAccessor(&SharedPathLoss::m_model),
                                          MakePointerChecker<PropagationLossModel>());
    return tid;
}

double
SharedPathLoss::DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    return m_model->CalcRxPower(txPowerDbm, a, b);
}

int64_t
SharedPathLoss::DoAssignStreams(int64_t stream)
{
    return m_model->AssignStreams(stream);
}

} // namespace ns3::cosim
