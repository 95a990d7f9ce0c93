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
                            .AddAttribute("SigmaNoSight",
                                          "The same where ChannelConditionModel says that there is no line of sight; "
                                          "below 0 it is Sigma there too.",
                                          DoubleValue(-1),
                                          MakeDoubleAccessor(&LogNormalShadowing::m_sigmaNoSightDb),
                                          MakeDoubleChecker<double>())
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
                                          MakePointerAccessor(&LogNormalShadowing::SetConditionModel),
                                          MakePointerChecker<ChannelConditionModel>());
    return tid;
}

void
LogNormalShadowing::DoDispose()
{
    m_condition = nullptr;
    m_lineOfSight = nullptr;
    PropagationLossModel::DoDispose();
}

void
LogNormalShadowing::SetConditionModel(Ptr<ChannelConditionModel> model)
{
    m_condition = model;
    m_lineOfSight = DynamicCast<MovingLineOfSight>(model);
}

double
LogNormalShadowing::DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    double share = 1; // of line of sight
    if (m_lineOfSight)
    {
        share = m_lineOfSight->GetShare(a, b);
    }
    else if (m_condition)
    {
        share = m_condition->GetChannelCondition(a, b)->IsLos() ? 1 : 0;
    }
    double dbm = txPowerDbm;
    if (share > 0)
    {
        dbm -= share * m_sigmaDb * m_normal.GetValue(a, b, m_correlationDistance);
    }
    if (share < 1)
    {
        auto sigmaDb = m_sigmaNoSightDb < 0 ? m_sigmaDb : m_sigmaNoSightDb;
        dbm -= (1 - share) * sigmaDb * m_normal.GetValue(a, b, m_correlationDistanceNoSight);
    }
    return dbm;
}

int64_t
LogNormalShadowing::DoAssignStreams(int64_t stream)
{
    m_normal.SetStream(stream);
    return 1;
}

} // namespace ns3::cosim
