// SPDX-License-Identifier: GPL-2.0-only
#include "queues.h"

#include "transfer-tag.h"

#include "ns3/net-device.h"
#include "ns3/pointer.h"
#include "ns3/queue-disc.h"
#include "ns3/queue.h"
#include "ns3/traffic-control-layer.h"

#include <vector>

namespace ns3::cosim
{

namespace
{

bool
BelongsTo(Ptr<const Packet> packet, uint32_t device)
{
    TransferTag tag;
    return packet->FindFirstMatchingByteTag(tag) && tag.device == device;
}

/// Take all out of a queue and put back, in order, what belongs to others.
template <class Q, class Take>
void
Filter(Q queue, uint32_t device, Take take)
{
    using Item = decltype(take(queue));
    std::vector<Item> kept;
    while (auto item = take(queue))
    {
        if constexpr (std::is_same_v<Item, Ptr<Packet>>)
        {
            if (!BelongsTo(item, device))
            {
                kept.push_back(item);
            }
        }
        else
        {
            if (!BelongsTo(item->GetPacket(), device))
            {
                kept.push_back(item);
            }
        }
    }
    for (auto& item : kept)
    {
        queue->Enqueue(item);
    }
}

} // namespace

void
DiscardTransfers(Ptr<Node> node, uint32_t device)
{
    auto trafficControl = node->GetObject<TrafficControlLayer>();
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        auto netDevice = node->GetDevice(i);
        auto disc = trafficControl ? trafficControl->GetRootQueueDiscOnDevice(netDevice) : nullptr;
        if (disc && disc->GetNPackets() > 0)
        {
            Filter(disc, device, [](Ptr<QueueDisc> q) { return q->Dequeue(); });
        }
        PointerValue held;
        if (!netDevice->GetAttributeFailSafe("TxQueue", held))
        {
            continue;
        }
        if (auto queue = held.Get<Queue<Packet>>(); queue && queue->GetNPackets() > 0)
        {
            Filter(queue, device, [](Ptr<Queue<Packet>> q) { return q->Dequeue(); });
        }
    }
}

} // namespace ns3::cosim
