// SPDX-License-Identifier: GPL-2.0-only
#include "nr-measurements.h"

#include "decibel.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

namespace
{

constexpr double FILTER_WEIGHT = 0.5; // of the latest measurement: 1 / 2^(k / 4) with k = 4, TS 38.331 clause 5.5.3.2
constexpr double LEAST_MW = 1e-20;    // that is measured

} // namespace

NrMeasurements::NrMeasurements(uint32_t cells)
    : m_cells(cells, Cell{0, 0, NAN, -1})
{
}

void
NrMeasurements::AddSample(uint32_t cell, double mw)
{
    m_cells[cell].sumMw += mw;
    m_cells[cell].samples++;
}

bool
NrMeasurements::Filter(int64_t nowNs, uint32_t serving, double hysteresisDb)
{
    for (auto& cell : m_cells)
    {
        auto dbm = ToDb(std::max(cell.sumMw / cell.samples, LEAST_MW));
        cell.filteredDbm =
            std::isnan(cell.filteredDbm) ? dbm : FILTER_WEIGHT * dbm + (1 - FILTER_WEIGHT) * cell.filteredDbm;
        cell.sumMw = 0;
        cell.samples = 0;
    }
    bool isNew = false;
    for (auto& cell : m_cells)
    {
        bool holds = cell.filteredDbm - hysteresisDb > m_cells[serving].filteredDbm && &cell != &m_cells[serving];
        isNew = isNew || (holds && cell.sinceNs < 0);
        cell.sinceNs = !holds ? -1 : cell.sinceNs < 0 ? nowNs : cell.sinceNs;
    }
    return isNew;
}

int32_t
NrMeasurements::FindTriggered(int64_t nowNs, int64_t timeToTriggerNs) const
{
    int32_t best = -1;
    for (uint32_t i = 0; i < m_cells.size(); i++)
    {
        const auto& cell = m_cells[i];
        bool isHeld = cell.sinceNs >= 0 && nowNs - cell.sinceNs >= timeToTriggerNs;
        if (isHeld && (best < 0 || cell.filteredDbm > m_cells[best].filteredDbm))
        {
            best = static_cast<int32_t>(i);
        }
    }
    return best;
}

void
NrMeasurements::Reset()
{
    for (auto& cell : m_cells)
    {
        cell.sinceNs = -1;
    }
}

double
NrMeasurements::GetFilteredDbm(uint32_t cell) const
{
    return m_cells[cell].filteredDbm;
}

} // namespace ns3::cosim
