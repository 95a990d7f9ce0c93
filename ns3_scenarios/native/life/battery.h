// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_BATTERY_H
#define COSIM_BATTERY_H

#include "phase.h"

#include "ns3/event-id.h"

#include <array>
#include <cstdint>
#include <functional>

namespace ns3::cosim
{

/// Power in W drawn in each DevicePhase, in its order.
using Powers = std::array<double, 5>;

/// A store of energy, drained by a constant power in each phase: it is known in advance when it will be empty.
class Battery
{
  public:
    /// Full, at the virtual time 0 and in DevicePhase::IDLE. Calls `empty` at the instant in which nothing is left.
    Battery(double capacityJ, const Powers& powersW, std::function<void()> empty);

    /// The device begins another phase now.
    void Enter(DevicePhase phase);

  private:
    double GetPowerW() const;

    double m_leftNj; // W times ns
    Powers m_powersW;
    std::function<void()> m_empty;
    DevicePhase m_phase{DevicePhase::IDLE};
    int64_t m_sinceNs{0};
    EventId m_end;
};

} // namespace ns3::cosim

#endif
