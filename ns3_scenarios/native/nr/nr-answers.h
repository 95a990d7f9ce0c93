// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_ANSWERS_H
#define COSIM_NR_ANSWERS_H

#include <cstdint>
#include <map>

namespace ns3::cosim
{

/**
 * HARQ answers on the PUCCH of uplink slots, which has room for so many. Up to two bits of a device are of format 0, a
 * cyclic shift of a sequence on a PRB in a symbol: of the twelve that there are, one bit needs two and two bits four
 * (TS 38.213 tables 9.2.3-3 and 9.2.3-4). More are of format 2 and take whole PRBs. All are before channel reports.
 */
class NrAnswers
{
  public:
    NrAnswers() = default;
    NrAnswers(uint32_t prbs, uint32_t pucchSymbols);

    /// Cyclic shifts that a device's bits in a slot take.
    static uint32_t GetShifts(uint32_t bits);

    /// Those of an uplink slot that are left.
    uint32_t GetFree(int64_t slot) const;

    /// Those that one bit more of a device would take there.
    uint32_t GetCost(int64_t slot, uint32_t device) const;

    /// One bit more of a device is to come in this uplink slot; slots before `now` are over.
    void Add(int64_t slot, uint32_t device, int64_t now);

  private:
    struct Slot
    {
        uint32_t taken{0};
        std::map<uint32_t, uint32_t> bits; // by device
    };

    uint32_t m_shifts{0};
    std::map<int64_t, Slot> m_slots;
};

} // namespace ns3::cosim

#endif
