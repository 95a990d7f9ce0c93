// SPDX-License-Identifier: GPL-2.0-only
#include "nr-answers.h"

#include "nr-control-channel.h"

namespace ns3::cosim
{

namespace
{

constexpr uint32_t CYCLIC_SHIFTS = 12; // of a sequence of format 0 (TS 38.211 clause 6.3.2.3)
constexpr uint32_t FORMAT_0_BITS = 2;  // at most
constexpr uint32_t SHIFTS_PER_BIT = 2; // two values of one bit, four of two

} // namespace

NrAnswers::NrAnswers(uint32_t prbs, uint32_t pucchSymbols)
    : m_shifts(CYCLIC_SHIFTS * prbs * pucchSymbols)
{
}

uint32_t
NrAnswers::GetShifts(uint32_t bits)
{
    return bits <= FORMAT_0_BITS ? SHIFTS_PER_BIT * bits : CYCLIC_SHIFTS * NrControlChannel::CountPrbSymbols(bits);
}

uint32_t
NrAnswers::GetFree(int64_t slot) const
{
    auto found = m_slots.find(slot);
    return found == m_slots.end() ? m_shifts : m_shifts - found->second.taken;
}

uint32_t
NrAnswers::GetCost(int64_t slot, uint32_t device) const
{
    uint32_t bits = 0;
    if (auto found = m_slots.find(slot); found != m_slots.end())
    {
        auto known = found->second.bits.find(device);
        bits = known == found->second.bits.end() ? 0 : known->second;
    }
    return GetShifts(bits + 1) - GetShifts(bits);
}

void
NrAnswers::Add(int64_t slot, uint32_t device, int64_t now)
{
    m_slots.erase(m_slots.begin(), m_slots.lower_bound(now));
    auto cost = GetCost(slot, device);
    auto& there = m_slots[slot];
    there.taken += cost;
    there.bits[device]++;
}

} // namespace ns3::cosim
