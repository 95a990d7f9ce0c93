// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CONTROL_CHANNEL_H
#define COSIM_NR_CONTROL_CHANNEL_H

#include <cstdint>

namespace ns3::cosim
{

/**
 * How much control a slot has room for: on the PDCCH, whose CORESET lies over the whole carrier, and on the PUCCH for
 * channel reports. What fits is never lost.
 */
class NrControlChannel
{
  public:
    NrControlChannel() = default;
    NrControlChannel(uint32_t prbs, uint32_t pdcchSymbols, uint32_t pucchSymbols, uint32_t groups);

    /// Control channel elements of a slot: six resource element groups each (TS 38.211 clauses 7.3.2.1 and 7.3.2.2).
    uint32_t CountElements() const;

    /**
     * The aggregation level, 1 to 16 elements (TS 38.211 table 7.3.2.1-1), by which one grant reaches a device whose
     * SINR with one layer is this, and no more than there are. The DCI's size and the distance from Shannon's formula
     * are ours.
     */
    uint32_t GetAggregationLevel(double sinrDb) const;

    /// PRBs times symbols of a PUCCH of format 2 that so many bits take, with their CRC (TS 38.212 clause 6.3.1.2).
    static uint32_t CountPrbSymbols(uint32_t bits);

    /// Channel reports, with two bits for each group, that an uplink slot's PUCCH of format 2 takes (TS 38.213 clause
    /// 9.2.5.2).
    uint32_t CountReports() const;

  private:
    uint32_t m_elements{0};
    uint32_t m_reports{0};
};

} // namespace ns3::cosim

#endif
