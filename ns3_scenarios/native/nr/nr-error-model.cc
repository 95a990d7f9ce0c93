// SPDX-License-Identifier: GPL-2.0-only
#include "nr-error-model.h"

#include "decibel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrErrorModel);

namespace
{

constexpr double CQI_TARGET = 0.1; // TS 38.214 clause 5.2.2.1
constexpr double LOWEST_DB = -60;
constexpr double HIGHEST_DB = 80;
constexpr double TOLERANCE_DB = 0.001;

/// SNR at which Shannon's formula gives this spectral efficiency.
double
GetShannonDb(const NrMcs& mcs)
{
    return ToDb(std::exp2(mcs.modulationOrder * mcs.codeRate) - 1);
}

/// Of MCSs of this modulation order for which `has` holds, the one with the nearest code rate; -1 if there is none.
template <class Has>
int32_t
FindNearest(const std::vector<NrMcs>& table, uint32_t modulationOrder, double codeRate, Has has)
{
    int32_t nearest = -1;
    auto least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < table.size(); i++)
    {
        auto apart = std::abs(table[i].codeRate - codeRate);
        if (table[i].modulationOrder == modulationOrder && apart < least && has(i))
        {
            nearest = i;
            least = apart;
        }
    }
    return nearest;
}

/// The SINR that is as good, by Shannon's formula, as those of the first transmission's bits, of which later ones bring
/// so many again, in rounds if they bring more than all.
double
GetChaseDb(const double* sinrDb, const double* parts, size_t transmissions)
{
    std::vector<double> ends{1};
    for (size_t i = 1; i < transmissions; i++)
    {
        ends.push_back(parts[i] - std::floor(parts[i]));
    }
    std::sort(ends.begin(), ends.end());
    double bits = 0;
    double begin = 0;
    for (auto end : ends)
    {
        auto energy = FromDb(sinrDb[0]);
        for (size_t i = 1; i < transmissions; i++)
        {
            auto times = std::floor(parts[i]) + (begin < parts[i] - std::floor(parts[i]) ? 1 : 0);
            energy += times * FromDb(sinrDb[i]);
        }
        bits += (end - begin) * std::log2(1 + energy);
        begin = end;
    }
    return ToDb(std::exp2(bits) - 1);
}

} // namespace

TypeId
NrErrorModel::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NrErrorModel").SetParent<Object>().SetGroupName("Cosim").AddConstructor<NrErrorModel>();
    return tid;
}

const NrErrorModel::Table&
NrErrorModel::GetTable(NrMcsTable table) const
{
    return m_tables[static_cast<size_t>(table) - 1];
}

void
NrErrorModel::SetCurves(uint32_t table,
                        uint32_t mcs,
                        uint32_t sinrs,
                        double firstDb,
                        double stepDb,
                        uint32_t sizes,
                        const double* sizesBits,
                        const double* bler)
{
    auto& curves = m_tables[table - 1];
    curves.resize(GetNrMcsTable(static_cast<NrMcsTable>(table)).size());
    auto& each = curves[mcs];
    each = {firstDb - stepDb, stepDb, sinrs + 2, {sizesBits, sizesBits + sizes}, {}};
    for (uint32_t size = 0; size < sizes; size++)
    {
        each.bler.push_back(
            1); // a step before the first SINR and, below, one behind the last: nothing and all is decoded
        for (uint32_t i = 0; i < sinrs; i++)
        {
            each.bler.push_back(std::min(each.bler.back(), bler[size * sinrs + i])); // the rest is noise of measuring
        }
        each.bler.push_back(0);
    }
}

void
NrErrorModel::SetBeta(uint32_t table, uint32_t mcs, double beta)
{
    m_betas[table - 1].resize(GetNrMcsTable(static_cast<NrMcsTable>(table)).size(), 0);
    m_betas[table - 1][mcs] = beta;
}

void
NrErrorModel::Complete()
{
    for (uint32_t index = 0; index < m_tables.size(); index++)
    {
        CompleteCurves(index);
        CompleteBetas(index);
    }
}

