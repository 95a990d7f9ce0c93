// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_CHANNEL_RECORD_H
#define COSIM_CHANNEL_RECORD_H

#include "radio.h"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace ns3::cosim
{

/// What each device's link could carry over virtual time, down (0) and up (1): a row for each change.
class ChannelRecord
{
  public:
    /// As `bridge.network.CHANNEL_ROW`, which says what each field means.
    struct Row
    {
        int64_t timeNs;
        uint16_t device;
        uint8_t direction;
        uint8_t others;
        uint32_t pool;
        float capacityBps;
        float sinrDb;
    };

    /// Note what a direction of a link can carry now; a row comes of it if that is news.
    void Note(int64_t nowNs, uint32_t device, uint8_t direction, const Capacity& capacity);

    /// How many rows there are since the latest `Take`.
    uint32_t GetCount() const;

    /// Copy the rows, `GetCount` of them, and forget them.
    void Take(uint8_t* rows);

  private:
    std::map<std::pair<uint32_t, uint8_t>, Row> m_latest; // by device and direction
    std::vector<Row> m_rows;
};

} // namespace ns3::cosim

#endif
