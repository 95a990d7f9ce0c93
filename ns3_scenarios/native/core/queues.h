// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_QUEUES_H
#define COSIM_QUEUES_H

#include "ns3/callback.h"
#include "ns3/node.h"
#include "ns3/packet.h"
#include "ns3/queue-disc.h"
#include "ns3/queue.h"

#include <cstdint>

namespace ns3::cosim
{

/// The root queueing discipline before a net device; null if it has none.
Ptr<QueueDisc> GetDisc(Ptr<Node> node, Ptr<NetDevice> netDevice);

/// The queue of packets in a net device; null if it has none.
Ptr<Queue<Packet>> GetQueue(Ptr<NetDevice> netDevice);

/// Drop the packets of `device`'s transfers that wait in `node`'s queueing disciplines and device queues.
void DiscardTransfers(Ptr<Node> node, uint32_t device);

/// Call `sink` with every packet that the node's queues drop for good.
void WatchQueues(Ptr<Node> node, Callback<void, Ptr<const Packet>> sink);

/// Call `sink` with every packet that the node's net devices drop for good.
void WatchDevices(Ptr<Node> node, Callback<void, Ptr<const Packet>> sink);

} // namespace ns3::cosim

#endif
