// SPDX-License-Identifier: GPL-2.0-only
#include "channel-record.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace ns3::cosim
{

namespace
{

constexpr float SINR_STEP_DB = 0.5;

static_assert(sizeof(ChannelRecord::Row) == 24 && std::endian::native == std::endian::little);

bool
IsNews(const ChannelRecord::Row& row, const ChannelRecord::Row& before)
{
    bool moved = std::isnan(row.sinrDb) != std::isnan(before.sinrDb) ||
                 std::abs(row.sinrDb - before.sinrDb) >= SINR_STEP_DB; // false for NaN
    return moved || row.pool != before.pool || row.others != before.others || row.capacityBps != before.capacityBps;
}

} // namespace

void
ChannelRecord::Note(int64_t nowNs, uint32_t device, uint8_t direction, const Capacity& capacity)
{
    constexpr uint32_t MOST = std::numeric_limits<uint8_t>::max();
    Row row{nowNs,
            static_cast<uint16_t>(device),
            direction,
            static_cast<uint8_t>(std::min(capacity.others, MOST)),
            capacity.pool,
            static_cast<float>(capacity.bps),
            std::isnan(capacity.sinrDb) ? std::numeric_limits<float>::quiet_NaN()
                                        : static_cast<float>(capacity.sinrDb)};
    auto [latest, isFirst] = m_latest.try_emplace({device, direction}, row);
    if (isFirst || IsNews(row, latest->second))
    {
        latest->second = row;
        m_rows.push_back(row);
    }
}

uint32_t
ChannelRecord::GetCount() const
{
    return static_cast<uint32_t>(m_rows.size());
}

void
ChannelRecord::Take(uint8_t* rows)
{
    std::memcpy(rows, m_rows.data(), m_rows.size() * sizeof(Row));
    m_rows.clear();
}

} // namespace ns3::cosim
