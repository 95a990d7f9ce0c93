// SPDX-License-Identifier: GPL-2.0-only
#include "nr-control-channel.h"

#include "decibel.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t CORESET_STEP = 6;     // PRBs, TS 38.213 clause 10.1
constexpr uint32_t ELEMENT_GROUPS = 6;   // REGs of a CCE, each of a PRB and a symbol
constexpr uint32_t ELEMENT_SYMBOLS = 54; // of a CCE for data: of 12 in a REG three are DMRS (clause 7.4.1.3.2)
constexpr double DCI_BITS = 84;          // 60, and 24 of CRC; ours
constexpr double CODE_GAP_DB = 3;        // of short polar codes from Shannon's formula at 1 % of errors; ours
constexpr uint32_t HIGHEST_LEVEL = 16;

constexpr uint32_t WIDE_BITS = 5;   // of a report: CQI and rank
constexpr uint32_t GROUP_BITS = 2;  // of each group
constexpr uint32_t PUCCH_BITS = 16; // of a PRB and symbol of format 2: 8 elements of QPSK (TS 38.211 clause 6.3.2.5)
constexpr double PUCCH_RATE = 0.35; // of those of TS 38.213 table 9.2.5.2-1; ours

} // namespace

NrControlChannel::NrControlChannel(uint32_t prbs, uint32_t pdcchSymbols, uint32_t pucchSymbols, uint32_t groups)
    : m_elements(std::max<uint32_t>(prbs / CORESET_STEP * CORESET_STEP * pdcchSymbols / ELEMENT_GROUPS, 1))
{
    m_reports = std::max<uint32_t>(prbs * pucchSymbols / CountPrbSymbols(WIDE_BITS + GROUP_BITS * groups), 1);
}

uint32_t
NrControlChannel::CountPrbSymbols(uint32_t bits)
{
    auto crc = bits < 12 ? 0 : (bits < 20 ? 6 : 11); // TS 38.212 clauses 6.3.1.2.1 and 6.3.1.2.2
    return static_cast<uint32_t>(std::ceil((bits + crc) / PUCCH_RATE / PUCCH_BITS));
}

uint32_t
NrControlChannel::CountElements() const
{
    return m_elements;
}

uint32_t
NrControlChannel::GetAggregationLevel(double sinrDb) const
{
    uint32_t level = 1;
    while (level < HIGHEST_LEVEL && 2 * level <= m_elements &&
           ToDb(std::exp2(DCI_BITS / (ELEMENT_SYMBOLS * level)) - 1) + CODE_GAP_DB > sinrDb)
    {
        level *= 2;
    }
    return level;
}

uint32_t
NrControlChannel::CountReports() const
{
    return m_reports;
}

} // namespace ns3::cosim
