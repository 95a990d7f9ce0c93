// SPDX-License-Identifier: GPL-2.0-only
#include "obstruction.h"

#include "ns3/error-model.h"
#include "ns3/ethernet-header.h"
#include "ns3/loopback-net-device.h"
#include "ns3/mobility-model.h"
#include "ns3/pointer.h"
#include "ns3/propagation-loss-model.h"

namespace ns3::cosim
{

namespace
{

// More than any link budget, and yet a finite signal: of none at all ns-3's LTE receiver would measure nothing, and so
// never notice that its link has failed.
constexpr double CUT_DB = 300;

/// A loss that nothing gets through, from and to nodes that are cut off; none otherwise.
class ObstructedPathLoss : public PropagationLossModel
{
  public:
    explicit ObstructedPathLoss(Ptr<const Obstruction> obstruction)
        : m_obstruction(obstruction)
    {
    }

  private:
    double DoCalcRxPower(double txPowerDbm, Ptr<MobilityModel> a, Ptr<MobilityModel> b) const override
    {
        bool cut = m_obstruction->IsCut(a->GetObject<Node>()) || m_obstruction->IsCut(b->GetObject<Node>());
        return txPowerDbm - (cut ? CUT_DB : 0);
    }

    int64_t DoAssignStreams(int64_t stream) override
    {
        return 0;
    }

    Ptr<const Obstruction> m_obstruction;
};

/// At one net device of a cable: drops what comes to or from a node that is cut off, and what `next` would drop.
class ObstructedReception : public ErrorModel
{
  public:
    ObstructedReception(Ptr<const Obstruction> obstruction, Ptr<NetDevice> receiver, Ptr<ErrorModel> next)
        : m_obstruction(obstruction),
          m_receiver(receiver),
          m_next(next)
    {
    }

  private:
    bool DoCorrupt(Ptr<Packet> packet) override
    {
        bool corrupt = m_next && m_next->IsCorrupt(packet);
        auto sender = GetSender(packet);
        return corrupt || m_obstruction->IsCut(m_receiver->GetNode()) || (sender && m_obstruction->IsCut(sender));
    }

    void DoReset() override
    {
        if (m_next)
        {
            m_next->Reset();
        }
    }

    /// The other end, or on a segment of several the one whose address the frame carries.
    Ptr<Node> GetSender(Ptr<const Packet> packet) const
    {
        auto channel = m_receiver->GetChannel();
        EthernetHeader header;
        bool addressed = channel->GetNDevices() > 2 && packet->PeekHeader(header) > 0;
        for (std::size_t i = 0; i < channel->GetNDevices(); i++)
        {
            auto other = channel->GetDevice(i);
            if (other != m_receiver && (!addressed || other->GetAddress() == Address(header.GetSource())))
            {
                return other->GetNode();
            }
        }
        return nullptr;
    }

    Ptr<const Obstruction> m_obstruction;
    Ptr<NetDevice> m_receiver;
    Ptr<ErrorModel> m_next;
};

} // namespace

bool
Obstruction::Obstruct(Ptr<Node> node, const std::vector<Ptr<Channel>>& channels)
{
    bool all = true;
    for (const auto& channel : channels)
    {
        all = StandIn(channel) && all;
    }
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        auto netDevice = node->GetDevice(i);
        if (DynamicCast<LoopbackNetDevice>(netDevice))
        {
            continue;
        }
        auto channel = netDevice->GetChannel();
        all = (channel ? StandIn(channel) : !channels.empty()) && all;
    }
    return all;
}

bool
Obstruction::StandIn(Ptr<Channel> channel)
{
    if (!m_channels.insert(channel).second)
    {
        return true;
    }
    PointerValue before;
    if (channel->GetAttributeFailSafe("PropagationLossModel", before))
    {
        auto loss = CreateObject<ObstructedPathLoss>(this);
        loss->SetNext(before.Get<PropagationLossModel>());
        channel->SetAttribute("PropagationLossModel", PointerValue(loss));
        return true;
    }
    for (std::size_t i = 0; i < channel->GetNDevices(); i++)
    {
        auto netDevice = channel->GetDevice(i);
        if (!netDevice->GetAttributeFailSafe("ReceiveErrorModel", before))
        {
            return false;
        }
        auto errors = CreateObject<ObstructedReception>(this, netDevice, before.Get<ErrorModel>());
        netDevice->SetAttribute("ReceiveErrorModel", PointerValue(errors));
    }
    return true;
}

void
Obstruction::SetCut(Ptr<const Node> node, bool cut)
{
    if (cut)
    {
        m_cut.insert(node->GetId());
    }
    else
    {
        m_cut.erase(node->GetId());
    }
}

bool
Obstruction::IsCut(Ptr<const Node> node) const
{
    return m_cut.contains(node->GetId());
}

} // namespace ns3::cosim
