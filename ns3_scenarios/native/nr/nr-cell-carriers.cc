// SPDX-License-Identifier: GPL-2.0-only
// How two cells of a gNB serve the same devices: carrier aggregation.
#include "nr-cell.h"

#include "ns3/abort.h"

namespace ns3::cosim
{

void
NrCell::SetSecondary(Ptr<NrCell> secondary)
{
    NS_ABORT_MSG_IF(m_cells || m_primary || m_connection.isOn || m_drx.isOn,
                    "NrCell: a secondary cell goes with one primary cell, whose devices are always awake");
    NS_ABORT_MSG_UNLESS(secondary->m_links.empty(), "NrCell: a secondary cell gets its devices after the primary one");
    NS_ABORT_MSG_UNLESS(secondary->m_numerology == m_numerology && secondary->m_unitSymbols == m_unitSymbols,
                        "NrCell: both carriers have the same numerology and mini-slots");
    m_secondary = secondary;
    m_secondary->m_primary = this;
}

Ptr<NrCell>
NrCell::GetSecondary() const
{
    return m_secondary;
}

bool
NrCell::IsAggregated(uint32_t device) const
{
    return IsConnected(device) && m_primary->IsConnected(device);
}

NrCount
NrCell::GetTotal(uint32_t device, bool isUplink) const
{
    auto total = GetCount(device, isUplink);
    if (m_secondary)
    {
        auto more = m_secondary->GetCount(device, isUplink);
        total.blocks += more.blocks;
        total.firstBlocks += more.firstBlocks;
        total.firstErrors += more.firstErrors;
        total.firstBlers += more.firstBlers;
        total.givenUp += more.givenUp;
        total.bytes += more.bytes;
        total.prbs += more.prbs;
        total.dropped += more.dropped;
        total.airJ += more.airJ;
    }
    return total;
}

} // namespace ns3::cosim
