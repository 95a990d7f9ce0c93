// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LANES_H
#define COSIM_LANES_H

#include <cstdint>
#include <cstring>

namespace ns3::cosim
{

/// Doubles side by side, which the compiler adds and multiplies at once, each to the same bit as alone.
using Lanes [[gnu::vector_size(32)]] = double;
inline constexpr uint32_t LANES = sizeof(Lanes) / sizeof(double);

[[gnu::always_inline]] inline void
Load(const double* from, Lanes& lanes)
{
    std::memcpy(&lanes, from, sizeof(lanes));
}

[[gnu::always_inline]] inline void
Store(const Lanes& lanes, double* to)
{
    std::memcpy(to, &lanes, sizeof(lanes));
}

} // namespace ns3::cosim

#endif
