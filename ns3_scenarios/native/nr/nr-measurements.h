// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_MEASUREMENTS_H
#define COSIM_NR_MEASUREMENTS_H

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/**
 * What a device measures of all cells, and whether that is event A3 (TS 38.331 clause 5.5.4.4): a neighbour's RSRP is
 * above that of the serving cell by more than the hysteresis, in all measurements of the time to trigger.
 */
class NrMeasurements
{
  public:
    explicit NrMeasurements(uint32_t cells);

    /// A burst of SSBs has this RSRP of a cell, in mW.
    void AddSample(uint32_t cell, double mw);

    /**
     * A measurement period ends: of each cell the mean of its samples goes through the filter of layer 3 (clause
     * 5.5.3.2, filterCoefficient fc4, in dB). Returns whether A3's condition is new for any cell.
     */
    bool Filter(int64_t nowNs, uint32_t serving, double hysteresisDb);

    /// The strongest of the cells for which the condition has held for so long; negative if there is none.
    int32_t FindTriggered(int64_t nowNs, int64_t timeToTriggerNs) const;

    /// The condition begins anew: another cell serves, or a report was in vain.
    void Reset();

    /// Of the filter; NaN before the first measurement.
    double GetFilteredDbm(uint32_t cell) const;

  private:
    struct Cell
    {
        double sumMw{0};
        uint32_t samples{0};
        double filteredDbm;
        int64_t sinceNs{-1}; // the condition holds; negative: it does not
    };

    std::vector<Cell> m_cells;
};

} // namespace ns3::cosim

#endif
