// SPDX-License-Identifier: GPL-2.0-only
#include "spatial-normal.h"

#include "sector-load.h"

#include "ns3/node.h"

#include <algorithm>
#include <bit>
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
        m_links.try_emplace(std::minmax({a->GetObject<Node>()->GetId(), b->GetObject<Node>()->GetId()}));
    auto& link = entry->second;
    if (isNew)
    {
        link.first = m_normal->GetValue();
        link.firstOffset = offset;
    }
    auto moved = (offset - link.firstOffset).GetLength();
    if (moved == 0)
    {
        return link.first;
    }
    const auto& [field, missing] = GetField(link, correlationDistance);
    return field.Get(offset) + std::exp(-moved / correlationDistance) * missing;
}

const SpatialNormal::Field&
SpatialNormal::GetField(Link& link, double correlationDistance)
{
    auto found = link.fields.find(correlationDistance);
    if (found == link.fields.end())
    {
        // The link's own value is the key, so that drawing the field takes nothing from anybody's random stream.
        auto key = Mix(std::bit_cast<uint64_t>(link.first)) ^ std::bit_cast<uint64_t>(correlationDistance);
        NormalField field([&key]() { return std::ldexp(Mix(key++) >> 11, -53); }, correlationDistance);
        auto missing = link.first - field.Get(link.firstOffset);
        found = link.fields.emplace(correlationDistance, Field{field, missing}).first;
    }
    return found->second;
}

void
SpatialNormal::SetStream(int64_t stream)
{
    m_normal->SetStream(stream);
}

} // namespace ns3::cosim
