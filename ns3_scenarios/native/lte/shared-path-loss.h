// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SHARED_PATH_LOSS_H
#define COSIM_SHARED_PATH_LOSS_H

#include "ns3/mobility-model.h"
#include "ns3/propagation-loss-model.h"

namespace ns3::cosim
{

/**
 * Hands every question to another model. LteHelper creates one model for the downlink and one for the
 * uplink; with two of these in front of one model, the channel is reciprocal.
 */
class SharedPathLoss : public PropagationLossModel
{
  public:
    static TypeId GetTypeId();

  private:
    double DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const override;
    int64_t DoAssignStreams(int64_t stream) override;

    Ptr<PropagationLossModel> m_model;
};

} // namespace ns3::cosim

#endif
