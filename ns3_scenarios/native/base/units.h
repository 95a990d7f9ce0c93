// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_UNITS_H
#define COSIM_UNITS_H

#include <cstdint>

namespace ns3::cosim
{

inline constexpr int64_t NS_PER_S = 1'000'000'000;

} // namespace ns3::cosim

#endif
