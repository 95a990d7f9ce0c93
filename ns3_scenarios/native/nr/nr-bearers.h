// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_BEARERS_H
#define COSIM_NR_BEARERS_H

#include "nr-qos-flows.h"
#include "nr-rlc.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace ns3::cosim
{

/**
 * One direction of a device's data radio bearers, both ends of each: one for each QoS flow. Transport blocks are filled
 * from them as logical channel prioritization says (TS 38.321 clause 5.4.3.1; the restatement is ours): what is of
 * higher priority first, without prioritised bit rates, and bearers of one priority equally.
 */
class NrBearers
{
  public:
    NrBearers(const NrQosFlows& flows,
              bool isAcknowledged,
              uint64_t bufferBytes,
              Time reordering,
              const NrRlcReceiver::Deliver& deliver);

    /// Have STATUS PDUs, before the first packet; those of `beside`, the other direction, go out from here.
    void Acknowledge(const NrArqSettings& settings, NrBearers& beside, const std::function<void()>& wake);

    /// Queue a packet that comes now, from the device if `isUplink`; false if its bearer's buffer is full.
    bool Enqueue(Ptr<Packet> packet, bool isUplink);

    /// What waits of each group and came by then (NrRlcSender::GetBytes).
    NrWaiting GetWaiting(int64_t byNs);

    /// What waits.
    uint64_t GetBytes() const;

    /// Fill a transport block with what came by then.
    void Fill(uint32_t bytes, int64_t byNs, std::vector<NrSegment>& segments);

    /// Send again what HARQ gave up.
    void Retransmit(const std::vector<NrSegment>& segments);

    /// Data have come.
    void Receive(const NrSegment& segment);

    /// A STATUS PDU of what was sent from here has come.
    void LearnStatus(const NrSegment& segment);

    bool IsSettled() const;

    /// The sending ends begin again (NrRlcSender::Reestablish); this was sent and not received.
    void Reestablish(const std::vector<NrSegment>& unreceived);

    /// Be where others are that are reestablished, or these themselves; receiving ends go on with `Resume`.
    void TakeOver(NrBearers& from);

    /// The receiving ends go on (NrRlcReceiver::Resume).
    void Resume();

    /// Drop what no byte was sent of, of transfers of exchanges up to this one.
    void Discard(uint32_t exchange);

  private:
    struct Bearer
    {
        Bearer(uint32_t itsGroup,
               bool isAcknowledged,
               uint64_t bufferBytes,
               Time reordering,
               NrRlcReceiver::Deliver deliver);

        uint32_t group;
        NrRlcSender sender;
        NrRlcReceiver receiver;
    };

    std::vector<NrSegment> Pick(uint32_t bearer, const std::vector<NrSegment>& segments) const;

    NrQosFlows m_flows;
    std::deque<Bearer> m_bearers; // by QoS flow
};

} // namespace ns3::cosim

#endif
