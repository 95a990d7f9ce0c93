// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_X2_GATE_H
#define COSIM_X2_GATE_H

#include "ns3/epc-x2-sap.h"
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-rrc.h"
#include "ns3/nstime.h"

namespace ns3::cosim
{

/**
 * Stands between an eNB's X2 and its RRC. ns-3 aborts on X2 messages that come too late, for a device whose radio
 * link has failed meanwhile: these are dropped here. And it forgets a device that was handed over before the last
 * data sent to it by the old path has come through the core: the release waits for that.
 */
class X2Gate : public EpcX2SapUser
{
  public:
    /// @param coreDelay one way, between the edge server and the eNB
    X2Gate(Ptr<LteEnbNetDevice> enb, Time coreDelay);

    void RecvHandoverRequest(HandoverRequestParams params) override;
    void RecvHandoverRequestAck(HandoverRequestAckParams params) override;
    void RecvHandoverPreparationFailure(HandoverPreparationFailureParams params) override;
    void RecvSnStatusTransfer(SnStatusTransferParams params) override;
    void RecvUeContextRelease(UeContextReleaseParams params) override;
    void RecvLoadInformation(LoadInformationParams params) override;
    void RecvResourceStatusUpdate(ResourceStatusUpdateParams params) override;
    void RecvUeData(UeDataParams params) override;
    void RecvHandoverCancel(HandoverCancelParams params) override;

  private:
    bool IsIn(uint16_t rnti, UeManager::State state) const;
    void Release(UeContextReleaseParams params);

    Ptr<LteEnbRrc> m_rrc;
    EpcX2SapUser* m_user;
    Time m_linger;
};

} // namespace ns3::cosim

#endif
