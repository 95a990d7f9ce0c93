// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_ARQ_H
#define COSIM_NR_ARQ_H

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace ns3::cosim
{

/// A STATUS PDU (TS 38.322 clause 6.2.2.5).
struct NrRlcStatus
{
    /// Bytes `begin` to `end` of an SDU have not come; from 0 to END, all of it.
    struct Missing
    {
        uint32_t sequence;
        uint32_t begin;
        uint32_t end;
    };

    static constexpr uint32_t END = UINT32_MAX; ///< the SDU's, wherever it is

    uint32_t sequence{0};         ///< ACK_SN: what is before it and not missing has come
    std::vector<Missing> missing; ///< in order
    uint32_t bytes{0};            ///< of the PDU
};

/// An AMD PDU with bytes `begin` to `end` of an SDU, with its PDCP header; or else a STATUS PDU.
struct NrSegment
{
    uint32_t sequence;
    uint32_t begin;
    uint32_t end;
    Ptr<Packet> sdu;
    bool isPoll{false};
    std::shared_ptr<const NrRlcStatus> status{};
    uint32_t bearer{0}; ///< of the device's (NrBearers)
};

/// When acknowledged mode asks and tells (TS 38.322 clauses 7.3 and 7.4).
struct NrArqSettings
{
    bool isOn{false};
    uint32_t pollPdus{0};  ///< pollPDU; 0: any number
    uint64_t pollBytes{0}; ///< pollByte; 0: any number
    Time pollRetransmit;
    Time reassembly;
    Time statusProhibit;
};

/**
 * What the sending end in acknowledged mode remembers of what it has sent and is not acknowledged, and when it polls
 * (TS 38.322 clauses 5.3.2 and 5.3.3; the restatement is ours). Nothing is ever given up: there is no maxRetxThreshold.
 */
class NrArqSender
{
  public:
    static constexpr uint32_t WINDOW = 131072; // AM_Window_Size of 18 bit sequence numbers, clause 7.2

    /// `expired` is called when t-PollRetransmit is over.
    NrArqSender(const NrArqSettings& settings, std::function<void()> expired);
    ~NrArqSender();
    NrArqSender(const NrArqSender&) = delete;
    NrArqSender& operator=(const NrArqSender&) = delete;

    /// Whether this new SDU must wait until others are acknowledged.
    bool IsStalled(uint32_t sequence) const;

    /// This PDU goes out, the first time or again, `isLast` if nothing else can. Decides whether it polls.
    void Send(NrSegment& pdu, bool isNew, bool isLast);

    /// What is to be sent again by a STATUS PDU.
    std::vector<NrSegment> Learn(const NrRlcStatus& status);

    /// What to poll with if there is nothing else to send: the last SDU that is not acknowledged; none if all are.
    std::vector<NrSegment> GetUnacknowledged() const;

    /// The first SDU that is not acknowledged.
    uint32_t GetFirst() const;

    /// All that is to be handed to another cell, from the first on; then begin there again, with nothing sent.
    std::vector<Ptr<Packet>> Restart(uint32_t first);

  private:
    struct Sent
    {
        Ptr<Packet> sdu;
        uint32_t bytes; // so far
        bool isAcknowledged;
    };

    NrArqSettings m_settings;
    std::function<void()> m_expired;
    std::deque<Sent> m_sent; // from m_first on
    uint32_t m_first{0};     // TX_Next_Ack
    uint32_t m_pdus{0};      // PDU_WITHOUT_POLL
    uint64_t m_bytes{0};     // BYTE_WITHOUT_POLL
    uint32_t m_poll{0};      // POLL_SN
    bool m_mustPoll{false};
    EventId m_timer;
};

/**
 * The receiving end in acknowledged mode: hands on each SDU when it is complete, in whatever order, and tells what is
 * missing (TS 38.322 clauses 5.2.3.2 and 5.3.4; the restatement is ours).
 */
class NrArqReceiver
{
  public:
    using Deliver = std::function<void(uint32_t sequence, Ptr<Packet>)>;

    /// `wake` is called when there is something to tell. An SDU has so many bytes more than its packet.
    NrArqReceiver(const NrArqSettings& settings, uint32_t headerBytes, Deliver deliver, std::function<void()> wake);
    ~NrArqReceiver();
    NrArqReceiver(const NrArqReceiver&) = delete;
    NrArqReceiver& operator=(const NrArqReceiver&) = delete;

    void Receive(const NrSegment& pdu);

    /// Whether there was something to tell by then that may be told.
    bool HasStatus(int64_t byNs) const;

    /// What would be told, in so many bytes at most.
    NrRlcStatus GetStatus(uint32_t mostBytes) const;

    /// The same is told now.
    NrRlcStatus SendStatus(uint32_t mostBytes);

    /// Forget all; this SDU is the next one.
    void Restart(uint32_t next);

  private:
    struct Held
    {
        std::vector<std::pair<uint32_t, uint32_t>> parts; // that have come, apart from each other and in order
        bool isComplete{false};
        bool hasEnd{false};
        bool HasGap() const;
    };

    bool IsComplete(uint32_t sequence) const;
    bool HasGap(uint32_t sequence) const;
    uint32_t FindIncomplete(uint32_t from) const;
    bool Place(const NrSegment& pdu);
    void WatchReassembly();
    void StartReassembly();
    void HandleTimeout();
    void Trigger();
    void AnswerPolls();

    NrArqSettings m_settings;
    uint32_t m_headerBytes;
    Deliver m_deliver;
    std::function<void()> m_wake;
    std::map<uint32_t, Held> m_held;
    uint32_t m_next{0};          // RX_Next
    uint32_t m_highest{0};       // RX_Next_Highest
    uint32_t m_highestStatus{0}; // RX_Highest_Status
    uint32_t m_statusTrigger{0}; // RX_Next_Status_Trigger
    std::set<uint32_t> m_polls;  // not yet answered
    bool m_isTriggered{false};
    int64_t m_triggeredNs{0};
    int64_t m_prohibitedNs{0}; // until then
    EventId m_reassembly;
    EventId m_waking;
};

} // namespace ns3::cosim

#endif
