// SPDX-License-Identifier: GPL-2.0-only
#include "soft-path-loss.h"

#include "ns3/mobility-model.h"
#include "ns3/pointer.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(SoftPathLoss);

TypeId
SoftPathLoss::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::SoftPathLoss")
                            .SetParent<PropagationLossModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<SoftPathLoss>()
                            .AddAttribute("Sight",
                                          "The path loss with line of sight.",
                                          PointerValue(),
                                          MakePointerAccessor(&SoftPathLoss::m_sight),
                                          MakePointerChecker<PropagationLossModel>())
                            .AddAttribute("NoSight",
                                          "The path loss without.",
                                          PointerValue(),
                                          MakePointerAccessor(&SoftPathLoss::m_noSight),
                                          MakePointerChecker<PropagationLossModel>())
                            .AddAttribute("LineOfSight",
                                          "How much a link has of it.",
                                          PointerValue(),
                                          MakePointerAccessor(&SoftPathLoss::m_lineOfSight),
                                          MakePointerChecker<MovingLineOfSight>());
    return tid;
}

void
SoftPathLoss::DoDispose()
{
    m_sight = nullptr;
    m_noSight = nullptr;
    m_lineOfSight = nullptr;
    PropagationLossModel::DoDispose();
}

double
SoftPathLoss::DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    auto share = m_lineOfSight->GetShare(a, b);
    double dbm = 0;
    if (share > 0)
    {
        dbm += share * m_sight->CalcRxPower(txPowerDbm, a, b);
    }
    if (share < 1)
    {
        dbm += (1 - share) * m_noSight->CalcRxPower(txPowerDbm, a, b);
    }
    return dbm;
}

int64_t
SoftPathLoss::DoAssignStreams(int64_t stream)
{
    auto used = m_sight->AssignStreams(stream);
    return used + m_noSight->AssignStreams(stream + used);
}

} // namespace ns3::cosim
