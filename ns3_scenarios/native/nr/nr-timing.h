// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_TIMING_H
#define COSIM_NR_TIMING_H

#include "nr-frame.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// How long the two ends of a cell take for what. Symbols and slots are those of the carrier's numerology, also where
/// it has mini-slots.
struct NrTimingSettings
{
    int64_t decodingSymbols{-1};    ///< a device's for PDSCH; negative: N1 of TS 38.214 table 5.3-1
    int64_t preparationSymbols{-1}; ///< and for PUSCH; negative: N2 of table 6.4-1 and d2,1 = 1 (clause 6.4)
    int64_t gnbDecodingSymbols{-1}; ///< the gNB's for what comes up; negative: N1
    int64_t gnbLeadSymbols{-1};     ///< so long before a slot it decides what that slot carries; negative: N1
    int64_t timingAdvanceNs{0};     ///< by which devices send early, TS 38.211 clause 4.3.1
    uint32_t leastK1{0};            ///< slots from PDSCH to its answer at least
    uint32_t leastK2{0};            ///< slots from a grant to its PUSCH at least
    uint32_t requestPeriod{1};      ///< slots between two occasions for scheduling requests (TS 38.213 clause 9.2.4)
    uint32_t requestOffset{0};      ///< the first of them; each is in the first uplink slot from there on
};

/// When what is granted, sent, answered and known, on an NR carrier with these processing times.
class NrTiming
{
  public:
    NrTiming() = default;
    NrTiming(const NrFrame& frame, const NrTimingSettings& settings);

    /// What a slot's PDSCH carries, the gNB must have by then.
    int64_t GetDownlinkReadyNs(int64_t slot) const;

    /// What a slot's PUSCH carries, the device must have by then.
    int64_t GetUplinkReadyNs(int64_t slot) const;

    /// When the receiver has what a slot's PDSCH, or PUSCH, has carried.
    int64_t GetDecodedNs(bool isUplink, int64_t slot) const;

    /// The slot whose PUCCH has the answer to a slot's PDSCH.
    int64_t GetAnswerSlot(int64_t slot) const;

    /// The first slot that can be scheduled by what became of a block sent in this slot.
    int64_t GetKnownSlot(bool isUplink, int64_t slot) const;

    /// Whether an uplink slot is the first one since one of the occasions that there are each `period` slots from slot
    /// `offset` on.
    bool HasOccasion(int64_t slot, uint32_t period, uint32_t offset) const;

    /// Whether an uplink slot has an occasion for scheduling requests, and the first slot that can be scheduled by one.
    bool HasRequest(int64_t slot) const;
    int64_t GetRequestKnownSlot(int64_t slot) const;

    /// The first slot from this one on that has PDSCH.
    int64_t GetPdschSlotFrom(int64_t slot) const;

    /// When the device has received what a slot's PDSCH carries, its decoding left out of it.
    int64_t GetPdschEndNs(int64_t slot) const;

    /// The slot whose PUSCH has message 3 of random access, granted by the response in a slot's PDSCH.
    int64_t GetMessage3Slot(int64_t responseSlot) const;

    /// The first uplink slot, not a special one, that is granted at this time or later.
    int64_t GetGrantedSlotFrom(int64_t ns) const;

    /// The slot whose PDCCH may grant this uplink slot: the last one that leaves the device its time for preparation.
    int64_t GetGrantSlot(int64_t uplinkSlot) const;

    /// For each slot of the pattern, how many slots later those lie that its PDCCH grants.
    std::vector<std::vector<int64_t>> GetGrantOffsets() const;

    /// For each slot of the pattern, how often a device with so many HARQ processes has one for it, if it always sends.
    std::vector<double> GetUse(bool isUplink, uint32_t processes) const;

    /// More than it ever takes from a transmission to the next one of the same block.
    int64_t GetLongestRoundNs() const;

  private:
    int64_t GetFirstKnownSlot(int64_t receivedNs) const;

    NrFrame m_frame;
    NrTimingSettings m_settings;
};

} // namespace ns3::cosim

#endif
