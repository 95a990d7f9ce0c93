// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SHADOWING_H
#define COSIM_SHADOWING_H

#include "line-of-sight.h"
#include "spatial-normal.h"

#include "ns3/channel-condition-model.h"
#include "ns3/propagation-loss-model.h"

namespace ns3::cosim
{

/**
 * Log-normal shadowing: for each pair of nodes a normal variable in dB, the same both ways, that changes as they move
 * (TR 38.901 clause 7.4.4) and only then. With line of sight and without it are two, and where line of sight comes and
 * goes softly, as much of each in dB as there is of its state.
 */
class LogNormalShadowing : public PropagationLossModel
{
  public:
    static TypeId GetTypeId();

  protected:
    void DoDispose() override;

  private:
    double DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const override;
    int64_t DoAssignStreams(int64_t stream) override;

    void SetConditionModel(Ptr<ChannelConditionModel> model);

    double m_sigmaDb{0};
    double m_sigmaNoSightDb{-1};
    double m_correlationDistance{0};
    double m_correlationDistanceNoSight{0};
    Ptr<ChannelConditionModel> m_condition;
    Ptr<MovingLineOfSight> m_lineOfSight; // the same, if it comes and goes softly
    mutable SpatialNormal m_normal;
};

} // namespace ns3::cosim

#endif
