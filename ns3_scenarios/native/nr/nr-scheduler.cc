// SPDX-License-Identifier: GPL-2.0-only
#include "nr-scheduler.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ns3::cosim
{

namespace
{

constexpr double AVERAGING_SLOTS = 100; // of proportional fairness; ours

} // namespace

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
NrGrid::CountPrbs(NrGroups groups) const
{
    uint32_t missing = groups >> (CountGroups() - 1) & 1 ? m_size - GetSize(CountGroups() - 1) : 0;
    return std::popcount(groups) * m_size - missing;
}

NrGroups
NrGrid::Take(NrGroups& free, uint32_t prbs) const
{
    if (CountPrbs(free) < prbs)
    {
        return 0;
    }
    NrGroups taken = 0;
    while (CountPrbs(taken) < prbs)
    {
        NrGroups lowest = free & -free;
        free ^= lowest;
        taken |= lowest;
    }
    return taken;
}

void
NrScheduler::Configure(Kind kind, const NrGrid& grid, uint32_t devices)
{
    m_kind = kind;
    m_grid = grid;
    m_devices = devices;
    m_credit.assign(devices, 0);
    m_average.assign(devices, 1);
    m_averaged.assign(devices, 0);
}

void
NrScheduler::SetShares(std::vector<double> shares)
{
    m_shares = std::move(shares);
    m_credit.assign(m_devices, 0); // what earlier shares left over, or took beforehand, counts no more
}

uint32_t
NrScheduler::GetFirst() const
{
    return m_first;
}

void
NrScheduler::Allocate(int64_t slot,
                      NrGroups free,
                      std::vector<NrCandidate>& candidates,
                      const std::vector<uint32_t>& taken)
{
    std::rotate(
        candidates.begin(),
        std::find_if(candidates.begin(), candidates.end(), [this](const auto& c) { return c.device >= m_first; }),
        candidates.end());
    if (!m_shares.empty())
    {
        AllocateShares(free, candidates, taken);
    }
    else if (m_kind == Kind::ROUND_ROBIN)
    {
        AllocateInTurn(free, candidates);
    }
    else
    {
        AllocateFairly(slot, free, candidates);
    }
}

void
NrScheduler::AllocateInTurn(NrGroups free, std::vector<NrCandidate>& candidates)
{
    // One group each in turn until nobody needs any; who is next when they run out is first in the next slot.
    size_t idle = 0;
    for (size_t turn = 0; free && idle < candidates.size(); turn++)
    {
        auto& candidate = candidates[turn % candidates.size()];
        auto group = std::countr_zero(free);
        if (candidate.neededBits <= 0 || !Fits(candidate, m_grid.GetSize(group)))
        {
            idle++;
            continue;
        }
        idle = 0;
        candidate.groups |= NrGroups{1} << group;
        candidate.neededBits -= candidate.bitsPerPrb[group] * m_grid.GetSize(group);
        free &= free - 1;
        m_first = candidate.device + 1 < m_devices ? candidate.device + 1 : 0;
    }
}

template <class Metric, class Take>
void
NrScheduler::AllocateToBest(NrGroups free, std::vector<NrCandidate>& candidates, Metric metric, Take take)
{
    for (; free; free &= free - 1)
    {
        auto group = std::countr_zero(free);
        auto size = m_grid.GetSize(group);
        NrCandidate* best = nullptr;
        double highest = 0;
        for (auto& candidate : candidates)
        {
            auto value = metric(candidate, group);
            if (candidate.neededBits > 0 && Fits(candidate, size) && value > highest)
            {
                best = &candidate;
                highest = value;
            }
        }
        if (!best)
        {
            return;
        }
        auto bits = best->bitsPerPrb[group] * size;
        best->groups |= NrGroups{1} << group;
        best->neededBits -= bits;
        take(*best, size, bits);
    }
}

bool
NrScheduler::Fits(const NrCandidate& candidate, uint32_t prbs) const
{
    return candidate.groups == 0 || m_grid.CountPrbs(candidate.groups) + prbs <= candidate.mostPrbs;
}

void
NrScheduler::AllocateFairly(int64_t slot, NrGroups free, std::vector<NrCandidate>& candidates)
{
    for (const auto& candidate : candidates)
    {
        auto device = candidate.device;
        m_average[device] *= std::pow(1 - 1 / AVERAGING_SLOTS, slot - m_averaged[device]);
        m_averaged[device] = slot;
    }
    auto rate = [this](const NrCandidate& candidate, uint32_t group) {
        return candidate.bitsPerPrb[group] / std::max(m_average[candidate.device], 1e-3);
    };
    auto take = [this](const NrCandidate& candidate, uint32_t, double bits) {
        m_average[candidate.device] += bits / AVERAGING_SLOTS;
    };
    AllocateToBest(free, candidates, rate, take);
}

void
NrScheduler::AllocateShares(NrGroups free, std::vector<NrCandidate>& candidates, const std::vector<uint32_t>& taken)
{
    for (size_t device = 0; device < m_devices; device++)
    {
        m_credit[device] -= taken[device];
    }
    for (const auto& candidate : candidates)
    {
        m_credit[candidate.device] += m_shares[candidate.device] * m_grid.GetPrbs();
    }
    auto credit = [this](const NrCandidate& candidate, uint32_t) { return m_credit[candidate.device]; };
    auto take = [this](const NrCandidate& candidate, uint32_t size, double) { m_credit[candidate.device] -= size; };
    AllocateToBest(free, candidates, credit, take);
    for (const auto& candidate : candidates)
    {
        if (candidate.neededBits <= 0) // what it does not use is lost
        {
            m_credit[candidate.device] = std::min(m_credit[candidate.device], 0.0);
        }
    }
}

} // namespace ns3::cosim
