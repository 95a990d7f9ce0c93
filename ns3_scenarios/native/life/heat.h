// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_HEAT_H
#define COSIM_HEAT_H

#include "phase.h"

#include <cstdint>

namespace ns3::cosim
{

/**
 * Computing slowed by heat, of first order: warmth goes exponentially towards 1 while the device computes
 * and towards 0 while it does not. Up to `threshold` it computes at full speed, beyond at a speed that
 * falls linearly to `slowest` at warmth 1. Cold at the virtual time 0.
 */
class Heat
{
  public:
    /// Time constants of warming and cooling (s), threshold (0 to below 1), slowest speed (above 0, to 1).
    Heat(double warmingS, double coolingS, double threshold, double slowest);

    /// The device begins another phase now.
    void Enter(DevicePhase phase);

    /// How long a computation of `fullSpeedNs` at full speed takes if it begins now.
    int64_t GetComputeNs(int64_t fullSpeedNs) const;

  private:
    double GetWarmth() const;

    double m_warmingNs;
    double m_coolingNs;
    double m_threshold;
    double m_slowest;
    bool m_computes{false};
    double m_warmth{0}; // when the phase began
    int64_t m_sinceNs{0};
};

} // namespace ns3::cosim

#endif
