// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_BUFFER_REPORT_H
#define COSIM_BUFFER_REPORT_H

#include "ns3/event-id.h"
#include "ns3/lte-mac-sap.h"
#include "ns3/lte-rlc-am.h"
#include "ns3/object.h"

namespace ns3::cosim
{

/**
 * Sits between an RLC AM entity and the MAC below, so that the MAC knows what is available for transmission by
 * TS 36.322 clause 4.5.
 *
 * ns-3 counts PDUs that were sent and wait for their acknowledgement as if they had to be sent again; the schedulers
 * then grant resources that stay empty. And it is silent where what is available has changed: t-StatusProhibit has
 * expired and a STATUS PDU may be sent; one came that asks for retransmissions; RLC headers took more of the grants
 * than the MAC reckons with; nothing is left. The MAC then hears of it only by ns-3's timer of 20 ms, if at all, and a
 * STATUS PDU of which it does not know takes a whole grant that was meant for data.
 */
class BufferReport : public Object, public LteMacSapProvider
{
  public:
    static TypeId GetTypeId();

    /// Correct the reports of this entity for as long as it lives, if it is one of RLC AM.
    static void Correct(Ptr<LteRlc> rlc);

    /// Whether a STATUS PDU is to be sent now.
    bool IsStatusDue() const;

    /// The size of the PDU that is to be sent again next, in a grant that it fits in; 0 if there is none.
    uint32_t GetRetransmissionBytes() const;

    /// Tell the MAC what is available for transmission, also that nothing is, which ns-3 does not say.
    void Report();

    void TransmitPdu(TransmitPduParameters params) override;
    void ReportBufferStatus(ReportBufferStatusParameters params) override;

  protected:
    void DoDispose() override;

  private:
    void HandlePdu(uint16_t rnti, uint8_t channel, uint32_t bytes, uint64_t delayNs);
    void FollowSoon();
    void Follow();

    LteRlcAm* m_rlc{nullptr}; // owns this
    LteMacSapProvider* m_mac{nullptr};
    ReportBufferStatusParameters m_told{}; // what the MAC believes to be left of the last report
    EventId m_soon;
    EventId m_prohibit;
};

} // namespace ns3::cosim

#endif
