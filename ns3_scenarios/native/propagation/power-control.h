// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_POWER_CONTROL_H
#define COSIM_POWER_CONTROL_H

#include <cstdint>

namespace ns3::cosim
{

/// Open-loop power control of the PUSCH, TS 38.213 clause 7.1.1.
class PowerControl
{
  public:
    PowerControl() = default;

    /**
     * @param numerology of the carrier
     * @param mostDbm a device's highest power, which it spreads over the PRBs in use
     * @param nominalDbm P0, in a PRB of 15 kHz
     * @param pathLossFactor alpha
     */
    PowerControl(uint32_t numerology, double mostDbm, double nominalDbm, double pathLossFactor);

    /// What a device at this path loss sends on each of so many PRBs, in mW.
    double GetPsdMw(double pathLossDb, uint32_t prbs) const;

  private:
    uint32_t m_numerology{0};
    double m_mostDbm{0};
    double m_nominalDbm{0};
    double m_pathLossFactor{1};
};

} // namespace ns3::cosim

#endif
