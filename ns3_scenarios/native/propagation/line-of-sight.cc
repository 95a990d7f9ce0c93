// SPDX-License-Identifier: GPL-2.0-only
#include "line-of-sight.h"

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/node.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(MovingLineOfSight);

namespace
{

constexpr double CORRELATION_DISTANCE = 50; // m, of the LOS/NLOS state in TR 38.901 table 7.6.3.1-2, UMi and UMa

} // namespace

MovingLineOfSight::MovingLineOfSight()
    : m_sight(CreateObject<ChannelCondition>(ChannelCondition::LOS)),
      m_noSight(CreateObject<ChannelCondition>(ChannelCondition::NLOS))
{
}

TypeId
MovingLineOfSight::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::MovingLineOfSight")
                            .SetParent<ChannelConditionModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<MovingLineOfSight>()
                            .AddAttribute("Macro",
                                          "True for UMa, false for UMi street canyon.",
                                          BooleanValue(false),
                                          MakeBooleanAccessor(&MovingLineOfSight::m_isMacro),
                                          MakeBooleanChecker())
                            .AddAttribute("TransitionDistance",
                                          "Displacement (m) over which line of sight comes and goes.",
                                          DoubleValue(6.5),
                                          MakeDoubleAccessor(&MovingLineOfSight::m_transitionDistance),
                                          MakeDoubleChecker<double>(0.001));
    return tid;
}

Ptr<ChannelCondition>
MovingLineOfSight::GetChannelCondition(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    double uniform = std::erfc(-m_normal.GetValue(a, b, CORRELATION_DISTANCE) / std::sqrt(2)) / 2;
    double height = std::min(a->GetPosition().z, b->GetPosition().z);
    return uniform < GetProbability(GetOffset(a, b).GetLength(), height) ? m_sight : m_noSight;
}

double
MovingLineOfSight::GetShare(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    double state = GetChannelCondition(a, b)->IsLos() ? 1 : 0;
    auto offset = GetOffset(a, b);
    auto key = std::minmax({a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId()});
    auto& latest = m_latest.try_emplace(key, Latest{state, offset}).first->second;
    auto most = (offset - latest.offset).GetLength() / m_transitionDistance;
    latest = {latest.share + std::clamp(state - latest.share, -most, most), offset};
    return latest.share;
}

double
MovingLineOfSight::GetProbability(double distance, double deviceHeight) const
{
    if (distance <= 18)
    {
        return 1;
    }
    double scale = m_isMacro ? 63 : 36;
    double probability = 18 / distance + std::exp(-distance / scale) * (1 - 18 / distance);
    if (m_isMacro && deviceHeight > 13)
    {
        double above = std::pow((deviceHeight - 13) / 10, 1.5);
        probability *= 1 + above * 5 / 4 * std::pow(distance / 100, 3) * std::exp(-distance / 150);
    }
    return probability;
}

int64_t
MovingLineOfSight::AssignStreams(int64_t stream)
{
    m_normal.SetStream(stream);
    return 1;
}

} // namespace ns3::cosim