void
NrErrorModel::CompleteCurves(uint32_t index)
{
    const auto& table = GetNrMcsTable(static_cast<NrMcsTable>(index + 1));
    auto& curves = m_tables[index];
    curves.resize(table.size());
    auto given = curves;
    auto has = [&given](size_t mcs) { return given[mcs].sinrs > 0; };
    for (size_t mcs = 0; mcs < table.size(); mcs++)
    {
        auto from = FindNearest(table, table[mcs].modulationOrder, table[mcs].codeRate, has);
        NS_ABORT_MSG_IF(from < 0, "NrErrorModel: no curves for table " << index + 1);
        curves[mcs] = given[from];
        curves[mcs].shiftDb = GetShannonDb(table[from]) - GetShannonDb(table[mcs]);
    }
    for (auto& each : curves)
    {
        each.leastDb = std::numeric_limits<double>::infinity();
        for (auto bits : each.sizesBits)
        {
            for (uint32_t i = 0; i + 1 < each.sinrs; i++)
            {
                auto db = each.firstDb + i * each.stepDb - each.shiftDb;
                if (GetCodeBlockBler(each, bits, db + each.stepDb) <= CQI_TARGET)
                {
                    each.leastDb = std::min(each.leastDb, db);
                }
            }
        }
    }
}

void
NrErrorModel::CompleteBetas(uint32_t index)
{
    const auto& table = GetNrMcsTable(static_cast<NrMcsTable>(index + 1));
    auto source = m_betas[index].empty() ? 0 : index; // the library has none for low rates
    const auto& from = GetNrMcsTable(static_cast<NrMcsTable>(source + 1));
    auto given = m_betas[source];
    auto has = [&given](size_t mcs) { return mcs < given.size() && given[mcs] > 0; };
    m_betas[index].resize(table.size(), 0);
    for (size_t mcs = 0; mcs < table.size(); mcs++)
    {
        auto nearest = FindNearest(from, table[mcs].modulationOrder, table[mcs].codeRate, has);
        NS_ABORT_MSG_IF(nearest < 0, "NrErrorModel: no beta for table " << index + 1);
        m_betas[index][mcs] = given[nearest];
    }
}

double
NrErrorModel::GetEffectiveSinrDb(NrMcsTable table, uint32_t mcs, const double* sinr, size_t count) const
{
    auto beta = m_betas[static_cast<size_t>(table) - 1][mcs];
    auto least = *std::min_element(sinr, sinr + count);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
    {
        sum += std::exp((least - sinr[i]) / beta);
    }
    return std::max(ToDb(std::max(least - beta * std::log(sum / count), 0.0)), LOWEST_DB);
}

double
NrErrorModel::GetCodeBlockBler(const Curves& curves, double bits, double sinrDb) const
{
    auto at = (sinrDb + curves.shiftDb - curves.firstDb) / curves.stepDb;
    if (at <= 0)
    {
        return 1;
    }
    auto column = std::min<uint32_t>(at, curves.sinrs - 2);
    auto along = std::min(at - column, 1.0);
    auto row = std::upper_bound(curves.sizesBits.begin(), curves.sizesBits.end(), bits) - curves.sizesBits.begin();
    auto above = std::clamp<int64_t>(row, 1, curves.sizesBits.size() - 1);
    auto low = curves.sizesBits[above - 1];
    auto across = std::clamp((bits - low) / (curves.sizesBits[above] - low), 0.0, 1.0);
    auto first = &curves.bler[(above - 1) * curves.sinrs + column];
    auto second = first + curves.sinrs;
    auto lower = first[0] + along * (first[1] - first[0]);
    auto upper = second[0] + along * (second[1] - second[0]);
    return std::clamp(lower + across * (upper - lower), 0.0, 1.0);
}

double
NrErrorModel::GetBler(NrMcsTable table, uint32_t mcs, uint32_t tbsBits, double sinrDb) const
{
    auto blocks = GetNrCodeBlocks(tbsBits, GetNrMcsTable(table)[mcs].codeRate);
    auto bler = GetCodeBlockBler(GetTable(table)[mcs], blocks.bits, sinrDb);
    return 1 - std::pow(1 - bler, blocks.count);
}

