// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SOFT_PATH_LOSS_H
#define COSIM_SOFT_PATH_LOSS_H

#include "line-of-sight.h"

#include "ns3/propagation-loss-model.h"

namespace ns3::cosim
{

/**
 * Path loss of links that move between line of sight and none: in dB, each model's by how much of its state there is.
 */
class SoftPathLoss : public PropagationLossModel
{
  public:
    static TypeId GetTypeId();

  protected:
    void DoDispose() override;

  private:
    double DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const override;
    int64_t DoAssignStreams(int64_t stream) override;

    Ptr<PropagationLossModel> m_sight;
    Ptr<PropagationLossModel> m_noSight;
    Ptr<MovingLineOfSight> m_lineOfSight;
};

} // namespace ns3::cosim

#endif
