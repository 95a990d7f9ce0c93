// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RLC_H
#define COSIM_NR_RLC_H

#include "nr-arq.h"
#include "nr-pdcp.h"

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace ns3::cosim
{

class NrRlcReceiver;

/**
 * The sending end of a data bearer, PDCP, RLC and MAC headers in one: a bounded queue of SDUs which transport blocks
 * are filled from, whole or in segments (TS 38.322 clauses 5.2.2.1 and 5.2.3.1).
 *
 * In acknowledged mode, what HARQ gave up is sent again: the MAC knows what it gave up, and puts it back. Or else the
 * other end tells in STATUS PDUs what is missing (`Acknowledge`), and the MAC puts nothing back.
 */
class NrRlcSender
{
  public:
    static constexpr uint32_t LEAST_BYTES = 9; // of a transport block into which data are put: the headers, and one

    NrRlcSender(bool isAcknowledged, uint64_t mostBytes);

    /// Have STATUS PDUs, before the first packet; those that `beside`, at the same end, has for the other end go out
    /// from here. `wake` is called when there is something to send.
    void Acknowledge(const NrArqSettings& settings, NrRlcReceiver& beside, std::function<void()> wake);

    /// Queue an SDU; false if it is dropped, since the buffer is full.
    bool Enqueue(Ptr<Packet> sdu, int64_t nowNs);

    /// What waits and came by then, headers included, of which there is one per SDU and for its last segment; and a
    /// STATUS PDU.
    uint64_t GetBytes(int64_t byNs);

    /// What waits.
    uint64_t GetBytes() const;

    /// Fill a transport block with what came by then. Returns how many of its bytes are left over.
    uint32_t Fill(uint32_t bytes, int64_t byNs, std::vector<NrSegment>& segments);

    /// Send these again (acknowledged mode), before all else.
    void Retransmit(const std::vector<NrSegment>& segments);

    bool IsAcknowledged() const;

    /// What the other end tells.
    void LearnStatus(const NrRlcStatus& status);

    /// Whether all that was sent is known to have come; always without STATUS PDUs.
    bool IsSettled() const;

    /**
     * Begin again, as upon a handover (TS 38.322 clause 5.1.2 and TS 38.323 clause 5.1.2): in acknowledged mode all
     * SDUs that were sent in part, or of which anything was sent in these segments and not received, are sent again as
     * a whole, before all else; in unacknowledged mode they are lost. With STATUS PDUs all are sent again from the
     * first on that is not acknowledged, and the other end drops those that it has.
     */
    void Reestablish(const std::vector<NrSegment>& unreceived);

    /// Go on where another one of the same bearer is, that is reestablished; that one forgets all.
    void TakeOver(NrRlcSender& from);

    /// The number of the next SDU to be begun.
    uint32_t GetSequence() const;

    /// Drop the SDUs that belong to transfers of exchanges up to this one and that no byte was ever sent of.
    void Discard(uint32_t exchange);

  private:
    struct Sdu
    {
        Ptr<Packet> packet;
        int64_t cameNs;
        uint32_t bytes; // with the PDCP header
    };

    uint32_t GetHeaderBytes(uint32_t begin, uint32_t end, uint32_t size) const;
    uint64_t GetStatusBytes(int64_t byNs) const;
    /// Whether a new SDU must wait for acknowledgements.
    bool IsStalled() const;
    /// The last one in `segments` is complete: whether it polls.
    void Note(std::vector<NrSegment>& segments, bool isNew);
    void FillStatus(uint32_t& bytes, int64_t byNs, std::vector<NrSegment>& segments);
    void HandlePollTimeout();
    void Recount();

    bool m_isAcknowledged;
    uint64_t m_mostBytes;
    std::deque<Sdu> m_queue;     // the first may have been sent in part
    uint32_t m_sent{0};          // bytes of the first
    uint32_t m_sequence{0};      // of the first
    uint64_t m_bytes{0};         // of the queue, headers included
    uint64_t m_admittedBytes{0}; // of those that came by the last time asked
    size_t m_admitted{0};
    size_t m_begun{0}; // of the queue, those before a handover
    std::deque<NrSegment> m_again;
    uint64_t m_againBytes{0};
    std::unique_ptr<NrArqSender> m_arq; // with STATUS PDUs
    NrRlcReceiver* m_beside{nullptr};   // likewise
    std::function<void()> m_wake;
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

    /// Have STATUS PDUs, before the first segment; `wake` is called when there is one to be sent.
    void Acknowledge(const NrArqSettings& settings, std::function<void()> wake);

    void Receive(const NrSegment& segment);

    /// Bytes of the STATUS PDU that was to be sent by then; 0 if none.
    uint32_t GetStatusBytes(int64_t byNs) const;

    /// It is sent, in so many bytes at most.
    NrRlcStatus SendStatus(uint32_t mostBytes);

    /// Drop what is there of SDUs in part; those that wait for one before them stay.
    void Reestablish();

    /// Be where another one of the same bearer is; that one forgets it.
    void TakeOver(NrRlcReceiver& from);

    /// Go on from there, in the context of the node that receives: what is missing is waited for anew.
    void Resume();

    /// With STATUS PDUs: the sender, that is reestablished, begins with this SDU.
    void Expect(uint32_t sequence);

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
    std::unique_ptr<NrArqReceiver> m_arq;   // with STATUS PDUs
    std::unique_ptr<NrPdcpReceiver> m_pdcp; // likewise
};

} // namespace ns3::cosim

#endif
