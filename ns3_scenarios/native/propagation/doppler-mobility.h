// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_DOPPLER_MOBILITY_H
#define COSIM_DOPPLER_MOBILITY_H

#include "ns3/constant-position-mobility-model.h"

namespace ns3::cosim
{

/**
 * A device that stays where it is while all around it moves: its velocity counts for the Doppler shift only.
 */
class DopplerMobilityModel : public ConstantPositionMobilityModel
{
  public:
    static TypeId GetTypeId();

  private:
    Vector DoGetVelocity() const override;

    Vector m_velocity;
};

} // namespace ns3::cosim

#endif
