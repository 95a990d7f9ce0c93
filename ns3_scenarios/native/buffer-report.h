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
 * Sits between an RLC AM entity and the MAC below, and corrects what the entity says is available for transmission.
 *
 * ns-3 counts PDUs that were sent and wait for their acknowledgement as if they had to be sent again, and the
 * schedulers grant resources that stay empty. TS 36.322 clause 4.5 counts PDUs pending for retransmission alone.
 * And ns-3 forgets a status report that was requested while t-StatusProhibit ran, until t-PollRetransmit of the other end
 * expires and all is sent again; by clause 5.2.3 the report follows when t-StatusProhibit has expired.
 */
class BufferReport : public Object, public LteMacSapProvider
{
  public:
    static TypeId GetTypeId();

    /// Correct the reports of this entity for as long as it lives.
    static void Correct(Ptr<LteRlcAm> rlc);

    void TransmitPdu(TransmitPduParameters params) override;
    void ReportBufferStatus(ReportBufferStatusParameters params) override;

  protected:
    void DoDispose() override;

  private:
    void HandleStatusAllowed();

    LteRlcAm* m_rlc{nullptr}; // owns this
    LteMacSapProvider* m_mac{nullptr};
    EventId m_prohibition;
};

} // namespace ns3::cosim

#endif
