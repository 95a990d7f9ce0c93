// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_GRID_H
#define COSIM_NR_GRID_H

#include <bit>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Groups of PRBs (resource block groups of TS 38.214 clause 5.1.2.2.1), as a set of bits.
using NrGroups = uint32_t;

/// PRBs of a transmission: whole groups, or else those from `begin` to `end`.
struct NrAllocation
{
    NrGroups groups{0};
    uint32_t begin{0};
    uint32_t end{0};

    bool IsEmpty() const
    {
        return groups == 0 && begin == end;
    }
};

/// PRBs of a slot that nobody has yet: whole groups, and what is left of others, each part within one group; and
/// elements of the PDCCH that grants them, and cyclic shifts of the PUCCH that answers.
struct NrFreePrbs
{
    NrGroups groups{0};
    std::vector<NrAllocation> parts;
    uint32_t control{0};
    uint32_t answers{0};
};

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

    /// The group that a PRB belongs to.
    uint32_t FindGroup(uint32_t prb) const;

    uint32_t CountPrbs(NrGroups groups) const;
    uint32_t CountPrbs(const NrAllocation& allocation) const;

    /// All PRBs but those for which `isTaken` is true.
    NrFreePrbs GetFree(const std::vector<bool>& isTaken) const;

    /**
     * Take at least so many PRBs out of `free`, from the lowest up: whole groups, or for less than a group just so many
     * PRBs of one, as uplink allocations of type 1 can be (TS 38.214 clause 6.1.2.2.2). Empty if there are not so many.
     */
    NrAllocation Take(NrFreePrbs& free, uint32_t prbs) const;

    /// Call `visit` with each group that an allocation touches, and with the PRBs there, from one to before another.
    template <class Visit>
    void ForEach(const NrAllocation& allocation, Visit visit) const
    {
        for (auto left = allocation.groups; left; left &= left - 1)
        {
            auto group = static_cast<uint32_t>(std::countr_zero(left));
            visit(group, GetBegin(group), GetBegin(group) + GetSize(group));
        }
        for (auto begin = allocation.begin; begin < allocation.end;)
        {
            auto group = FindGroup(begin);
            auto end = GetBegin(group) + GetSize(group);
            end = end < allocation.end ? end : allocation.end;
            visit(group, begin, end);
            begin = end;
        }
    }

  private:
    uint32_t m_prbs{0};
    uint32_t m_size{1};
};

} // namespace ns3::cosim

#endif
