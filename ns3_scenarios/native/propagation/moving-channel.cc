// SPDX-License-Identifier: GPL-2.0-only
#include "moving-channel.h"

#include "spatial-normal.h"

#include "ns3/node.h"
#include "ns3/simulator.h"

namespace ns3::cosim
{

Ptr<const MatrixBasedChannelModel::ChannelMatrix>
MovingChannelModel::GetChannel(Ptr<const MobilityModel> a,
                               Ptr<const MobilityModel> b,
                               Ptr<const PhasedArrayModel> aAntenna,
                               Ptr<const PhasedArrayModel> bAntenna)
{
    auto key = GetKey(a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId());
    auto offset = GetOffset(a, b);
    auto& drawnAt = m_drawnAt.try_emplace(key, offset).first->second;
    if (m_channelParamsMap.contains(key) && IsOutdated(a, b))
    {
        m_channelParamsMap.erase(key);
        m_channelMatrixMap.erase(GetKey(aAntenna->GetId(), bAntenna->GetId()));
    }
    auto channel = ThreeGppChannelModel::GetChannel(a, b, aAntenna, bAntenna);
    if (m_channelParamsMap.at(key)->m_generatedTime == Simulator::Now())
    {
        drawnAt = offset;
    }
    return channel;
}

bool
MovingChannelModel::IsOutdated(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    auto key = GetKey(a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId());
    auto known = m_channelParamsMap.find(key);
    return known == m_channelParamsMap.end() ||
           (GetOffset(a, b) - m_drawnAt.at(key)).GetLength() > GetCorrelationDistance(known->second->m_losCondition);
}

Ptr<const MovingChannelModel::ThreeGppChannelParams>
MovingChannelModel::GetDrawn(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    return DynamicCast<const ThreeGppChannelParams>(GetParams(a, b));
}

double
MovingChannelModel::GetCorrelationDistance(ChannelCondition::LosConditionValue condition) const
{
    bool sight = condition == ChannelCondition::LOS;
    if (m_scenario == "UMa")
    {
        return sight ? 40 : 50;
    }
    if (m_scenario == "RMa")
    {
        return sight ? 50 : 60;
    }
    return m_scenario.starts_with("InH") ? 10 : (sight ? 12 : 15);
}

} // namespace ns3::cosim
