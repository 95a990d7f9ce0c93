// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_PATH_LOSS_H
#define COSIM_PATH_LOSS_H

#include "ns3/propagation-loss-model.h"
#include "ns3/random-variable-stream.h"

#include <map>
#include <utility>

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

/// Log-normal shadowing: one normal draw in dB for each pair of nodes, the same both ways, for all time.
class LogNormalShadowing : public PropagationLossModel
{
  public:
    LogNormalShadowing();
    static TypeId GetTypeId();

  private:
    double DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const override;
    int64_t DoAssignStreams(int64_t stream) override;

    double m_sigmaDb{0};
    Ptr<NormalRandomVariable> m_normal;
    mutable std::map<std::pair<uint32_t, uint32_t>, double> m_lossDb;
};

} // namespace ns3::cosim

#endif
