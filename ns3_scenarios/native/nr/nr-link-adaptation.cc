// SPDX-License-Identifier: GPL-2.0-only
#include "nr-link-adaptation.h"

#include "decibel.h"
#include "lanes.h"
#include "wide.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace ns3::cosim
{

namespace
{

constexpr double EXPECTED_GAP = 0.6; // of coded rates to Shannon's, to compare devices and groups by; ours
constexpr double MOST_BITS_PER_ELEMENT = 7.4;
constexpr uint64_t BLER_BLOCKS = 100; // over which the BLER is averaged
constexpr double LARGEST_OFFSET_DB = 20;

/// SINR of one of two layers behind an MMSE receiver, at `psd` mW per PRB for both together.
double
GetLayerSinr(const NrPrbGain& gain, double psd, uint32_t layer)
{
    auto p = psd / 2;
    auto own = layer == 0 ? gain.first : gain.second;
    auto other = layer == 0 ? gain.second : gain.first;
    return p * own - p * p * gain.crossed / (1 + p * other);
}

/// 1 + SINR of some PRBs: with one layer, and of each of two.
template <typename Number>
struct Factors
{
    Number single;
    Number first;
    Number second;
};

/// Of one PRB, or of some in lanes.
template <typename Number>
[[gnu::always_inline]] inline Factors<Number>
GetFactors(const Number& single, const Number& first, const Number& second, const Number& crossed, double psd)
{
    auto p = psd / 2;
    return {1 + psd * single,
            1 + (p * first - p * p * crossed / (1 + p * second)),
            1 + (p * second - p * p * crossed / (1 + p * first))};
}

template <size_t LAYERS>
[[gnu::always_inline]] inline void
PutLane(const NrGram<LAYERS>& gram, uint32_t lane, NrGram<LAYERS, Lanes>& lanes)
{
    for (size_t i = 0; i < gram.norms.size(); i++)
    {
        lanes.norms[i][lane] = gram.norms[i];
    }
    for (size_t i = 0; i < gram.products.size(); i++)
    {
        lanes.products[i].real[lane] = gram.products[i].real;
        lanes.products[i].imaginary[lane] = gram.products[i].imaginary;
    }
}

double
ToSinrDb(double bits)
{
    return ToDb(std::max(std::exp2(bits) - 1, 1e-9));
}

} // namespace

void
AddSinr(const std::vector<NrPrbGain>& gains,
        double psdMw,
        uint32_t layers,
        uint32_t begin,
        uint32_t end,
        std::vector<double>& sinr)
{
    for (auto prb = begin; prb < end; prb++)
    {
        if (layers == 1)
        {
            sinr.push_back(psdMw * gains[prb].single);
        }
        else
        {
            sinr.push_back(GetLayerSinr(gains[prb], psdMw, 0));
            sinr.push_back(GetLayerSinr(gains[prb], psdMw, 1));
        }
    }
}

void
AddManySinr(const std::vector<NrManyGain>& gains, double psdMw, uint32_t layers, std::vector<double>& sinr)
{
    auto add = [&sinr](const auto& factors) {
        for (auto factor : factors)
        {
            sinr.push_back(factor - 1);
        }
    };
    for (const auto& gain : gains)
    {
        layers == 3 ? add(GetMmseFactors(gain.three, psdMw / 3)) : add(GetMmseFactors(gain.four, psdMw / 4));
    }
}

std::vector<double>
NrLinkAdaptation::GetThresholdsDb(const NrErrorModel& errors, NrMcsTable table, uint32_t prbs, uint32_t elementsPerPrb)
{
    std::vector<double> thresholds;
    for (uint32_t cqi = 1; cqi <= 15; cqi++)
    {
        double low = -30;
        double high = 50;
        while (high - low > 0.001)
        {
            auto middle = (low + high) / 2;
            (errors.GetCqi(table, middle, prbs, elementsPerPrb) >= cqi ? high : low) = middle;
        }
        thresholds.push_back(high);
    }
    return thresholds;
}

void
NrLinkAdaptation::SetMcsThresholds(NrLinkSettings& settings)
{
    const auto& mcss = GetNrMcsTable(settings.table);
    for (uint32_t layers = 1; layers <= settings.layers; layers++)
    {
        auto& thresholds = settings.mcsDb[layers - 1];
        auto& bits = settings.mcsBits[layers - 1];
        thresholds.clear();
        bits.clear();
        for (uint32_t mcs = 0; mcs < mcss.size(); mcs++)
        {
            bits.push_back(GetNrTbsBits(settings.grid.GetPrbs(), settings.elements, mcss[mcs], layers));
            thresholds.push_back(
                settings.errors->GetThresholdDb(settings.table, mcs, bits.back(), settings.targetBler));
        }
        for (auto mcs = mcss.size() - 1; mcs > 0; mcs--) // where a higher one needs less, no use of the lower
        {
            thresholds[mcs - 1] = std::min(thresholds[mcs - 1], thresholds[mcs]);
        }
    }
}

void
NrLinkAdaptation::Begin(const NrLinkSettings* settings)
{
    m_settings = settings;
}

int64_t
NrLinkAdaptation::GetCqi(double db) const
{
    const auto& thresholds = m_settings->thresholdDb;
    return std::upper_bound(thresholds.begin(), thresholds.end(), db) - thresholds.begin();
}

uint32_t
NrLinkAdaptation::GetBlockBits(double layerDb, uint32_t prbs, uint32_t elementsPerPrb, uint32_t rank) const
{
    const auto& mcsDb = m_settings->mcsDb[rank - 1];
    if (prbs == m_settings->grid.GetPrbs() && elementsPerPrb == m_settings->elements && !mcsDb.empty())
    {
        auto above = std::upper_bound(mcsDb.begin(), mcsDb.end(), layerDb) - mcsDb.begin();
        return above == 0 ? 0 : m_settings->mcsBits[rank - 1][above - 1];
    }
    auto table = m_settings->table;
    auto target = m_settings->targetBler;
    auto mcs = m_settings->errors->GetBestMcs(table, layerDb, prbs, elementsPerPrb, rank, target);
    return mcs < 0 ? 0 : GetNrTbsBits(prbs, elementsPerPrb, GetNrMcsTable(table)[mcs], rank);
}

uint32_t
NrLinkAdaptation::GetBestRank(const NrReport& report, double psdMw) const
{
    uint32_t best = 1;
    uint32_t most = 0;
    auto shift = ToDb(psdMw / report.psdMw);
    for (uint32_t rank = 1; rank <= m_settings->layers && !report.layers[rank - 1].groupBits.empty(); rank++)
    {
        auto layerDb = report.layers[rank - 1].wideDb + shift;
        auto bits = GetBlockBits(layerDb, m_settings->grid.GetPrbs(), m_settings->elements, rank);
        if (bits > most)
        {
            most = bits;
            best = rank;
        }
    }
    return best;
}

COSIM_WIDE void
NrLinkAdaptation::AddShannonBits(const std::vector<NrPrbGain>& gains, double psdMw, uint32_t begin, uint32_t end)
{
    // Of 16 SINRs below 180 dB each product stays below the largest number.
    double single = 1;
    double first = 1;
    double second = 1;
    auto multiply = [&](double withOne, double withTwo, double withSecond) {
        single *= withOne;
        first *= withTwo;
        second *= withSecond;
    };
    auto prb = begin;
    for (; prb + LANES <= end; prb += LANES)
    {
        const auto* gain = &gains[prb];
        auto factors = GetFactors(Lanes{gain[0].single, gain[1].single, gain[2].single, gain[3].single},
                                  Lanes{gain[0].first, gain[1].first, gain[2].first, gain[3].first},
                                  Lanes{gain[0].second, gain[1].second, gain[2].second, gain[3].second},
                                  Lanes{gain[0].crossed, gain[1].crossed, gain[2].crossed, gain[3].crossed},
                                  psdMw);
        for (uint32_t lane = 0; lane < LANES; lane++)
        {
            multiply(factors.single[lane], factors.first[lane], factors.second[lane]);
        }
    }
    for (; prb < end; prb++)
    {
        const auto& gain = gains[prb];
        auto factors = GetFactors(gain.single, gain.first, gain.second, gain.crossed, psdMw);
        multiply(factors.single, factors.first, factors.second);
    }
    m_coming.layers[0].groupBits.push_back(std::log2(single));
    m_coming.layers[1].groupBits.push_back(std::log2(first) + std::log2(second));
}

COSIM_WIDE void
NrLinkAdaptation::AddManyShannonBits(const std::vector<NrManyGain>& gains, double psdMw, uint32_t begin, uint32_t end)
{
    double three = 0;
    double four = 0;
    for (auto prb = begin; prb < end; prb += LANES)
    {
        auto count = std::min(LANES, end - prb);
        NrGram<3, Lanes> ofThree{};
        NrGram<4, Lanes> ofFour{};
        for (uint32_t lane = 0; lane < count; lane++)
        {
            PutLane(gains[prb + lane].three, lane, ofThree);
            PutLane(gains[prb + lane].four, lane, ofFour);
        }
        auto a = GetMmseFactors(ofThree, psdMw / 3);
        auto b = GetMmseFactors(ofFour, psdMw / 4);
        for (uint32_t lane = 0; lane < count; lane++)
        {
            three += std::log2(a[0][lane] * a[1][lane] * a[2][lane]);
            four += std::log2(b[0][lane] * b[1][lane] * b[2][lane] * b[3][lane]);
        }
    }
    m_coming.layers[2].groupBits.push_back(three);
    m_coming.layers[3].groupBits.push_back(four);
}

void
NrLinkAdaptation::Measure(const std::vector<NrPrbGain>& gains,
                          double psdMw,
                          int64_t slot,
                          int64_t from,
                          const NrPrecoder& precoder,
                          const std::vector<NrManyGain>& many)
{
    const auto& grid = m_settings->grid;
    GetReport(slot);
    m_coming.from = from;
    m_coming.psdMw = psdMw;
    m_coming.precoder = precoder;
    for (auto& quality : m_coming.layers)
    {
        quality.groupBits.clear();
    }
    for (uint32_t group = 0; group < grid.CountGroups(); group++)
    {
        AddShannonBits(gains, psdMw, grid.GetBegin(group), grid.GetBegin(group) + grid.GetSize(group));
        if (!many.empty())
        {
            AddManyShannonBits(many, psdMw, grid.GetBegin(group), grid.GetBegin(group) + grid.GetSize(group));
        }
    }
    for (uint32_t rank = 1; rank <= (many.empty() ? 2 : NR_MANY_PORTS); rank++)
    {
        auto& quality = m_coming.layers[rank - 1];
        auto whole = std::accumulate(quality.groupBits.begin(), quality.groupBits.end(), 0.0);
        quality.wideDb = ToSinrDb(whole / grid.GetPrbs() / rank);
    }
    if (std::none_of(gains.begin(), gains.end(), [](const NrPrbGain& gain) { return gain.second > 0; }))
    {
        m_coming.layers[1] = {ToSinrDb(0), {}};
    }
    m_coming.rank = GetBestRank(m_coming, psdMw);
    m_coming.cqi = m_settings->isTold ? GetCqi(m_coming.GetQuality().wideDb) : 0;
}

const std::vector<double>&
NrLinkAdaptation::GetGroupDb(uint32_t rank)
{
    if (m_report.from != m_groupFrom || rank != m_groupRank)
    {
        m_groupFrom = m_report.from;
        m_groupRank = rank;
        m_groupDb.clear();
        for (auto bits : m_report.layers[rank - 1].groupBits)
        {
            m_groupDb.push_back(ToSinrDb(bits / m_settings->grid.GetSize(m_groupDb.size()) / rank));
        }
        // The device tells its rank, its CQI, and two bits of difference for each group (TS 38.214 table 5.2.2.1-1).
        for (auto& db : m_groupDb)
        {
            if (m_settings->isTold && rank == m_report.rank)
            {
                auto difference = std::clamp<int64_t>(GetCqi(db) - m_report.cqi, -1, 2);
                db = m_settings->thresholdDb[std::clamp<int64_t>(m_report.cqi + difference, 1, 15) - 1];
            }
        }
    }
    return m_groupDb;
}

const NrReport&
NrLinkAdaptation::GetReport(int64_t slot)
{
    if (m_coming.from >= 0 && m_coming.from <= slot)
    {
        std::swap(m_report, m_coming);
        m_coming.from = -1;
    }
    return m_report;
}

const NrReport&
NrLinkAdaptation::GetLatest() const
{
    return m_coming.from >= 0 ? m_coming : m_report;
}

uint32_t
NrLinkAdaptation::GetRank(double psdMw) const
{
    return m_settings->isTold || psdMw == m_report.psdMw ? m_report.rank : GetBestRank(m_report, psdMw);
}

double
NrLinkAdaptation::GetExpectedDb(const NrAllocation& allocation, double psdMw, uint32_t rank)
{
    double shift = m_offsetDb + ToDb(psdMw / m_report.psdMw);
    double bits = 0;
    const auto& groupDb = GetGroupDb(rank);
    m_settings->grid.ForEach(allocation, [&bits, &groupDb, shift](uint32_t group, uint32_t begin, uint32_t end) {
        bits += (end - begin) * std::log2(1 + FromDb(groupDb[group] + shift));
    });
    return ToSinrDb(bits / m_settings->grid.CountPrbs(allocation));
}

const std::vector<double>&
NrLinkAdaptation::GetBitsPerElement(double psdMw, uint32_t rank)
{
    double shift = m_offsetDb + ToDb(psdMw / m_report.psdMw);
    if (shift != m_shiftDb || rank != m_rank || m_report.from != m_from)
    {
        m_shiftDb = shift;
        m_rank = rank;
        m_from = m_report.from;
        m_bitsPerElement.clear();
        for (auto db : GetGroupDb(rank))
        {
            auto bits = std::min(std::log2(1 + EXPECTED_GAP * FromDb(db + shift)), MOST_BITS_PER_ELEMENT);
            m_bitsPerElement.push_back(bits * rank);
        }
    }
    return m_bitsPerElement;
}

uint32_t
NrLinkAdaptation::ChooseMcs(double expectedDb, uint32_t prbs, uint32_t elementsPerPrb, uint32_t rank) const
{
    const auto& errors = *m_settings->errors;
    auto target = m_settings->targetBler;
    return std::max(errors.GetBestMcs(m_settings->table, expectedDb, prbs, elementsPerPrb, rank, target), 0);
}

NrBlock
NrLinkAdaptation::MakeBlock(const NrAllocation& allocation, double psdMw, uint32_t elementsPerPrb)
{
    auto layers = GetRank(psdMw);
    auto prbs = m_settings->grid.CountPrbs(allocation);
    auto mcs = ChooseMcs(GetExpectedDb(allocation, psdMw, layers), prbs, elementsPerPrb, layers);
    auto bits = GetNrTbsBits(prbs, elementsPerPrb, GetNrMcsTable(m_settings->table)[mcs], layers);
    return {layers, mcs, bits};
}

uint32_t
NrLinkAdaptation::GetCapacityBits(uint32_t prbs, double psdMw, uint32_t elementsPerPrb) const
{
    return GetBits(GetLatest(), prbs, psdMw, elementsPerPrb);
}

uint32_t
NrLinkAdaptation::GetBits(const NrReport& report, uint32_t prbs, double psdMw, uint32_t elementsPerPrb) const
{
    auto rank = m_settings->isTold ? report.rank : GetBestRank(report, psdMw);
    auto layerDb = report.layers[rank - 1].wideDb + ToDb(psdMw / report.psdMw);
    return GetBlockBits(layerDb, prbs, elementsPerPrb, rank);
}

void
NrLinkAdaptation::Judge(uint32_t mcs, bool isDecoded)
{
    // So that errors and successes balance at the target; not beyond what an MCS can do.
    uint32_t most = GetNrMcsTable(m_settings->table).size() - 1;
    auto target = m_settings->targetBler;
    double change = isDecoded ? m_settings->stepDb * target / (1 - target) : -m_settings->stepDb;
    if ((isDecoded && mcs < most) || (!isDecoded && mcs > 0))
    {
        m_offsetDb = std::clamp(m_offsetDb + change, -LARGEST_OFFSET_DB, LARGEST_OFFSET_DB);
    }
    m_judged++;
    m_bler += ((isDecoded ? 0 : 1) - m_bler) / std::min(m_judged, BLER_BLOCKS);
}

double
NrLinkAdaptation::GetBler() const
{
    return m_judged > 0 ? m_bler : NAN;
}

} // namespace ns3::cosim
