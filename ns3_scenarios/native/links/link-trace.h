// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LINK_TRACE_H
#define COSIM_LINK_TRACE_H

#include "ns3/object.h"

#include <cstdint>
#include <limits>
#include <vector>

namespace ns3::cosim
{

/**
 * What one direction of a link was able to carry over time, how it delayed and lost packets, and with whom it shared
 * what it carried. It repeats, and has always repeated. Its work is the number of bits times 10^9 that could have
 * crossed since time 0: a function that never falls, with slopes (rates) and steps (bursts), in integers, so that
 * nothing is rounded but an instant to the next ns.
 */
class LinkTrace : public Object
{
  public:
    using Work = __int128;

    /// Work of one bit.
    static constexpr int64_t WORK_PER_BIT = 1'000'000'000;

    /// Beyond all instants that come: half of all virtual time.
    static constexpr int64_t LATEST_NS = std::numeric_limits<int64_t>::max() / 2;

    static TypeId GetTypeId();

    /**
     * @param count number of rows, the first of which begins at 0
     * @param beginNs when each row begins, rising
     * @param burstBits what may cross at once at that instant
     * @param rateBps what may cross from then on, until the next row
     * @param delayNs one-way delay of a packet that has crossed within the row
     * @param loss probability that such a packet is lost
     * @param pool number of what the link shares with others within the row; -1 for nothing
     * @param others users beside the links that share it, too
     * @param periodNs when the last row ends and the first one begins again
     */
    void SetRows(uint32_t count,
                 const int64_t* beginNs,
                 const int64_t* burstBits,
                 const int64_t* rateBps,
                 const int64_t* delayNs,
                 const double* loss,
                 const int64_t* pool,
                 const int64_t* others,
                 int64_t periodNs);

    /// The work from time 0 up to and with this instant, which may be negative.
    Work GetWork(int64_t ns) const;

    /// The first instant by which there has been so much work; LATEST_NS if it is later than that.
    int64_t GetInstant(Work work) const;

    int64_t GetDelayNs(int64_t ns) const;
    double GetLoss(int64_t ns) const;

    /// What is shared at an instant, and with how many users beside the links.
    struct Sharing
    {
        int64_t pool; // -1: nothing
        int64_t others;
        bool operator==(const Sharing&) const = default;
    };

    const Sharing& GetSharing(int64_t ns) const;

    /// The first instant behind `ns` from which on something else may be shared; LATEST_NS for never.
    int64_t GetNextSharing(int64_t ns) const;

  private:
    struct Row
    {
        int64_t beginNs;
        Work work; // up to and with the row's burst
        int64_t rateBps;
        int64_t delayNs;
        double loss;
        Sharing sharing;
    };

    const Row& GetRow(int64_t ns) const;

    std::vector<Row> m_rows; // and one behind the last, where the first begins again
    Work m_cycle{0};         // the work of one period
    bool m_isSharingFixed{true};
};

} // namespace ns3::cosim

#endif
