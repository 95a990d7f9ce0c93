// SPDX-License-Identifier: GPL-2.0-only
#include "line-of-sight.h"

#include "spatial-normal.h"

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
constexpr int32_t STEPS = 8;                // of the grid in a transition distance

/// Of a standard normal variable.
double
GetUniform(double normal)
{
    return std::erfc(-normal / std::sqrt(2)) / 2;
}

double
GetHeight(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b)
{
    return std::min(a->GetPosition().z, b->GetPosition().z);
}

} // namespace

MovingLineOfSight::MovingLineOfSight()
    : m_uniform(CreateObject<UniformRandomVariable>()),
      m_sight(CreateObject<ChannelCondition>(ChannelCondition::LOS)),
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

MovingLineOfSight::Link&
MovingLineOfSight::GetLink(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    auto key = std::minmax({a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId()});
    auto found = m_links.find(key);
    if (found == m_links.end())
    {
        NormalField field([this]() { return m_uniform->GetValue(0, 1); }, CORRELATION_DISTANCE);
        found = m_links.emplace(key, Link{field, {}, {}, -1}).first;
    }
    return found->second;
}

Ptr<ChannelCondition>
MovingLineOfSight::GetChannelCondition(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    auto place = GetOffset(a, b);
    auto uniform = GetUniform(GetLink(a, b).field.Get(place));
    return uniform < GetProbability(place.GetLength(), GetHeight(a, b)) ? m_sight : m_noSight;
}

double
MovingLineOfSight::GetShare(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const
{
    auto& link = GetLink(a, b);
    auto [x, y] = GetOffset(a, b);
    Vector place(x, y, GetHeight(a, b));
    if (link.latestShare < 0 || place != link.latestPlace)
    {
        link.latestPlace = place;
        link.latestShare = ComputeShare(link, {x, y}, place.z);
    }
    return link.latestShare;
}

double
MovingLineOfSight::ComputeShare(Link& link, const Vector2D& place, double height) const
{
    auto step = m_transitionDistance / STEPS;
    auto column = static_cast<int32_t>(std::floor(place.x / step));
    auto row = static_cast<int32_t>(std::floor(place.y / step));
    double all = 0;
    double sight = 0;
    for (auto i = column - STEPS; i <= column + STEPS + 1; i++)
    {
        for (auto j = row - STEPS; j <= row + STEPS + 1; j++)
        {
            Vector2D there(i * step, j * step);
            auto weight = 1 - (there - place).GetLength() / m_transitionDistance;
            if (weight <= 0)
            {
                continue;
            }
            auto [known, isNew] = link.uniforms.try_emplace((int64_t{i} << 32) ^ static_cast<uint32_t>(j));
            if (isNew)
            {
                known->second = GetUniform(link.field.Get(there));
            }
            all += weight;
            sight += known->second < GetProbability(there.GetLength(), height) ? weight : 0;
        }
    }
    return sight / all;
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
    m_uniform->SetStream(stream);
    return 1;
}

} // namespace ns3::cosim
