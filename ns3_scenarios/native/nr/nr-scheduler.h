// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_SCHEDULER_H
#define COSIM_NR_SCHEDULER_H

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Groups of PRBs (resource block groups of TS 38.214 clause 5.1.2.2.1), as a set of bits.
using NrGroups = uint32_t;

/// How a band is divided into groups.
class NrGrid
{
  public:
    NrGrid() = default;

    /// Groups of the size that TS 38.214 table 5.1.2.2.1-1 has in configuration 1; the last may be smaller.
    explicit NrGrid(uint32_t prbs);

    uint32_t GetPrbs() const;
    uint32_t CountGroups() const;
    NrGroups GetAll() const;
    uint32_t GetBegin(uint32_t group) const;
    uint32_t GetSize(uint32_t group) const;
    uint32_t CountPrbs(NrGroups groups) const;

    /// Take at least so many PRBs out of `free`, from the lowest up; none if there are not so many.
    NrGroups Take(NrGroups& free, uint32_t prbs) const;

  private:
    uint32_t m_prbs{0};
    uint32_t m_size{1};
};

/// A device that could use PRBs of a slot.
struct NrCandidate
{
    uint32_t device;
    double neededBits;
    uint32_t mostPrbs;              // beyond which its power does not reach
    std::vector<double> bitsPerPrb; // of each group, as the MAC expects it
    NrGroups groups{0};             // what it gets
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

    void Configure(Kind kind, const NrGrid& grid, uint32_t devices);

    /**
     * From now on each device gets this share of the band while it has something to send, whatever the others do, and
     * no more; on average since then, as a slot is divided by whole groups. Empty: as `Configure` said.
     */
    void SetShares(std::vector<double> shares);

    /// Devices in the order in which they may choose in this slot.
    uint32_t GetFirst() const;

    /// Divide the groups that are free. `taken` has the PRBs that retransmissions have of this slot, by device.
    void Allocate(int64_t slot,
                  NrGroups free,
                  std::vector<NrCandidate>& candidates,
                  const std::vector<uint32_t>& taken);

  private:
    void AllocateInTurn(NrGroups free, std::vector<NrCandidate>& candidates);
    /// Each group to the candidate with the highest metric above 0, of those that need it.
    template <class Metric, class Take>
    void AllocateToBest(NrGroups free, std::vector<NrCandidate>& candidates, Metric metric, Take take);
    bool Fits(const NrCandidate& candidate, uint32_t prbs) const;
    void AllocateFairly(int64_t slot, NrGroups free, std::vector<NrCandidate>& candidates);
    void AllocateShares(NrGroups free, std::vector<NrCandidate>& candidates, const std::vector<uint32_t>& taken);

    Kind m_kind{Kind::ROUND_ROBIN};
    NrGrid m_grid;
    uint32_t m_devices{0};
    uint32_t m_first{0};
    std::vector<double> m_shares;
    std::vector<double> m_credit;    // PRBs
    std::vector<double> m_average;   // bits per slot
    std::vector<int64_t> m_averaged; // the slot up to which
};

} // namespace ns3::cosim

#endif
