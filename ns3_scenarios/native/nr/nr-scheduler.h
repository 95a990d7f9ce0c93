// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_SCHEDULER_H
#define COSIM_NR_SCHEDULER_H

#include "nr-grid.h"
#include "nr-qos-flows.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace ns3::cosim
{

/// A device that could use PRBs of a slot.
struct NrCandidate
{
    uint32_t device;
    NrWaiting waiting;                         // of it, in bytes
    uint32_t mostPrbs;                         // beyond which its power does not reach; 1 at least
    uint32_t elements;                         // of a PRB for data
    uint32_t layers;                           // at most
    const std::vector<double>* bitsPerElement; // on each group, about: to compare devices and groups by
    uint32_t control;                          // elements of the PDCCH that its grant takes
    uint32_t answer{0};                        // cyclic shifts of the PUCCH that its answer takes
    NrAllocation allocation{};                 // what it gets
    uint64_t wantedBits{0};                    // for the logical channel groups whose turn it is
    uint32_t blockBits{0};                     // of the block on what it gets; 0 while that is too little in any case
};

/// Divides the PRBs of one direction among devices, slot by slot.
class NrScheduler
{
  public:
    enum class Kind
    {
        ROUND_ROBIN,
        PROPORTIONAL_FAIR
    };

    /// Bits of the block that would be sent on what a candidate gets.
    using CountBits = std::function<uint32_t(const NrCandidate&)>;

    void Configure(Kind kind, const NrGrid& grid, uint32_t devices);

    /**
     * From now on each device gets this share of the band while it has something to send, whatever the others do, and
     * no more; on average since then, as a slot is divided by whole groups. Empty: as `Configure` said.
     */
    void SetShares(std::vector<double> shares);

    /// The device that is first in this slot, where order matters.
    uint32_t GetFirst() const;

    /// Divide what is free, among no more devices than there is control and answers for: for what waits in the first
    /// logical channel group of each before the others, but by shares for all at once. Who has PRBs enough for a block
    /// that takes all that waits gets no more. `taken` has the PRBs that retransmissions have of this slot, by device.
    void Allocate(int64_t slot,
                  NrFreePrbs& free,
                  std::vector<NrCandidate>& candidates,
                  const std::vector<uint32_t>& taken,
                  const CountBits& countBits);

  private:
    /// Each group of PRBs to the candidate with the highest metric, of those that need it, and none below `least`. What
    /// is left over of groups goes to those who have none.
    template <class Metric, class Take>
    void AllocateToBest(NrFreePrbs& free,
                        std::vector<NrCandidate>& candidates,
                        const CountBits& countBits,
                        double least,
                        Metric metric,
                        Take take) const;
    /// The same for one logical channel group after the other.
    template <class Metric, class Take>
    void AllocateByPriority(NrFreePrbs& free,
                            std::vector<NrCandidate>& candidates,
                            const CountBits& countBits,
                            double least,
                            Metric metric,
                            Take take) const;
    void AllocateInTurn(NrFreePrbs& free,
                        std::vector<NrCandidate>& candidates,
                        const std::vector<uint32_t>& taken,
                        const CountBits& countBits);
    void AllocateFairly(int64_t slot,
                        NrFreePrbs& free,
                        std::vector<NrCandidate>& candidates,
                        const CountBits& countBits);
    void AllocateShares(NrFreePrbs& free,
                        std::vector<NrCandidate>& candidates,
                        const std::vector<uint32_t>& taken,
                        const CountBits& countBits);

    Kind m_kind{Kind::ROUND_ROBIN};
    NrGrid m_grid;
    uint32_t m_devices{0};
    uint32_t m_first{0};
    std::vector<double> m_shares;
    std::vector<uint64_t> m_turn;    // PRBs that a device has had, as if it had always had something to send
    uint64_t m_now{0};               // the turn of the device that was served last
    std::vector<double> m_credit;    // PRBs
    std::vector<double> m_average;   // bits per slot
    std::vector<int64_t> m_averaged; // the slot up to which
};

} // namespace ns3::cosim

#endif
