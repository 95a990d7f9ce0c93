// SPDX-License-Identifier: GPL-2.0-only
#include "track-record.h"

#include "ns3/constant-position-mobility-model.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

namespace ns3::cosim
{

namespace
{

constexpr size_t MOST_ROWS = 32768; // that one exchange brings: 2 MiB

} // namespace

TrackRecord::~TrackRecord()
{
    Clear();
}

void
TrackRecord::Follow(Ptr<Node> node)
{
    auto user = static_cast<int64_t>(m_models.size());
    auto model = node->GetObject<MobilityModel>();
    m_models.push_back(model);
    if (model)
    {
        HandleChange(user, model);
        model->TraceConnectWithoutContext("CourseChange", MakeCallback(&TrackRecord::HandleChange, this, user));
    }
}

void
TrackRecord::HandleChange(int64_t user, Ptr<const MobilityModel> model)
{
    // The place is where it has just stepped to; who stays may yet have a speed, which fading sees.
    auto at = model->GetPosition();
    bool stands = DynamicCast<const ConstantPositionMobilityModel>(model) != nullptr;
    auto velocity = stands ? Vector() : model->GetVelocity();
    Row row{Simulator::Now().GetNanoSeconds(), user, at.x, at.y, at.z, velocity.x, velocity.y, velocity.z};
    m_courses[user] = row;
    if (m_begun)
    {
        Note(row);
    }
}

void
TrackRecord::Begin()
{
    m_begun = true;
    auto nowNs = Simulator::Now().GetNanoSeconds();
    for (auto [user, row] : m_courses)
    {
        auto s = NanoSeconds(nowNs - row.timeNs).GetSeconds();
        Note({nowNs,
              user,
              row.xM + s * row.xMps,
              row.yM + s * row.yMps,
              row.zM + s * row.zMps,
              row.xMps,
              row.yMps,
              row.zMps});
    }
}

void
TrackRecord::Note(const Row& row)
{
    if (!std::isfinite(row.xM + row.yM + row.zM + row.xMps + row.yMps + row.zMps))
    {
        return;
    }
    auto latest = m_latest.find(row.user);
    if (latest != m_latest.end() && m_rows[latest->second].timeNs == row.timeNs)
    {
        m_rows[latest->second] = row; // a change in two steps
    }
    else if (m_rows.size() < MOST_ROWS)
    {
        m_latest[row.user] = m_rows.size();
        m_rows.push_back(row);
    }
    else
    {
        m_late[row.user] = row;
    }
}

uint32_t
TrackRecord::GetCount() const
{
    return static_cast<uint32_t>(m_rows.size() + m_late.size());
}

void
TrackRecord::Take(uint8_t* rows)
{
    for (const auto& [user, row] : m_late)
    {
        m_rows.push_back(row);
    }
    std::sort(m_rows.begin(), m_rows.end(), [](const Row& one, const Row& other) {
        return std::tie(one.timeNs, one.user) < std::tie(other.timeNs, other.user);
    });
    std::memcpy(rows, m_rows.data(), m_rows.size() * sizeof(Row));
    m_rows.clear();
    m_latest.clear();
    m_late.clear();
}

void
TrackRecord::Clear()
{
    for (size_t user = 0; user < m_models.size(); user++)
    {
        if (m_models[user])
        {
            auto handler = MakeCallback(&TrackRecord::HandleChange, this, static_cast<int64_t>(user));
            m_models[user]->TraceDisconnectWithoutContext("CourseChange", handler);
        }
    }
    m_models.clear();
    m_courses.clear();
}

} // namespace ns3::cosim
