// SPDX-License-Identifier: GPL-2.0-only
#include "normal-field.h"

#include <cmath>
#include <complex>
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

std::vector<double>
NormalField::GetSquare(const Vector2D& first, double step, size_t side) const
{
    // A wave is the real part of a phasor of its column times one of its row, which turn by the same from one to the
    // next.
    std::vector<double> square(side * side);
    std::vector<std::complex<double>> rows(side);
    for (const auto& wave : m_waves)
    {
        auto column = std::polar(std::sqrt(2.0 / m_waves.size()), wave.x * first.x + wave.phase);
        auto toNextColumn = std::polar(1.0, wave.x * step);
        auto toNextRow = std::polar(1.0, wave.y * step);
        rows[0] = std::polar(1.0, wave.y * first.y);
        for (size_t j = 1; j < side; j++)
        {
            rows[j] = rows[j - 1] * toNextRow;
        }
        for (size_t i = 0; i < side; i++, column *= toNextColumn)
        {
            for (size_t j = 0; j < side; j++)
            {
                square[i * side + j] += column.real() * rows[j].real() - column.imag() * rows[j].imag();
            }
        }
    }
    return square;
}

} // namespace ns3::cosim
