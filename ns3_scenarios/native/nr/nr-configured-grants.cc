// SPDX-License-Identifier: GPL-2.0-only
#include "nr-configured-grants.h"

#include "ns3/abort.h"

#include <algorithm>

namespace ns3::cosim
{

NrConfiguredGrants::NrConfiguredGrants(const NrGrid& grid, uint32_t prbsEach, uint32_t devices)
    : m_grid(grid),
      m_prbsEach(prbsEach),
      m_devices(devices)
{
    NS_ABORT_MSG_IF(prbsEach * devices >= grid.GetPrbs(), "NrConfiguredGrants: no PRB is left");
}

NrAllocation
NrConfiguredGrants::Get(uint32_t device, uint32_t mostPrbs) const
{
    auto begin = m_grid.GetPrbs() - (m_devices - device) * m_prbsEach;
    return {0, begin, begin + std::min(m_prbsEach, mostPrbs)};
}

NrFreePrbs
NrConfiguredGrants::GetFree(const std::vector<bool>& isGranted) const
{
    if (m_prbsEach == 0)
    {
        return {m_grid.GetAll(), {}, 0};
    }
    std::vector<bool> isTaken(m_grid.GetPrbs(), false);
    for (uint32_t device = 0; device < m_devices; device++)
    {
        auto own = Get(device, m_prbsEach);
        std::fill(isTaken.begin() + own.begin, isTaken.begin() + own.end, !isGranted[device]);
    }
    return m_grid.GetFree(isTaken);
}

} // namespace ns3::cosim
