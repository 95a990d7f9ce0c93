// SPDX-License-Identifier: GPL-2.0-only
#include "path-loss.h"

#include "ns3/double.h"
#include "ns3/mobility-model.h"
#include "ns3/node.h"
#include "ns3/pointer.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(SharedPathLoss);
NS_OBJECT_ENSURE_REGISTERED(LogNormalShadowing);

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

LogNormalShadowing::LogNormalShadowing()
    : m_normal(CreateObject<NormalRandomVariable>())
{
}

TypeId
LogNormalShadowing::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::LogNormalShadowing")
                            .SetParent<PropagationLossModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<LogNormalShadowing>()
                            .AddAttribute("Sigma",
                                          "Standard deviation (dB).",
                                          DoubleValue(0),
                                          MakeDoubleAccessor(&LogNormalShadowing::m_sigmaDb),
                                          MakeDoubleChecker<double>(0));
    return tid;
}

double
LogNormalShadowing::DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    auto [link, isNew] = m_lossDb.try_emplace(std::minmax({a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId()}));
    if (isNew)
    {
        link->second = m_sigmaDb * m_normal->GetValue();
    }
    return txPowerDbm - link->second;
}

int64_t
LogNormalShadowing::DoAssignStreams(int64_t stream)
{
    m_normal->SetStream(stream);
    return 1;
}

} // namespace ns3::cosim
