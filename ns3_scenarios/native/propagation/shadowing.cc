// SPDX-License-Identifier: GPL-2.0-only
#include "shadowing.h"

#include "ns3/double.h"
#include "ns3/pointer.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(LogNormalShadowing);

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
                                          MakeDoubleChecker<double>(0))
                            .AddAttribute("CorrelationDistance",
                                          "Displacement (m) at which the autocorrelation has fallen to 1/e.",
                                          DoubleValue(10),
                                          MakeDoubleAccessor(&LogNormalShadowing::m_correlationDistance),
                                          MakeDoubleChecker<double>(0.001))
                            .AddAttribute("CorrelationDistanceNoSight",
                                          "The same where ChannelConditionModel says that there is no line of sight.",
                                          DoubleValue(10),
                                          MakeDoubleAccessor(&LogNormalShadowing::m_correlationDistanceNoSight),
                                          MakeDoubleChecker<double>(0.001))
                            .AddAttribute("ChannelConditionModel",
                                          "Decides which links have line of sight; without it all have.",
                                          PointerValue(),
                                          MakePointerAccessor(&LogNormalShadowing::m_condition),
                                          MakePointerChecker<ChannelConditionModel>());
    return tid;
}

double
LogNormalShadowing::DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    bool sight = !m_condition || m_condition->GetChannelCondition(a, b)->IsLos();
    return txPowerDbm -
           m_sigmaDb * m_normal.GetValue(a, b, sight ? m_correlationDistance : m_correlationDistanceNoSight);
}

int64_t
LogNormalShadowing::DoAssignStreams(int64_t stream)
{
    m_normal.SetStream(stream);
    return 1;
}

} // namespace ns3::cosim
