// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_MANY_PORTS_H
#define COSIM_NR_MANY_PORTS_H

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Of an end with many: two for each polarization, those of the first one first (TS 38.214 clause 5.2.2.2.1).
inline constexpr size_t NR_MANY_PORTS = 4;

/// A complex number of one PRB, or of some PRBs in lanes.
template <typename Number>
struct NrComplex
{
    Number real;
    Number imaginary;
};

/// Of some columns: the squared norm of each, and a^H b of each pair, those of the second column with the ones before
/// it first.
template <size_t COLUMNS, typename Number = double>
struct NrGram
{
    std::array<Number, COLUMNS> norms{};
    std::array<NrComplex<Number>, COLUMNS*(COLUMNS - 1) / 2> products{};

    /// Of the columns a and b, which lies behind a.
    static constexpr size_t GetPair(size_t a, size_t b)
    {
        return b * (b - 1) / 2 + a;
    }
};

/// What a receiver gets of 1 mW in each of three and of four layers sent on one PRB, over the noise there; linear.
struct NrManyGain
{
    NrGram<3> three;
    NrGram<4> four;
};

/// A column of norm 1 for each layer, of the weight of each port.
using NrManyPrecoder = std::vector<std::array<std::complex<double>, NR_MANY_PORTS>>;

/**
 * The precoders for so many layers, 1 to 4, of the Type I single-panel codebook with four ports, N1 = 2 and N2 = 1, in
 * codebook mode 1 (TS 38.214 clause 5.2.2.2.1, tables 5.2.2.2.1-5 to -8; the restatement is ours). The uplink's, of TS
 * 38.211 tables 6.3.1.5-3 to -7, are of the same kind where they use all ports, but have every second beam only.
 */
const std::vector<NrManyPrecoder>& GetNrCodebook(uint32_t layers);

/// What a precoder's first columns make of the channel from each port: W^H T W.
template <size_t LAYERS, typename Number>
[[gnu::always_inline]] inline NrGram<LAYERS, Number>
Precode(const NrGram<NR_MANY_PORTS, Number>& ports, const NrManyPrecoder& precoder)
{
    NrGram<LAYERS, Number> found;
    for (size_t b = 0; b < LAYERS; b++)
    {
        // T w, of which each row is what a port's channel has in common with the layer's.
        std::array<NrComplex<Number>, NR_MANY_PORTS> rows;
        for (size_t row = 0; row < NR_MANY_PORTS; row++)
        {
            auto own = precoder[b][row];
            rows[row] = {ports.norms[row] * own.real(), ports.norms[row] * own.imag()};
        }
        for (size_t second = 1; second < NR_MANY_PORTS; second++)
        {
            for (size_t first = 0; first < second; first++)
            {
                const auto& [x, y] = ports.products[ports.GetPair(first, second)];
                auto w = precoder[b][second];
                rows[first].real += x * w.real() - y * w.imag();
                rows[first].imaginary += x * w.imag() + y * w.real();
                auto v = precoder[b][first]; // T is Hermitian
                rows[second].real += x * v.real() + y * v.imag();
                rows[second].imaginary += x * v.imag() - y * v.real();
            }
        }
        for (size_t a = 0; a <= b; a++)
        {
            NrComplex<Number> sum{};
            for (size_t row = 0; row < NR_MANY_PORTS; row++)
            {
                auto w = precoder[a][row];
                sum.real += rows[row].real * w.real() + rows[row].imaginary * w.imag();
                sum.imaginary += rows[row].imaginary * w.real() - rows[row].real * w.imag();
            }
            if (a == b)
            {
                found.norms[b] = sum.real;
            }
            else
            {
                found.products[found.GetPair(a, b)] = sum;
            }
        }
    }
    return found;
}

/// 1 + SINR of each layer behind an MMSE receiver, each with so much power over noise of 1: the inverse of the
/// diagonal of (I + p A)^-1, by a decomposition L D L^H.
template <size_t LAYERS, typename Number>
[[gnu::always_inline]] inline std::array<Number, LAYERS>
GetMmseFactors(const NrGram<LAYERS, Number>& gram, double power)
{
    std::array<Number, LAYERS> inverse; // of D
    std::array<std::array<NrComplex<Number>, LAYERS>, LAYERS> lower{};
    std::array<std::array<NrComplex<Number>, LAYERS>, LAYERS> inverted{}; // L^-1, but for its diagonal of ones
    std::array<Number, LAYERS> found;
    for (size_t i = 0; i < LAYERS; i++)
    {
        // Of row i below the diagonal L_ij D_j, and what is left of the diagonal's own.
        std::array<NrComplex<Number>, LAYERS> scaled{};
        Number left = 1 + power * gram.norms[i];
        for (size_t j = 0; j < i; j++)
        {
            const auto& product = gram.products[gram.GetPair(j, i)]; // a_j^H a_i, the conjugate of row i's
            auto x = power * product.real;
            auto y = -(power * product.imaginary);
            for (size_t k = 0; k < j; k++)
            {
                x -= scaled[k].real * lower[j][k].real + scaled[k].imaginary * lower[j][k].imaginary;
                y -= scaled[k].imaginary * lower[j][k].real - scaled[k].real * lower[j][k].imaginary;
            }
            scaled[j] = {x, y};
            lower[i][j] = {x * inverse[j], y * inverse[j]};
            left -= lower[i][j].real * x + lower[i][j].imaginary * y;
        }
        inverse[i] = 1 / left;
        for (size_t k = 0; k < i; k++)
        {
            auto x = -lower[i][k].real;
            auto y = -lower[i][k].imaginary;
            for (size_t j = k + 1; j < i; j++)
            {
                x -= lower[i][j].real * inverted[j][k].real - lower[i][j].imaginary * inverted[j][k].imaginary;
                y -= lower[i][j].real * inverted[j][k].imaginary + lower[i][j].imaginary * inverted[j][k].real;
            }
            inverted[i][k] = {x, y};
        }
    }
    for (size_t k = 0; k < LAYERS; k++)
    {
        Number sum = inverse[k];
        for (size_t i = k + 1; i < LAYERS; i++)
        {
            const auto& [x, y] = inverted[i][k];
            sum += (x * x + y * y) * inverse[i];
        }
        found[k] = 1 / sum;
    }
    return found;
}

} // namespace ns3::cosim

#endif
