// SPDX-License-Identifier: GPL-2.0-only
#include "line-of-sight.h"

#include "spatial-normal.h"

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/node.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(MovingLineOfSight);

namespace
{

constexpr double CORRELATION_DISTANCE = 50; // m, of the LOS/NLOS state in TR 38.901 table 7.6.3.1-2, UMi and UMa

/// Of a standard normal variable.
double
GetUniform(double normal)
{
    return std::erfc(-normal / std::sqrt(2)) / 2;
}

/// Whether a place so many steps from a square of the grid's, in columns and in rows, can be near a place in the
/// square.
bool
IsNear(int32_t columns, int32_t rows, int32_t most)
{
    auto x = std::max(-columns, columns - 1);
    auto y = std::max(-rows, rows - 1);
    return x * x + y * y <= most * most;
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

int32_t
MovingLineOfSight::Around::Find(int32_t placeColumn, int32_t placeRow) const
{
    auto columns = int64_t{placeColumn} - column;
    auto rows = int64_t{placeRow} - row;
    auto isOutside = [](int64_t steps) { return steps < -STEPS || steps > STEPS + 1; };
    if (height < 0 || isOutside(columns) || isOutside(rows) || !IsNear(columns, rows, STEPS))
    {
        return -1;
    }
    return (STEPS + columns) * SIDE + STEPS + rows;
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

void
MovingLineOfSight::LookAround(Link& link, int32_t column, int32_t row, double height) const
{
    auto& around = link.around;
    const auto before = around;
    around.column = column;
    around.row = row;
    around.height = height;
    auto step = m_transitionDistance / STEPS;
    std::vector<double> square; // of a link that was not looked at before; otherwise few places are new
    if (before.height < 0)
    {
        square = link.field.GetSquare({(column - STEPS) * step, (row - STEPS) * step}, step, SIDE);
    }
    int32_t near = 0;
    int32_t inSight = 0;
    for (int32_t i = 0; i < SIDE; i++)
    {
        for (int32_t j = 0; j < SIDE; j++)
        {
            if (!IsNear(i - STEPS, j - STEPS, STEPS))
            {
                continue;
            }
            auto place = i * SIDE + j;
            auto known = before.Find(column - STEPS + i, row - STEPS + j);
            Vector2D there((column - STEPS + i) * step, (row - STEPS + j) * step);
            if (known >= 0)
            {
                around.uniform[place] = before.uniform[known];
            }
            else
            {
                around.uniform[place] = GetUniform(square.empty() ? link.field.Get(there) : square[place]);
            }
            around.hasSight[place] = known >= 0 && height == before.height
                                         ? before.hasSight[known]
                                         : around.uniform[place] < GetProbability(there.GetLength(), height);
            near++;
            inSight += around.hasSight[place] ? 1 : 0;
        }
    }
    around.isSame = inSight == 0 || inSight == near;
}

double
MovingLineOfSight::ComputeShare(Link& link, const Vector2D& place, double height) const
{
    auto step = m_transitionDistance / STEPS;
    auto column = static_cast<int32_t>(std::floor(place.x / step));
    auto row = static_cast<int32_t>(std::floor(place.y / step));
    auto& around = link.around;
    if (column != around.column || row != around.row || height != around.height)
    {
        LookAround(link, column, row, height);
    }
    if (around.isSame)
    {
        return around.hasSight[STEPS * SIDE + STEPS] ? 1 : 0;
    }
    double all = 0;
    double sight = 0;
    for (int32_t i = 0; i < SIDE; i++)
    {
        for (int32_t j = 0; j < SIDE; j++)
        {
            auto x = (column - STEPS + i) * step - place.x;
            auto y = (row - STEPS + j) * step - place.y;
            auto weight = std::max(1 - std::sqrt(x * x + y * y) / m_transitionDistance, 0.0);
            all += weight;
            sight += around.hasSight[i * SIDE + j] ? weight : 0;
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
