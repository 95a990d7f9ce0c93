// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LTE_BEARER_H
#define COSIM_LTE_BEARER_H

#include "ns3/lte-pdcp.h"
#include "ns3/lte-radio-bearer-info.h"
#include "ns3/lte-rlc-sap.h"
#include "ns3/lte-rlc.h"
#include "ns3/lte-ue-rrc.h"

#include <cstdint>

namespace ns3
{
class UeManager;
}

namespace ns3::cosim
{

/// The data bearer of a device, at the BS or at the device; null if there is none.
Ptr<LteDataRadioBearerInfo> GetDataBearer(Ptr<UeManager> manager);
Ptr<LteDataRadioBearerInfo> GetDataBearer(Ptr<LteUeRrc> rrc);

/// Bytes that wait in an RLC entity for their first transmission or for another one.
uint32_t GetQueueBytes(Ptr<LteRlc> rlc);

/**
 * SDU discard, TS 36.322 clause 5.3: drop every RLC SDU of which no segment has been mapped to a PDU yet, but for
 * background traffic's, then report the new buffer status to the MAC.
 */
void DiscardSdus(Ptr<LteRlc> rlc);

/**
 * Sits between PDCP and RLC, and drops packets of exchanges that are over: with a core delay they may still
 * be on their way to the BS when their exchange is cancelled.
 */
class StaleFilter : public LteRlcSapProvider
{
  public:
    StaleFilter(Ptr<LtePdcp> pdcp, Ptr<LteRlc> rlc);

    /// Drop from now on whatever belongs to `exchange` or an earlier one.
    void DropUpTo(uint32_t exchange);

    void TransmitPdcpPdu(TransmitPdcpPduParameters params) override;

  private:
    LteRlcSapProvider* m_rlc;
    uint32_t m_exchange{0};
};

} // namespace ns3::cosim

#endif
