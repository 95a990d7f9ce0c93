// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_TABLES_H
#define COSIM_NR_TABLES_H

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// A modulation of so many bits a symbol and a code of this rate.
struct NrMcs
{
    uint32_t modulationOrder;
    double codeRate;
};

/// By the number of the table in TS 38.214 clauses 5.1.3.1 and 5.2.2.1.
enum class NrMcsTable
{
    QAM64 = 1,
    QAM256 = 2,
    QAM64_LOW_SE = 3
};

/// MCS index to MCS, without the reserved ones: TS 38.214 tables 5.1.3.1-1 to -3; also for PUSCH (clause 6.1.4.1).
const std::vector<NrMcs>& GetNrMcsTable(NrMcsTable table);

/// CQI index less one to MCS: TS 38.214 tables 5.2.2.1-2 to -4.
const std::vector<NrMcs>& GetNrCqiTable(NrMcsTable table);

/// Transport block size, TS 38.214 clause 5.1.3.2; the elements per PRB before the limit of 156.
uint32_t GetNrTbsBits(uint32_t prbs, uint32_t elementsPerPrb, const NrMcs& mcs, uint32_t layers);

/// Code blocks of a transport block, and the bits of each with its CRC: TS 38.212 clauses 5.2.2 and 7.2.1.
struct NrCodeBlocks
{
    uint32_t count;
    uint32_t bits;
};

NrCodeBlocks GetNrCodeBlocks(uint32_t tbsBits, double codeRate);

/// The code rate below which further redundancy only repeats: that of the LDPC base graph, TS 38.212 clause 5.3.2.
double GetNrMotherRate(uint32_t tbsBits, double codeRate);

} // namespace ns3::cosim

#endif
