// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_QOS_FLOWS_H
#define COSIM_NR_QOS_FLOWS_H

#include "ns3/packet.h"

#include <array>
#include <cstdint>

namespace ns3::cosim
{

/// Bytes that wait in each logical channel group, those of the highest priority first.
using NrWaiting = std::array<uint64_t, 2>;

/// Those of all groups together.
inline uint64_t
CountBytes(const NrWaiting& waiting)
{
    return waiting[0] + waiting[1];
}

/// Whether what belongs to exchanges and the rest are QoS flows of their own, and their priority levels (TS 23.501
/// clause 5.7.3.3), of which lower values go first.
struct NrQosSettings
{
    bool isOn{false};
    uint32_t hiddenStatesPriority{0};
    uint32_t backgroundPriority{0};
};

/**
 * The QoS flows of a device, each on a data radio bearer of its own: one for everything, or one for what the edge
 * server's ports have to do with and one, that of the default QoS rule, for all else (TS 23.501 clauses 5.7.1.1 and
 * 5.7.6.2). Bearers of one priority are one logical channel group.
 */
class NrQosFlows
{
  public:
    static constexpr uint32_t MOST = 2;

    explicit NrQosFlows(const NrQosSettings& settings = {});

    /// How many there are.
    uint32_t Count() const;

    /// How many logical channel groups they are in.
    uint32_t CountGroups() const;

    /// The group of a flow; group 0 has the highest priority.
    uint32_t GetGroup(uint32_t flow) const;

    /// The flow of an IPv4 packet from a device, or to it.
    uint32_t Find(Ptr<const Packet> packet, bool isUplink) const;

    /// Whether what belongs to exchanges goes before all else.
    bool AreHiddenStatesFirst() const;

  private:
    uint32_t m_count{1};
    std::array<uint32_t, MOST> m_groups{0, 0};
};

} // namespace ns3::cosim

#endif
