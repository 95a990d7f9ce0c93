// SPDX-License-Identifier: GPL-2.0-only
#include "spatial-normal.h"

#include "ns3/node.h"

#include <algorithm>
#include <cmath>

namespace ns3::cosim
{

Vector2D
GetOffset(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b)
{
    bool inOrder = a->GetObject<Node>()->GetId() < b->GetObject<Node>()->GetId();
    auto offset = inOrder ? b->GetPosition() - a->GetPosition() : a->GetPosition() - b->GetPosition();
    return {offset.x, offset.y};
}

SpatialNormal::SpatialNormal()
    : m_normal(CreateObject<NormalRandomVariable>())
{
}

double
SpatialNormal::GetValue(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b, double correlationDistance)
{
    auto offset = GetOffset(a, b);
    auto [entry, isNew] =
        m_latest.try_emplace(std::minmax({a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId()}));
    auto& latest = entry->second;
    if (isNew)
    {
        latest = {m_normal->GetValue(), offset};
    }
    else if (double moved = (offset - latest.offset).GetLength(); moved > 0)
    {
        double ratio = moved / correlationDistance;
        double innovation = std::sqrt(-std::expm1(-2 * ratio)) * m_normal->GetValue();
        latest = {std::exp(-ratio) * latest.value + innovation, offset};
    }
    return latest.value;
}

void
SpatialNormal::SetStream(int64_t stream)
{
    m_normal->SetStream(stream);
}

} // namespace ns3::cosim
