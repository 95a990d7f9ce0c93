// SPDX-License-Identifier: GPL-2.0-only
// The channel between four ports at both ends.
#include "lanes.h"
#include "nr-channel.h"
#include "wide.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t PARTS = 2;
constexpr uint32_t PAIRS = PARTS * PARTS;
constexpr uint32_t SAMPLES = 8;     // PRBs by which precoders are chosen; ours
constexpr double SAMPLE_SINR = 100; // at which they are, on average and with one port; ours
constexpr uint32_t POLARIZATIONS = 2;

template <size_t LAYERS, typename Number>
[[gnu::always_inline]] inline void
Scale(NrGram<LAYERS, Number>& gram, double scale)
{
    for (auto& norm : gram.norms)
    {
        norm *= scale;
    }
    for (auto& product : gram.products)
    {
        product.real *= scale;
        product.imaginary *= scale;
    }
}

/// The number of the precoder with so many layers whose SINRs carry most by Shannon's formula, over all of the samples.
template <size_t LAYERS>
uint32_t
Choose(const std::vector<NrGram<NR_MANY_PORTS>>& samples, double power)
{
    const auto& precoders = GetNrCodebook(LAYERS);
    uint32_t best = 0;
    double most = -1;
    for (uint32_t number = 0; number < precoders.size(); number++)
    {
        double bits = 0;
        for (const auto& sample : samples)
        {
            double product = 1;
            for (auto factor : GetMmseFactors(Precode<LAYERS>(sample, precoders[number]), power / LAYERS))
            {
                product *= factor;
            }
            bits += std::log2(product);
        }
        if (bits > most * (1 + 1e-9)) // the first, up to rounding
        {
            most = bits;
            best = number;
        }
    }
    return best;
}

/// The precoders of a choice.
struct Chosen
{
    explicit Chosen(const NrPrecoder& precoder)
        : one(GetNrCodebook(1)[precoder.turn]),
          two(GetNrCodebook(2)[precoder.pairTurn]),
          three(GetNrCodebook(3)[precoder.three]),
          four(GetNrCodebook(4)[precoder.four])
    {
    }

    const NrManyPrecoder& one;
    const NrManyPrecoder& two;
    const NrManyPrecoder& three;
    const NrManyPrecoder& four;
};

double
GetLane(double number, uint32_t)
{
    return number;
}

double
GetLane(const Lanes& lanes, uint32_t lane)
{
    return lanes[lane];
}

template <size_t LAYERS, typename Number>
[[gnu::always_inline]] inline void
TakeLane(const NrGram<LAYERS, Number>& lanes, uint32_t lane, NrGram<LAYERS>& taken)
{
    for (size_t i = 0; i < lanes.norms.size(); i++)
    {
        taken.norms[i] = GetLane(lanes.norms[i], lane);
    }
    for (size_t i = 0; i < lanes.products.size(); i++)
    {
        taken.products[i] = {GetLane(lanes.products[i].real, lane), GetLane(lanes.products[i].imaginary, lane)};
    }
}

/// Add the gains of so many PRBs, one or as many as there are lanes.
template <uint32_t COUNT, typename Number>
[[gnu::always_inline]] inline void
AddGainsOf(const NrGram<NR_MANY_PORTS, Number>& ports,
           const Chosen& chosen,
           std::vector<NrPrbGain>& gains,
           std::vector<NrManyGain>* many)
{
    auto one = Precode<1>(ports, chosen.one);
    auto two = Precode<2>(ports, chosen.two);
    const auto& [x, y] = two.products.front();
    Number crossed = x * x + y * y;
    for (uint32_t lane = 0; lane < COUNT; lane++)
    {
        gains.push_back({GetLane(one.norms[0], lane),
                         GetLane(two.norms[0], lane),
                         GetLane(two.norms[1], lane),
                         GetLane(crossed, lane)});
    }
    if (many)
    {
        auto three = Precode<3>(ports, chosen.three);
        auto four = Precode<4>(ports, chosen.four);
        for (uint32_t lane = 0; lane < COUNT; lane++)
        {
            auto& gain = many->emplace_back();
            TakeLane(three, lane, gain.three);
            TakeLane(four, lane, gain.four);
        }
    }
}

} // namespace

uint32_t
NrChannel::CountParts() const
{
    return m_maxRank > POLARIZATIONS ? PARTS : 1;
}

size_t
NrChannel::CountPairs() const
{
    return CountParts() > 1 ? PAIRS : 1;
}

uint32_t
NrChannel::GetMostLayers() const
{
    return std::max(m_maxRank, POLARIZATIONS);
}

