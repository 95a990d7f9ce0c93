// SPDX-License-Identifier: GPL-2.0-only
#include "nr-tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace ns3::cosim
{

namespace
{

using Rates = std::vector<std::pair<uint32_t, std::vector<double>>>; // of 1024, by modulation order

std::vector<NrMcs>
MakeTable(const Rates& rates)
{
    std::vector<NrMcs> table;
    for (const auto& [order, each] : rates)
    {
        for (auto rate : each)
        {
            table.push_back({order, rate / 1024});
        }
    }
    return table;
}

constexpr uint32_t MOST_ELEMENTS = 156;
constexpr uint32_t LARGEST_SMALL = 3824;

// TS 38.214 table 5.1.3.2-1.
constexpr std::array<uint32_t, 93> SMALL_SIZES{
    24,   32,   40,   48,   56,   64,   72,   80,   88,   96,   104,  112,  120,  128,  136,  144,  152,  160,  168,
    176,  184,  192,  208,  224,  240,  256,  272,  288,  304,  320,  336,  352,  368,  384,  408,  432,  456,  480,
    504,  528,  552,  576,  608,  640,  672,  704,  736,  768,  808,  848,  888,  928,  984,  1032, 1064, 1128, 1160,
    1192, 1224, 1256, 1288, 1320, 1352, 1416, 1480, 1544, 1608, 1672, 1736, 1800, 1864, 1928, 2024, 2088, 2152, 2216,
    2280, 2408, 2472, 2536, 2600, 2664, 2728, 2792, 2856, 2976, 3104, 3240, 3368, 3496, 3624, 3752, 3824};

bool
HasBaseGraph2(uint32_t tbsBits, double codeRate) // TS 38.212 clause 7.2.2
{
    return tbsBits <= 292 || (tbsBits <= LARGEST_SMALL && codeRate <= 0.67) || codeRate <= 0.25;
}

} // namespace

const std::vector<NrMcs>&
GetNrMcsTable(NrMcsTable table)
{
    static const std::array<std::vector<NrMcs>, 3> TABLES{
        MakeTable({{2, {120, 157, 193, 251, 308, 379, 449, 526, 602, 679}},
                   {4, {340, 378, 434, 490, 553, 616, 658}},
                   {6, {438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948}}}),
        MakeTable({{2, {120, 193, 308, 449, 602}},
                   {4, {378, 434, 490, 553, 616, 658}},
                   {6, {466, 517, 567, 616, 666, 719, 772, 822, 873}},
                   {8, {682.5, 711, 754, 797, 841, 885, 916.5, 948}}}),
        MakeTable({{2, {30, 40, 50, 64, 78, 99, 120, 157, 193, 251, 308, 379, 449, 526, 602}},
                   {4, {340, 378, 434, 490, 553, 616}},
                   {6, {438, 466, 517, 567, 616, 666, 719, 772}}}),
    };
    return TABLES[static_cast<size_t>(table) - 1];
}

const std::vector<NrMcs>&
GetNrCqiTable(NrMcsTable table)
{
    static const std::array<std::vector<NrMcs>, 3> TABLES{
        MakeTable({{2, {78, 120, 193, 308, 449, 602}}, {4, {378, 490, 616}}, {6, {466, 567, 666, 772, 873, 948}}}),
        MakeTable(
            {{2, {78, 193, 449}}, {4, {378, 490, 616}}, {6, {466, 567, 666, 772, 873}}, {8, {711, 797, 885, 948}}}),
        MakeTable({{2, {30, 50, 78, 120, 193, 308, 449, 602}}, {4, {378, 490, 616}}, {6, {466, 567, 666, 772}}}),
    };
    return TABLES[static_cast<size_t>(table) - 1];
}

uint32_t
GetNrTbsBits(uint32_t prbs, uint32_t elementsPerPrb, const NrMcs& mcs, uint32_t layers)
{
    double information = static_cast<double>(std::min(elementsPerPrb, MOST_ELEMENTS)) * prbs * mcs.codeRate *
                         mcs.modulationOrder * layers;
    if (information <= LARGEST_SMALL)
    {
        if (information < SMALL_SIZES.front())
        {
            return SMALL_SIZES.front();
        }
        auto step = std::exp2(std::max(3.0, std::floor(std::log2(information)) - 6));
        auto quantized = std::max(24.0, step * std::floor(information / step));
        return *std::lower_bound(SMALL_SIZES.begin(), SMALL_SIZES.end(), quantized);
    }
    auto step = std::exp2(std::floor(std::log2(information - 24)) - 5);
    auto quantized = std::max(3840.0, step * std::floor((information - 24) / step + 0.5));
    double most = mcs.codeRate <= 0.25 ? 3816 : 8424;
    double blocks = mcs.codeRate <= 0.25 || quantized > most ? std::ceil((quantized + 24) / most) : 1;
    return static_cast<uint32_t>(8 * blocks * std::ceil((quantized + 24) / (8 * blocks)) - 24);
}

NrCodeBlocks
GetNrCodeBlocks(uint32_t tbsBits, double codeRate)
{
    auto bits = tbsBits + (tbsBits > LARGEST_SMALL ? 24 : 16);
    uint32_t most = HasBaseGraph2(tbsBits, codeRate) ? 3840 : 8448;
    if (bits <= most)
    {
        return {1, bits};
    }
    auto count = (bits + most - 24 - 1) / (most - 24);
    return {count, bits / count + 24};
}

double
GetNrMotherRate(uint32_t tbsBits, double codeRate)
{
    return HasBaseGraph2(tbsBits, codeRate) ? 1.0 / 5 : 1.0 / 3;
}

} // namespace ns3::cosim