double
NrErrorModel::GetBlerAtRate(NrMcsTable table,
                            uint32_t modulationOrder,
                            double codeRate,
                            NrCodeBlocks blocks,
                            double sinrDb) const
{
    const auto& mcss = GetNrMcsTable(table);
    auto mcs = FindNearest(mcss, modulationOrder, codeRate, [](size_t) { return true; });
    auto shiftDb = GetShannonDb(mcss[mcs]) - GetShannonDb({modulationOrder, codeRate});
    auto bler = GetCodeBlockBler(GetTable(table)[mcs], blocks.bits, sinrDb + shiftDb);
    return 1 - std::pow(1 - bler, blocks.count);
}

double
NrErrorModel::GetCombinedBler(NrMcsTable table,
                              uint32_t mcs,
                              uint32_t tbsBits,
                              const double* sinrDb,
                              const double* parts,
                              size_t transmissions,
                              bool isIncremental) const
{
    if (transmissions == 1)
    {
        return GetBler(table, mcs, tbsBits, sinrDb[0]);
    }
    auto chase = GetBler(table, mcs, tbsBits, GetChaseDb(sinrDb, parts, transmissions));
    if (!isIncremental)
    {
        return chase;
    }
    double energy = 0;
    double whole = 0;
    for (size_t i = 0; i < transmissions; i++)
    {
        energy += parts[i] * FromDb(sinrDb[i]);
        whole += parts[i];
    }
    const auto& used = GetNrMcsTable(table)[mcs];
    auto mother = std::min(GetNrMotherRate(tbsBits, used.codeRate), used.codeRate);
    auto rate = std::max(used.codeRate / whole, mother);
    auto blocks = GetNrCodeBlocks(tbsBits, used.codeRate);
    auto sinr = ToDb(energy * rate / used.codeRate); // the mean, times how often the mother code's bits came
    return std::min(chase, GetBlerAtRate(table, used.modulationOrder, rate, blocks, sinr));
}

double
NrErrorModel::GetThresholdDb(NrMcsTable table, uint32_t mcs, uint32_t tbsBits, double target) const
{
    auto low = LOWEST_DB;
    auto high = HIGHEST_DB;
    while (high - low > TOLERANCE_DB)
    {
        auto middle = (low + high) / 2;
        (GetBler(table, mcs, tbsBits, middle) <= target ? high : low) = middle;
    }
    return high;
}

int32_t
NrErrorModel::GetBestMcs(NrMcsTable table,
                         double sinrDb,
                         uint32_t prbs,
                         uint32_t elementsPerPrb,
                         uint32_t layers,
                         double target) const
{
    const auto& mcss = GetNrMcsTable(table);
    const auto& curves = GetTable(table);
    for (int32_t mcs = mcss.size() - 1; mcs >= 0; mcs--)
    {
        if (target <= CQI_TARGET && sinrDb < curves[mcs].leastDb)
        {
            continue;
        }
        if (GetBler(table, mcs, GetNrTbsBits(prbs, elementsPerPrb, mcss[mcs], layers), sinrDb) <= target)
        {
            return mcs;
        }
    }
    return -1;
}

uint32_t
NrErrorModel::GetCqi(NrMcsTable table, double sinrDb, uint32_t prbs, uint32_t elementsPerPrb) const
{
    const auto& cqis = GetNrCqiTable(table);
    for (auto cqi = cqis.size(); cqi > 0; cqi--)
    {
        const auto& mcs = cqis[cqi - 1];
        auto blocks = GetNrCodeBlocks(GetNrTbsBits(prbs, elementsPerPrb, mcs, 1), mcs.codeRate);
        if (GetBlerAtRate(table, mcs.modulationOrder, mcs.codeRate, blocks, sinrDb) <= CQI_TARGET)
        {
            return cqi;
        }
    }
    return 0;
}

} // namespace ns3::cosim
