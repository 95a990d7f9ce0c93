// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_PHASE_H
#define COSIM_PHASE_H

#include <cstddef>

namespace ns3::cosim
{

/// What a device is doing: switched off, or present and in one of the phases of a transfer.
enum class DevicePhase : size_t
{
    OFF,
    IDLE,
    RECEIVING,
    COMPUTING,
    TRANSMITTING
};

} // namespace ns3::cosim

#endif
