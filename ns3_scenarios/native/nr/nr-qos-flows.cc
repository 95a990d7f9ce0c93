// SPDX-License-Identifier: GPL-2.0-only
#include "nr-qos-flows.h"

#include "transfer-application.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t HIDDEN_STATES = 0;
constexpr uint32_t BACKGROUND = 1;
constexpr uint32_t MOST_HEADERS = 60 + 4; // of IPv4 with all options, and ports

} // namespace

NrQosFlows::NrQosFlows(const NrQosSettings& settings)
{
    if (settings.isOn)
    {
        m_count = MOST;
        m_groups[HIDDEN_STATES] = settings.backgroundPriority < settings.hiddenStatesPriority ? 1 : 0;
        m_groups[BACKGROUND] = settings.hiddenStatesPriority < settings.backgroundPriority ? 1 : 0;
    }
}

uint32_t
NrQosFlows::Count() const
{
    return m_count;
}

uint32_t
NrQosFlows::CountGroups() const
{
    return 1 + *std::max_element(m_groups.begin(), m_groups.end());
}

uint32_t
NrQosFlows::GetGroup(uint32_t flow) const
{
    return m_groups[flow];
}

uint32_t
NrQosFlows::Find(Ptr<const Packet> packet, bool isUplink) const
{
    if (m_count == 1)
    {
        return 0;
    }
    // A packet filter of protocol and remote port; TCP and UDP begin with source and destination port.
    std::array<uint8_t, MOST_HEADERS> bytes{};
    packet->CopyData(bytes.data(), bytes.size());
    uint32_t ports = 4 * (bytes[0] & 0xf);
    auto remote = ports + (isUplink ? 2 : 0);
    uint32_t port = bytes[remote] << 8 | bytes[remote + 1];
    bool hasPorts = bytes[9] == 6 || bytes[9] == 17;
    bool isServed = port >= FIRST_SERVER_PORT && port <= LAST_SERVER_PORT;
    return hasPorts && isServed ? HIDDEN_STATES : BACKGROUND;
}

bool
NrQosFlows::AreHiddenStatesFirst() const
{
    return m_groups[HIDDEN_STATES] < m_groups[BACKGROUND];
}

} // namespace ns3::cosim
