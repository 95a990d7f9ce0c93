// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_UPLINK_BUFFER_H
#define COSIM_NR_UPLINK_BUFFER_H

#include "nr-qos-flows.h"

#include <cstdint>
#include <deque>

namespace ns3::cosim
{

/// What the gNB believes to wait in a device's buffer: its latest status report, less what was granted since.
class NrUplinkBuffer
{
  public:
    /// What a buffer status report says of so many bytes: about TS 38.321 table 6.1.3.1-2; the restatement is ours.
    static uint64_t GetStatus(uint64_t bytes);
    static NrWaiting GetStatus(const NrWaiting& waiting);

    /// A long BSR of so many groups, with its subheader (TS 38.321 clause 6.1.3.1).
    static uint32_t GetReportBytes(uint32_t groups);

    /// A status report, sent in this slot, says that so much waits; nothing if a later one is known.
    void LearnStatus(const NrWaiting& waiting, int64_t slot);

    /// A scheduling request, sent in this slot: something waits, maybe of the highest priority, of which so much is
    /// granted at once.
    void LearnRequest(uint64_t bytes, int64_t slot);

    /// So much was granted for this slot.
    void Grant(uint64_t bytes, int64_t slot);

    /// Bytes that wait and are not granted; a grant is used for what is of the highest priority.
    NrWaiting GetWantedBytes() const;

  private:
    struct Granted
    {
        int64_t slot;
        uint64_t bytes;
    };

    void DropGranted(int64_t slot);

    NrWaiting m_reported{};
    int64_t m_reportedSlot{-1};
    std::deque<Granted> m_granted; // since that report
};

/// What a device remembers of asking for the uplink (TS 38.321 clauses 5.4.4 and 5.4.5).
class NrUplinkRequests
{
  public:
    /// A grant is on its way to the device.
    void AddGrant();

    /// One is used.
    void UseGrant();

    /// A status report that says so much goes out.
    void TellStatus(const NrWaiting& waiting);

    /// Something goes out.
    void Send(int64_t nowNs);

    /// Whether to send a scheduling request now, since something waits of higher priority than what the gNB was told
    /// of, or was told of in vain: `timerNs` is retxBSR-Timer. If so, none is sent again until a status is.
    bool Request(const NrWaiting& waiting, int64_t nowNs, int64_t timerNs);

    /// Whether a request was sent since the latest status report.
    bool IsRequesting() const;

  private:
    NrWaiting m_lastStatus{};
    int64_t m_lastSentNs{-1};
    uint32_t m_grants{0}; // not yet used
    bool m_isRequesting{false};
};

} // namespace ns3::cosim

#endif
