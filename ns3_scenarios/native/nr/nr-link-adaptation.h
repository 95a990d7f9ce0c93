// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_LINK_ADAPTATION_H
#define COSIM_NR_LINK_ADAPTATION_H

#include "nr-channel.h"
#include "nr-error-model.h"
#include "nr-scheduler.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// What one layer of several bears.
struct NrLayerQuality
{
    double wideDb{NAN};            // effective SINR over the whole carrier, as measured
    std::vector<double> groupBits; // by Shannon's formula, on an element of each PRB of each group of them, likewise;
                                   // empty where there are not so many layers
};

/// A channel report: what the MAC may know of one direction of a link from a slot on.
struct NrReport
{
    int64_t from{-1};
    int64_t cqi{0};
    uint32_t rank{1};
    NrPrecoder precoder;                              // for what is sent while this report holds
    double psdMw{0};                                  // at which transmit power on each PRB
    std::array<NrLayerQuality, NR_MANY_PORTS> layers; // with one layer, and if there can be as many with more

    /// A layer's at the rank reported.
    const NrLayerQuality& GetQuality() const
    {
        return layers[rank - 1];
    }
};

/// A transport block: its layers, its MCS, and its size.
struct NrBlock
{
    uint32_t layers;
    uint32_t mcs;
    uint32_t bits;
};

/// What link adaptation is for all links of one direction of a cell.
struct NrLinkSettings
{
    Ptr<NrErrorModel> errors;
    NrMcsTable table{NrMcsTable::QAM256};
    NrGrid grid;
    uint32_t elements{0};                                     // for data, of a PRB in a whole slot
    double targetBler{0.1};                                   // of first transmissions
    double stepDb{0};                                         // of the outer loop, when a block fails
    bool isTold{false};                                       // the device tells CQIs; else the gNB measures
    uint32_t layers{2};                                       // at most
    std::vector<double> thresholdDb;                          // the least effective SINR of each CQI, from 1
    std::array<std::vector<double>, NR_MANY_PORTS> mcsDb;     // of each MCS on the whole carrier, by layers from one on
    std::array<std::vector<uint32_t>, NR_MANY_PORTS> mcsBits; // and the bits of its block
};

/// The SINRs (linear) of PRBs `begin` to `end` behind the receiver, for each of one or two layers; added to `sinr`. Of
/// two layers each has half of `psdMw`, behind an MMSE receiver.
void AddSinr(const std::vector<NrPrbGain>& gains,
             double psdMw,
             uint32_t layers,
             uint32_t begin,
             uint32_t end,
             std::vector<double>& sinr);

/// The same of three or four layers, of all PRBs.
void AddManySinr(const std::vector<NrManyGain>& gains, double psdMw, uint32_t layers, std::vector<double>& sinr);

/**
 * Link adaptation of one direction of a link: what the channel is reported to be, what is to be expected of it, and the
 * MCS that goes with that. An outer loop shifts the expected SINR so that first transmissions fail as often as the
 * target says (Sampath et al., VTC 1997).
 */
class NrLinkAdaptation
{
  public:
    static constexpr int64_t OUT_OF_RANGE_CQI = 0; // TS 38.214 tables 5.2.2.1-2 to -4

    /// The least effective SINR of each CQI from 1 to 15 (to 0.001 dB).
    static std::vector<double> GetThresholdsDb(const NrErrorModel& errors,
                                               NrMcsTable table,
                                               uint32_t prbs,
                                               uint32_t elementsPerPrb);

    /// Fill in what each MCS needs and carries on the whole carrier in a whole slot.
    static void SetMcsThresholds(NrLinkSettings& settings);

    /// `settings` outlive this.
    void Begin(const NrLinkSettings* settings);

    /// The channel was measured in `slot` at this power on each PRB, behind this precoder; known from slot `from` on.
    /// `many` is empty where there are no more than two layers.
    void Measure(const std::vector<NrPrbGain>& gains,
                 double psdMw,
                 int64_t slot,
                 int64_t from,
                 const NrPrecoder& precoder = {},
                 const std::vector<NrManyGain>& many = {});

    /// The report that holds in a slot. Slots are asked for in order.
    const NrReport& GetReport(int64_t slot);

    /// The newest report, known or not yet.
    const NrReport& GetLatest() const;

    /**
     * Layers at this power on each PRB, by the report in force: as the device told, or else those by which the tables
     * give most bits, and one where they give none. Power is taken to raise the SINRs of several layers alike.
     */
    uint32_t GetRank(double psdMw) const;

    /// The SINR of a layer to be expected there, as of the report in force.
    double GetExpectedDb(const NrAllocation& allocation, double psdMw, uint32_t rank);

    /// Bits that an element of each group may be expected to carry; valid until the next call, report or result.
    const std::vector<double>& GetBitsPerElement(double psdMw, uint32_t rank);

    /// The MCS for an allocation; the lowest, where none meets the target.
    uint32_t ChooseMcs(double expectedDb, uint32_t prbs, uint32_t elementsPerPrb, uint32_t rank) const;

    /// The block that goes onto these PRBs, with so many elements for data on each, as of the report in force.
    NrBlock MakeBlock(const NrAllocation& allocation, double psdMw, uint32_t elementsPerPrb);

    /// Bits of a block on so many PRBs by the newest report, whatever the outer loop says; 0 if no MCS meets the
    /// target.
    uint32_t GetCapacityBits(uint32_t prbs, double psdMw, uint32_t elementsPerPrb) const;

    /// The same by any report of this link.
    uint32_t GetBits(const NrReport& report, uint32_t prbs, double psdMw, uint32_t elementsPerPrb) const;

    /// The gNB has learnt what came of a first transmission with this MCS.
    void Judge(uint32_t mcs, bool isDecoded);

    /// BLER of first transmissions, averaged over about 100 of them; NaN before the first.
    double GetBler() const;

  private:
    int64_t GetCqi(double db) const;
    /// Add to the coming report what a group's PRBs bear, from `begin` to before `end`.
    void AddShannonBits(const std::vector<NrPrbGain>& gains, double psdMw, uint32_t begin, uint32_t end);
    void AddManyShannonBits(const std::vector<NrManyGain>& gains, double psdMw, uint32_t begin, uint32_t end);
    /// A layer's effective SINR in each group, as reported; made where something is to be sent, which is seldom.
    const std::vector<double>& GetGroupDb(uint32_t rank);
    /// Those of one block that meets the target, a layer having this SINR; 0 if none does.
    uint32_t GetBlockBits(double layerDb, uint32_t prbs, uint32_t elementsPerPrb, uint32_t rank) const;
    uint32_t GetBestRank(const NrReport& report, double psdMw) const;

    const NrLinkSettings* m_settings{nullptr};
    NrReport m_report;
    NrReport m_coming;
    double m_offsetDb{0};
    double m_bler{0};
    uint64_t m_judged{0};
    std::vector<double> m_groupDb;        // as of
    uint32_t m_groupRank{0};              // so many layers
    int64_t m_groupFrom{-1};              // and this report
    std::vector<double> m_bitsPerElement; // as of
    double m_shiftDb{NAN};                // this shift of the report,
    uint32_t m_rank{0};                   // so many layers
    int64_t m_from{-1};                   // and this report
};

} // namespace ns3::cosim

#endif
