// SPDX-License-Identifier: GPL-2.0-only
#include "queues.h"

#include "transfer-tag.h"

#include "ns3/net-device.h"
#include "ns3/pointer.h"
#include "ns3/traffic-control-layer.h"

#include <functional>
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

Ptr<QueueDisc>
GetDisc(Ptr<Node> node, Ptr<NetDevice> netDevice)
{
    auto trafficControl = node->GetObject<TrafficControlLayer>();
    return trafficControl ? trafficControl->GetRootQueueDiscOnDevice(netDevice) : nullptr;
}

Ptr<Queue<Packet>>
GetQueue(Ptr<NetDevice> netDevice)
{
    PointerValue held;
    return netDevice->GetAttributeFailSafe("TxQueue", held) ? held.Get<Queue<Packet>>() : nullptr;
}

void
DiscardTransfers(Ptr<Node> node, uint32_t device)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        if (auto disc = GetDisc(node, node->GetDevice(i)); disc && disc->GetNPackets() > 0)
        {
            Filter(disc, device, [](Ptr<QueueDisc> q) { return q->Dequeue(); });
        }
        if (auto queue = GetQueue(node->GetDevice(i)); queue && queue->GetNPackets() > 0)
        {
            Filter(queue, device, [](Ptr<Queue<Packet>> q) { return q->Dequeue(); });
        }
    }
}

void
WatchQueues(Ptr<Node> node, Callback<void, Ptr<const Packet>> sink)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        auto netDevice = node->GetDevice(i);
        if (auto queue = GetQueue(netDevice))
        {
            queue->TraceConnectWithoutContext("Drop", sink);
        }
        if (auto disc = GetDisc(node, netDevice))
        {
            std::function<void(Ptr<const QueueDiscItem>)> drop = [sink](Ptr<const QueueDiscItem> item) {
                sink(item->GetPacket());
            };
            disc->TraceConnectWithoutContext("Drop", Callback<void, Ptr<const QueueDiscItem>>(drop));
        }
    }
}

void
WatchDevices(Ptr<Node> node, Callback<void, Ptr<const Packet>> sink)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        for (auto source : {"MacTxDrop", "PhyTxDrop", "PhyRxDrop"}) // those of these that it has
        {
            node->GetDevice(i)->TraceConnectWithoutContext(source, sink);
        }
    }
}

} // namespace ns3::cosim
