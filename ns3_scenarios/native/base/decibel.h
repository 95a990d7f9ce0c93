// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_DECIBEL_H
#define COSIM_DECIBEL_H

#include <cmath>

namespace ns3::cosim
{

inline double
ToDb(double ratio)
{
    return 10 * std::log10(ratio);
}

inline double
FromDb(double db)
{
    return std::pow(10, db / 10);
}

} // namespace ns3::cosim

#endif
