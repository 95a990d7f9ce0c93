// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NORMAL_FIELD_H
#define COSIM_NORMAL_FIELD_H

#include "ns3/vector.h"

#include <array>
#include <functional>
#include <vector>

namespace ns3::cosim
{

/**
 * A normal variable of variance 1 at each place of a plane, whose autocorrelation over a distance d is exp(-d / d0): a
 * sum of waves whose lengths and directions are drawn by that correlation's spectrum (Cai and Giannakis, IEEE Trans.
 * Vehicular Technology 52(6), 2003). It depends on the place alone, not on what was asked before.
 */
class NormalField
{
  public:
    /// Draw one by what draws from 0 to below 1, and the correlation distance in the unit of places.
    NormalField(const std::function<double()>& draw, double correlationDistance);

    double Get(const Vector2D& place) const;

    /// As `Get`, but for rounding, at the places of a square grid, column by column: its first place, its step and how
    /// many places a side has. It takes a fraction of the time.
    std::vector<double> GetSquare(const Vector2D& first, double step, size_t side) const;

  private:
    struct Wave
    {
        double x; // rad per unit of length
        double y;
        double phase;
    };

    std::array<Wave, 64> m_waves;
};

} // namespace ns3::cosim

#endif
