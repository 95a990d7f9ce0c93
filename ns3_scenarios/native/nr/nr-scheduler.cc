// SPDX-License-Identifier: GPL-2.0-only
#include "nr-scheduler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace ns3::cosim
{

namespace
{

constexpr double AVERAGING_SLOTS = 100;  // of proportional fairness; ours
constexpr uint32_t BITS_PER_ELEMENT = 8; // of a layer, which no block has

} // namespace

void
NrScheduler::Configure(Kind kind, const NrGrid& grid, uint32_t devices)
{
    m_kind = kind;
    m_grid = grid;
    m_devices = devices;
    m_turn.assign(devices, 0);
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
                      NrFreePrbs& free,
                      std::vector<NrCandidate>& candidates,
                      const std::vector<uint32_t>& taken,
                      const CountBits& countBits)
{
    std::rotate(
        candidates.begin(),
        std::find_if(candidates.begin(), candidates.end(), [this](const auto& c) { return c.device >= m_first; }),
        candidates.end());
    m_first = m_first + 1 < m_devices ? m_first + 1 : 0;
    if (!m_shares.empty())
    {
        AllocateShares(free, candidates, taken, countBits);
    }
    else if (m_kind == Kind::ROUND_ROBIN)
    {
        AllocateInTurn(free, candidates, taken, countBits);
    }
    else
    {
        AllocateFairly(slot, free, candidates, countBits);
    }
}

template <class Metric, class Take>
void
NrScheduler::AllocateToBest(NrFreePrbs& free,
                            std::vector<NrCandidate>& candidates,
                            const CountBits& countBits,
                            double least,
                            Metric metric,
                            Take take) const
{
    auto findBest = [&candidates, &free, least, &metric](uint32_t group, auto fits) {
        NrCandidate* best = nullptr;
        auto highest = least;
        for (auto& candidate : candidates)
        {
            auto value = metric(candidate, group);
            bool isTold = !candidate.allocation.IsEmpty() ||
                          (candidate.control <= free.control && candidate.answer <= free.answers);
            if (value > highest && candidate.blockBits < candidate.wantedBits && isTold && fits(candidate))
            {
                best = &candidate;
                highest = value;
            }
        }
        return best;
    };
    auto give = [this, &countBits, &take](NrCandidate& candidate, uint32_t group, uint32_t prbs) {
        take(candidate, prbs, (*candidate.bitsPerElement)[group] * candidate.elements * prbs);
        auto elements = m_grid.CountPrbs(candidate.allocation) * candidate.elements;
        if (uint64_t{BITS_PER_ELEMENT} * elements * candidate.layers >= candidate.wantedBits)
        {
            candidate.blockBits = countBits(candidate);
        }
    };
    while (free.groups)
    {
        auto group = free.GetNext();
        auto size = m_grid.GetSize(group);
        auto best = findBest(group, [this, size](const NrCandidate& each) {
            auto has = each.allocation.groups;
            return each.allocation.IsEmpty() || (has && m_grid.CountPrbs(has) + size <= each.mostPrbs);
        });
        if (!best)
        {
            break;
        }
        if (best->allocation.IsEmpty())
        {
            free.control -= best->control;
            free.answers -= best->answer;
        }
        if (best->mostPrbs < size)
        {
            best->allocation = m_grid.Take(free, best->mostPrbs);
            give(*best, m_grid.FindGroup(best->allocation.begin), best->mostPrbs);
        }
        else
        {
            free.groups ^= NrGroups{1} << group;
            best->allocation.groups |= NrGroups{1} << group;
            give(*best, group, size);
        }
    }
    while (!free.parts.empty())
    {
        auto& part = free.parts.back();
        auto group = m_grid.FindGroup(part.begin);
        auto best = findBest(group, [](const NrCandidate& each) { return each.allocation.IsEmpty(); });
        if (!best)
        {
            return;
        }
        free.control -= best->control;
        free.answers -= best->answer;
        auto prbs = std::min(m_grid.CountPrbs(part), best->mostPrbs);
        best->allocation = {0, part.begin, part.begin + prbs};
        part.begin += prbs;
        if (part.IsEmpty())
        {
            free.parts.pop_back();
        }
        give(*best, group, prbs);
    }
}

template <class Metric, class Take>
void
NrScheduler::AllocateByPriority(NrFreePrbs& free,
                                std::vector<NrCandidate>& candidates,
                                const CountBits& countBits,
                                double least,
                                Metric metric,
                                Take take) const
{
    for (size_t group = 0; group < std::tuple_size_v<NrWaiting>; group++)
    {
        bool isAny = false;
        for (auto& candidate : candidates)
        {
            candidate.wantedBits += 8 * candidate.waiting[group];
            isAny = isAny || candidate.waiting[group] > 0;
        }
        if (isAny)
        {
            AllocateToBest(free, candidates, countBits, least, metric, take);
        }
    }
}

void
NrScheduler::AllocateInTurn(NrFreePrbs& free,
                            std::vector<NrCandidate>& candidates,
                            const std::vector<uint32_t>& taken,
                            const CountBits& countBits)
{
    // Who has had fewest PRBs is next: start-time fair queueing, in which nobody saves up turns while it is idle.
    for (uint32_t device = 0; device < m_devices; device++)
    {
        m_turn[device] += taken[device];
    }
    for (const auto& candidate : candidates)
    {
        m_turn[candidate.device] = std::max(m_turn[candidate.device], m_now);
    }
    auto turn = [this](const NrCandidate& candidate, uint32_t) {
        return -static_cast<double>(m_turn[candidate.device]);
    };
    auto take = [this](const NrCandidate& candidate, uint32_t prbs, double) {
        m_now = m_turn[candidate.device];
        m_turn[candidate.device] += prbs;
    };
    AllocateByPriority(free, candidates, countBits, -std::numeric_limits<double>::infinity(), turn, take);
}

void
NrScheduler::AllocateFairly(int64_t slot,
                            NrFreePrbs& free,
                            std::vector<NrCandidate>& candidates,
                            const CountBits& countBits)
{
    for (const auto& candidate : candidates)
    {
        auto device = candidate.device;
        m_average[device] *= std::pow(1 - 1 / AVERAGING_SLOTS, slot - m_averaged[device]);
        m_averaged[device] = slot;
    }
    auto rate = [this](const NrCandidate& candidate, uint32_t group) {
        return (*candidate.bitsPerElement)[group] * candidate.elements / std::max(m_average[candidate.device], 1e-3);
    };
    auto take = [this](const NrCandidate& candidate, uint32_t, double bits) {
        m_average[candidate.device] += bits / AVERAGING_SLOTS;
    };
    AllocateByPriority(free, candidates, countBits, 0, rate, take);
}

void
NrScheduler::AllocateShares(NrFreePrbs& free,
                            std::vector<NrCandidate>& candidates,
                            const std::vector<uint32_t>& taken,
                            const CountBits& countBits)
{
    for (size_t device = 0; device < m_devices; device++)
    {
        m_credit[device] -= taken[device];
    }
    for (auto& candidate : candidates)
    {
        candidate.wantedBits = 8 * CountBytes(candidate.waiting);
        m_credit[candidate.device] += m_shares[candidate.device] * m_grid.GetPrbs();
    }
    auto credit = [this](const NrCandidate& candidate, uint32_t) { return m_credit[candidate.device]; };
    auto take = [this](const NrCandidate& candidate, uint32_t size, double) { m_credit[candidate.device] -= size; };
    AllocateToBest(free, candidates, countBits, 0, credit, take);
    for (const auto& candidate : candidates)
    {
        if (candidate.blockBits >= candidate.wantedBits) // what it does not use is lost
        {
            m_credit[candidate.device] = std::min(m_credit[candidate.device], 0.0);
        }
    }
}

} // namespace ns3::cosim
