// SPDX-License-Identifier: GPL-2.0-only
#include "nr-grid.h"

#include <algorithm>

namespace ns3::cosim
{

NrGrid::NrGrid(uint32_t prbs)
    : m_prbs(prbs),
      m_size(prbs <= 36    ? 2
             : prbs <= 72  ? 4
             : prbs <= 144 ? 8
                           : 16)
{
}

uint32_t
NrGrid::GetPrbs() const
{
    return m_prbs;
}

uint32_t
NrGrid::CountGroups() const
{
    return (m_prbs + m_size - 1) / m_size;
}

NrGroups
NrGrid::GetAll() const
{
    return (NrGroups{1} << CountGroups()) - 1;
}

uint32_t
NrGrid::GetBegin(uint32_t group) const
{
    return group * m_size;
}

uint32_t
NrGrid::GetSize(uint32_t group) const
{
    return std::min(m_size, m_prbs - group * m_size);
}

uint32_t
NrGrid::FindGroup(uint32_t prb) const
{
    return prb / m_size;
}

uint32_t
NrGrid::CountPrbs(NrGroups groups) const
{
    uint32_t missing = groups >> (CountGroups() - 1) & 1 ? m_size - GetSize(CountGroups() - 1) : 0;
    return std::popcount(groups) * m_size - missing;
}

uint32_t
NrGrid::CountPrbs(const NrAllocation& allocation) const
{
    return CountPrbs(allocation.groups) + allocation.end - allocation.begin;
}

NrFreePrbs
NrGrid::GetFree(const std::vector<bool>& isTaken) const
{
    NrFreePrbs free;
    for (uint32_t group = 0; group < CountGroups(); group++)
    {
        auto end = GetBegin(group) + GetSize(group);
        auto parts = free.parts.size();
        for (auto prb = GetBegin(group); prb < end; prb++)
        {
            bool isNext = free.parts.size() > parts && free.parts.back().end == prb;
            if (!isTaken[prb] && isNext)
            {
                free.parts.back().end++;
            }
            else if (!isTaken[prb])
            {
                free.parts.push_back({0, prb, prb + 1});
            }
        }
        if (free.parts.size() > parts && CountPrbs(free.parts.back()) == GetSize(group))
        {
            free.parts.pop_back();
            free.groups |= NrGroups{1} << group;
        }
    }
    return free;
}

NrAllocation
NrGrid::Take(NrFreePrbs& free, uint32_t prbs) const
{
    if (prbs >= m_size)
    {
        NrAllocation taken;
        bool areThere = CountPrbs(free.groups) >= prbs;
        while (areThere && CountPrbs(taken.groups) < prbs)
        {
            auto next = NrGroups{1} << free.GetNext();
            free.groups ^= next;
            taken.groups |= next;
        }
        return taken;
    }
    auto suffices = [this, prbs](const NrAllocation& part) { return CountPrbs(part) >= prbs; };
    auto part = std::find_if(free.parts.begin(), free.parts.end(), suffices);
    if (part == free.parts.end() && free.groups)
    {
        auto last = CountGroups() - 1;
        bool isLast = (free.groups >> last & 1) && GetSize(last) >= prbs; // it is the smallest
        auto group = isLast ? last : free.GetNext();
        if (GetSize(group) >= prbs)
        {
            free.groups ^= NrGroups{1} << group;
            free.parts.push_back({0, GetBegin(group), GetBegin(group) + GetSize(group)});
            part = free.parts.end() - 1;
        }
    }
    if (part == free.parts.end())
    {
        return {};
    }
    NrAllocation taken{0, part->begin, part->begin + prbs};
    part->begin += prbs;
    if (part->IsEmpty())
    {
        free.parts.erase(part);
    }
    return taken;
}

} // namespace ns3::cosim
