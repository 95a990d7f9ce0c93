// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_PDCP_H
#define COSIM_NR_PDCP_H

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"

#include <cstdint>
#include <functional>
#include <map>

namespace ns3::cosim
{

/**
 * The receiving end of PDCP behind RLC in acknowledged mode, which hands SDUs on as they are complete: each goes on
 * once, in order. One that is missing is waited for, for t-Reordering, and is of no use any more after that (TS 38.323
 * clause 5.2.2; the restatement is ours).
 */
class NrPdcpReceiver
{
  public:
    using Deliver = std::function<void(Ptr<Packet>)>;

    /// `reordering` is t-Reordering; zero: for ever.
    NrPdcpReceiver(Time reordering, Deliver deliver);
    ~NrPdcpReceiver();
    NrPdcpReceiver(const NrPdcpReceiver&) = delete;
    NrPdcpReceiver& operator=(const NrPdcpReceiver&) = delete;

    void Receive(uint32_t count, Ptr<Packet> sdu);

  private:
    void DeliverInOrder();
    void Watch();
    void HandleTimeout();

    Time m_reordering;
    Deliver m_deliver;
    std::map<uint32_t, Ptr<Packet>> m_held; // by COUNT
    uint32_t m_deliv{0};                    // RX_DELIV: the first COUNT not handed on
    uint32_t m_next{0};                     // RX_NEXT: behind the last one received
    uint32_t m_reorder{0};                  // RX_REORD: RX_NEXT when the timer started
    EventId m_timer;
};

} // namespace ns3::cosim

#endif
