// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_TRACK_RECORD_H
#define COSIM_TRACK_RECORD_H

#include "ns3/mobility-model.h"
#include "ns3/node.h"

#include <cstdint>
#include <map>
#include <vector>

namespace ns3::cosim
{

/**
 * Where users are over virtual time: a row at the beginning for each that has a place, and one for each change of
 * course. Models are never asked but where they tell of a change, since ns-3's move on by a step, and round, each time
 * that they are asked (Course).
 */
class TrackRecord
{
  public:
    /// As `bridge.network.TRACK_ROW`, which says what each field means.
    struct Row
    {
        int64_t timeNs;
        int64_t user;
        double xM;
        double yM;
        double zM;
        double xMps;
        double yMps;
        double zMps;
    };

    TrackRecord() = default;
    ~TrackRecord();
    TrackRecord(const TrackRecord&) = delete;
    TrackRecord& operator=(const TrackRecord&) = delete;

    /// Follow one more user, whose index is the count of those before, from a time at which nobody has moved yet.
    void Follow(Ptr<Node> node);

    /// Begin the record with where everybody is now.
    void Begin();

    /// How many rows there are since the latest `Take`.
    uint32_t GetCount() const;

    /// Copy the rows, `GetCount` of them, in order of time and then of users, and forget them.
    void Take(uint8_t* rows);

    /// Follow nobody any more.
    void Clear();

  private:
    void HandleChange(int64_t user, Ptr<const MobilityModel> model);
    void Note(const Row& row);

    std::vector<Ptr<MobilityModel>> m_models; // of users; null for one without a place
    std::map<int64_t, Row> m_courses;         // the latest, by user
    bool m_begun{false};
    std::vector<Row> m_rows;
    std::map<int64_t, size_t> m_latest; // of m_rows, by user
    std::map<int64_t, Row> m_late;      // beyond what m_rows has room for
};

} // namespace ns3::cosim

#endif
