// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CONFIGURED_GRANTS_H
#define COSIM_NR_CONFIGURED_GRANTS_H

#include "nr-grid.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/**
 * Configured uplink grants (TS 38.321 clause 5.8.2): PRBs at the carrier's end that are one device's in every uplink
 * slot, whether it has something to send or not, unless it is granted PRBs dynamically there (clause 5.4.1). Since the
 * gNB decides which devices those are, it may give their PRBs to anybody; what others of them need it cannot know
 * before it has received the slot.
 */
class NrConfiguredGrants
{
  public:
    NrConfiguredGrants() = default;

    /// So many PRBs for each of so many devices; all together fewer than the grid has.
    NrConfiguredGrants(const NrGrid& grid, uint32_t prbsEach, uint32_t devices);

    /// A device's PRBs, or those of them with the lowest numbers; empty if there are no configured grants.
    NrAllocation Get(uint32_t device, uint32_t mostPrbs) const;

    /// What may be granted dynamically in a slot if it is granted to just these devices.
    NrFreePrbs GetFree(const std::vector<bool>& isGranted) const;

  private:
    NrGrid m_grid;
    uint32_t m_prbsEach{0};
    uint32_t m_devices{0};
};

} // namespace ns3::cosim

#endif
