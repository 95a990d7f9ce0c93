// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_ERROR_MODEL_H
#define COSIM_NR_ERROR_MODEL_H

#include "nr-tables.h"

#include "ns3/object.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/**
 * How likely a transport block is lost: link-level tables of the block error rate (BLER) of a code block in white
 * noise, and EESM, which finds for the SINRs of all its resource elements the one in white noise that is as good.
 *
 * The same for PDSCH and for PUSCH without transform precoding, which has its MCS tables (TS 38.214 clause 6.1.4.1) and
 * code. Where the tables have no curve, that of the nearest code rate of the same modulation serves, shifted by how far
 * the two are apart in Shannon's formula; the rule is ours.
 */
class NrErrorModel : public Object
{
  public:
    static TypeId GetTypeId();

    /**
     * The curves of an MCS. All are set before `Complete`.
     *
     * @param table as NrMcsTable
     * @param mcs MCS index
     * @param sinrs number of SINRs, evenly from `firstDb` in steps of `stepDb`
     * @param sizes number of code block sizes, and these in bits, rising
     * @param bler for each size in turn, for each SINR
     */
    void SetCurves(uint32_t table,
                   uint32_t mcs,
                   uint32_t sinrs,
                   double firstDb,
                   double stepDb,
                   uint32_t sizes,
                   const double* sizesBits,
                   const double* bler);

    /// EESM's beta (linear) of an MCS.
    void SetBeta(uint32_t table, uint32_t mcs, double beta);

    /// Fill the gaps.
    void Complete();

    /// The SINR in white noise that is as good as these (linear) together.
    double GetEffectiveSinrDb(NrMcsTable table, uint32_t mcs, const double* sinr, size_t count) const;

    /// BLER of a transport block.
    double GetBler(NrMcsTable table, uint32_t mcs, uint32_t tbsBits, double sinrDb) const;

    /**
     * BLER of a transport block that was received several times, with these effective SINRs and so many coded bits
     * each, as parts of the first one's (TS 38.212 clause 5.4.2: as many as the resource elements take). Chase
     * combining adds the energy of bits that came again. Incremental redundancy adds parity bits, until the mother code
     * has no more, and then energy; never less than chase combining.
     */
    double GetCombinedBler(NrMcsTable table,
                           uint32_t mcs,
                           uint32_t tbsBits,
                           const double* sinrDb,
                           const double* parts,
                           size_t transmissions,
                           bool isIncremental) const;

    /// The least SINR (to 0.001 dB) at which the BLER is no more than `target`.
    double GetThresholdDb(NrMcsTable table, uint32_t mcs, uint32_t tbsBits, double target) const;

    /// The highest MCS whose transport block has a BLER of no more than `target` at this SINR; -1 if none has.
    int32_t GetBestMcs(NrMcsTable table,
                       double sinrDb,
                       uint32_t prbs,
                       uint32_t elementsPerPrb,
                       uint32_t layers,
                       double target) const;

    /// The highest CQI whose transport block of one layer has a BLER of no more than 0.1 at this SINR; 0 if none has.
    uint32_t GetCqi(NrMcsTable table, double sinrDb, uint32_t prbs, uint32_t elementsPerPrb) const;

  private:
    struct Curves
    {
        double firstDb{0};
        double stepDb{1};
        uint32_t sinrs{0};
        std::vector<double> sizesBits;
        std::vector<double> bler;
        double shiftDb{0}; // of the SINR, if these curves are another MCS's
        double leastDb{0}; // below it no size has a BLER of 0.1 or less
    };

    using Table = std::vector<Curves>; // by MCS

    void CompleteCurves(uint32_t index);
    void CompleteBetas(uint32_t index);
    const Table& GetTable(NrMcsTable table) const;
    double GetCodeBlockBler(const Curves& curves, double bits, double sinrDb) const;
    double GetBlerAtRate(NrMcsTable table,
                         uint32_t modulationOrder,
                         double codeRate,
                         NrCodeBlocks blocks,
                         double sinrDb) const;

    std::array<Table, 3> m_tables; // by NrMcsTable
    std::array<std::vector<double>, 3> m_betas;
};

} // namespace ns3::cosim

#endif
