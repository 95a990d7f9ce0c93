// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RLC_H
#define COSIM_NR_RLC_H

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

namespace ns3::cosim
{

/// Bytes `begin` to `end` of an SDU, with its PDCP header, on their way.
struct NrSegment
{
    uint32_t sequence;
    uint32_t begin;
    uint32_t end;
    Ptr<Packet> sdu;
};

/**
 * The sending end of a data bearer, PDCP, RLC and MAC headers in one: a bounded queue of SDUs which transport blocks
 * are filled from, whole or in segments (TS 38.322 clauses 5.2.2.1 and 5.2.3.1).
 *
 * In acknowledged mode, what HARQ gave up is sent again. Status reports are not sent as PDUs: the MAC knows what it
 * gave up, and puts it back.
 */
class NrRlcSender
{
  public:
    static constexpr uint32_t LEAST_BYTES = 9; // of a transport block into which data are put: the headers, and one

    NrRlcSender(bool isAcknowledged, uint64_t mostBytes);

    /// Queue an SDU; false if it is dropped, since the buffer is full.
    bool Enqueue(Ptr<Packet> sdu, int64_t nowNs);

    /// What waits and came by then, headers included, of which there is one per SDU and for its last segment.
    uint64_t GetBytes(int64_t byNs);

    /// What waits.
    uint64_t GetBytes() const;

    /// Fill a transport block with what came by then. Returns how many of its bytes are left over.
    uint32_t Fill(uint32_t bytes, int64_t byNs, std::vector<NrSegment>& segments);

    /// Send these again (acknowledged mode), before all else.
    void Retransmit(const std::vector<NrSegment>& segments);

    bool IsAcknowledged() const;

    /**
     * Begin again, as upon a handover (TS 38.322 clause 5.1.2 and TS 38.323 clause 5.1.2): in acknowledged mode all
     * SDUs that were sent in part, or of which anything was sent in these segments and not received, are sent again as
     * a whole, before all else; in unacknowledged mode they are lost.
     */
    void Reestablish(const std::vector<NrSegment>& unreceived);

    /// Drop the SDUs that belong to transfers of exchanges up to this one and that no byte was sent of.
    void Discard(uint32_t exchange);

  private:
    struct Sdu
    {
        Ptr<Packet> packet;
        int64_t cameNs;
        uint32_t bytes; // with the PDCP header
    };

    uint32_t GetHeaderBytes(uint32_t begin, uint32_t end, uint32_t size) const;
    void Recount();

    bool m_isAcknowledged;
    uint64_t m_mostBytes;
    std::deque<Sdu> m_queue;     // the first may have been sent in part
    uint32_t m_sent{0};          // bytes of the first
    uint32_t m_sequence{0};      // of the first
    uint64_t m_bytes{0};         // of the queue, headers included
    uint64_t m_admittedBytes{0}; // of those that came by the last time asked
    size_t m_admitted{0};
    std::deque<NrSegment> m_again;
    uint64_t m_againBytes{0};
};

/**
 * The receiving end: SDUs are put together and handed on in order. One that is missing is waited for, in unacknowledged
 * mode for t-Reordering (TS 38.323 clause 5.2.2.2).
 */
class NrRlcReceiver
{
  public:
    using Deliver = std::function<void(Ptr<Packet>)>;

    NrRlcReceiver(bool isAcknowledged, Time reordering, Deliver deliver);
    ~NrRlcReceiver();
    NrRlcReceiver(const NrRlcReceiver&) = delete;
    NrRlcReceiver& operator=(const NrRlcReceiver&) = delete;

    void Receive(const NrSegment& segment);

    /// Drop what is there of SDUs in part; those that wait for one before them stay.
    void Reestablish();

    /// Go on where another one of the same bearer is; that one forgets it.
    void TakeOver(NrRlcReceiver& from);

  private:
    struct Partial
    {
        Ptr<Packet> sdu;
        uint32_t bytes; // received
        uint32_t size;
    };

    void Advance();
    void HandleTimeout();

    bool m_isAcknowledged;
    Time m_reordering;
    Deliver m_deliver;
    std::map<uint32_t, Partial> m_held;
    uint32_t m_next{0};    // the first SDU not handed on
    uint32_t m_trigger{0}; // behind the last SDU known when the timer started
    EventId m_timer;
};

} // namespace ns3::cosim

#endif
