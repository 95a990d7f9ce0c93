// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_OBSTRUCTION_H
#define COSIM_OBSTRUCTION_H

#include "ns3/channel.h"
#include "ns3/node.h"
#include "ns3/simple-ref-count.h"

#include <set>
#include <vector>

namespace ns3::cosim
{

/// Stands in channels and cuts nodes off: no signal passes between such a node and any other, either way.
class Obstruction : public SimpleRefCount<Obstruction>
{
  public:
    /**
     * Stand in the channels of the node's net devices, and in `channels`.
     *
     * @return false if one of its net devices has no channel, or none of those that can be obstructed: one with an
     *         attribute PropagationLossModel (SpectrumChannel, YansWifiChannel, NrChannel), where the loss grows beyond
     *         any link budget, or one whose net devices take a ReceiveErrorModel, as those of cables do
     */
    bool Obstruct(Ptr<Node> node, const std::vector<Ptr<Channel>>& channels);

    /// Cut the node off from now on, or no longer.
    void SetCut(Ptr<const Node> node, bool cut);

    bool IsCut(Ptr<const Node> node) const;

  private:
    bool StandIn(Ptr<Channel> channel);

    std::set<Ptr<Channel>> m_channels;
    std::set<uint32_t> m_cut; // ids of nodes
};

} // namespace ns3::cosim

#endif