const std::vector<NrManyGain>&
NrChannel::GetMany(uint32_t device, bool isUplink)
{
    Get(device, isUplink);
    return m_links[device].many[isUplink];
}

std::array<const NrChannel::Block*, NR_MANY_PORTS>
NrChannel::GetBlocks(const Link& link, Response& response, uint32_t block) const
{
    static_assert(PAIRS == NR_MANY_PORTS);
    std::array<const Block*, NR_MANY_PORTS> found;
    for (uint32_t pair = 0; pair < found.size(); pair++)
    {
        found[pair] = &GetBlock(link, response, block, pair);
    }
    return found;
}

template <typename Number>
[[gnu::always_inline]] inline NrGram<NR_MANY_PORTS, Number>
NrChannel::GetPorts(const std::array<const Block*, NR_MANY_PORTS>& blocks, uint32_t prb, bool isUplink)
{
    // A port is a polarization and a part of the array, in this order; the sender's are the columns.
    NrComplex<Number> columns[NR_MANY_PORTS][NR_MANY_PORTS];
    for (uint32_t sent = 0; sent < NR_MANY_PORTS; sent++)
    {
        for (uint32_t received = 0; received < NR_MANY_PORTS; received++)
        {
            auto device = isUplink ? sent : received;
            auto gnb = isUplink ? received : sent;
            const auto& block = *blocks[device % PARTS * PARTS + gnb % PARTS];
            auto port = device / PARTS * POLARIZATIONS + gnb / PARTS;
            std::memcpy(&columns[sent][received].real, &block.real[port][prb], sizeof(Number));
            std::memcpy(&columns[sent][received].imaginary, &block.imaginary[port][prb], sizeof(Number));
        }
    }
    NrGram<NR_MANY_PORTS, Number> found;
    for (uint32_t b = 0; b < NR_MANY_PORTS; b++)
    {
        for (uint32_t a = 0; a <= b; a++)
        {
            Number real{};
            Number imaginary{};
            for (uint32_t row = 0; row < NR_MANY_PORTS; row++)
            {
                const auto& left = columns[a][row];
                const auto& right = columns[b][row];
                real += left.real * right.real + left.imaginary * right.imaginary;
                imaginary += left.real * right.imaginary - left.imaginary * right.real;
            }
            if (a == b)
            {
                found.norms[a] = real;
            }
            else
            {
                found.products[found.GetPair(a, b)] = {real, imaginary};
            }
        }
    }
    return found;
}

COSIM_WIDE void
NrChannel::MeasureMany(Link& link, bool isUplink)
{
    auto& response = Update(link, isUplink);
    std::vector<NrGram<NR_MANY_PORTS>> samples;
    double norms = 0;
    for (uint32_t i = 0; i < SAMPLES; i++)
    {
        auto prb = (2 * i + 1) * m_prbs / (2 * SAMPLES);
        samples.push_back(GetPorts<double>(GetBlocks(link, response, prb / BLOCK_PRBS), prb % BLOCK_PRBS, isUplink));
        for (auto norm : samples.back().norms)
        {
            norms += norm;
        }
    }
    auto power = SAMPLE_SINR * SAMPLES * NR_MANY_PORTS / norms;
    NrPrecoder precoder{Choose<1>(samples, power),
                        Choose<2>(samples, power),
                        Choose<3>(samples, power),
                        Choose<4>(samples, power)};
    link.precoders[isUplink] = precoder;
    link.gains[isUplink].clear();
    link.many[isUplink].clear();
    AddManyGains(link, isUplink, precoder, 0, m_prbs, link.gains[isUplink], &link.many[isUplink]);
}

COSIM_WIDE void
NrChannel::AddManyGains(Link& link,
                        bool isUplink,
                        const NrPrecoder& precoder,
                        uint32_t begin,
                        uint32_t end,
                        std::vector<NrPrbGain>& gains,
                        std::vector<NrManyGain>* many)
{
    auto& response = Update(link, isUplink);
    auto scale = GetScale(link, isUplink);
    Chosen chosen(precoder);
    for (auto prb = begin; prb < end;)
    {
        auto blocks = GetBlocks(link, response, prb / BLOCK_PRBS);
        auto i = prb % BLOCK_PRBS;
        if (prb + LANES <= end && i + LANES <= BLOCK_PRBS)
        {
            auto ports = GetPorts<Lanes>(blocks, i, isUplink);
            Scale(ports, scale);
            AddGainsOf<LANES>(ports, chosen, gains, many);
            prb += LANES;
        }
        else
        {
            auto ports = GetPorts<double>(blocks, i, isUplink);
            Scale(ports, scale);
            AddGainsOf<1>(ports, chosen, gains, many);
            prb++;
        }
    }
}

} // namespace ns3::cosim
