// SPDX-License-Identifier: GPL-2.0-only
#include "normal-field.h"

#include <cmath>
#include <numbers>

namespace ns3::cosim
{

NormalField::NormalField(const std::function<double()>& draw, double correlationDistance)
{
    for (auto& wave : m_waves)
    {
        // The spectrum of exp(-d) in the plane is k / (1 + k^2)^(3/2), with 1 - 1 / sqrt(1 + k^2) below k.
        auto above = 1 - draw();
        auto number = std::sqrt(1 / (above * above) - 1) / correlationDistance;
        auto direction = 2 * std::numbers::pi * draw();
        wave = {number * std::cos(direction), number * std::sin(direction), 2 * std::numbers::pi * draw()};
    }
}

double
NormalField::Get(const Vector2D& place) const
{
    double sum = 0;
    for (const auto& wave : m_waves)
    {
        sum += std::cos(wave.x * place.x + wave.y * place.y + wave.phase);
    }
    return sum * std::sqrt(2.0 / m_waves.size());
}

} // namespace ns3::cosim
