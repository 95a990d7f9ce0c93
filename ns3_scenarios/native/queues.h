// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_QUEUES_H
#define COSIM_QUEUES_H

#include "ns3/node.h"

#include <cstdint>

namespace ns3::cosim
{

/// Drop the packets of `device`'s transfers that wait in `node`'s queueing disciplines and device queues.
void DiscardTransfers(Ptr<Node> node, uint32_t device);

} // namespace ns3::cosim

#endif
