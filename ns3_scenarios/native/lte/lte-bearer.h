// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LTE_BEARER_H
#define COSIM_LTE_BEARER_H

#include "ns3/lte-pdcp.h"
#include "ns3/lte-radio-bearer-info.h"
#include "ns3/lte-rlc-sap.h"
#include "ns3/lte-rlc.h"
#include "ns3/lte-ue-rrc.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

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

/// PDCP PDUs that one end of a bearer handed to its RLC entity and the other end's has not delivered, in order.
using Undelivered = std::deque<Ptr<Packet>>;

/**
 * Sits between PDCP and RLC at one end of a data bearer, and lives as long as the RLC entity.
 *
 * It drops packets of exchanges that are over (with a core delay they may still be on their way to the BS when
 * their exchange is cancelled), and knows what a handover would lose: ns-3 forwards what reaches the old cell
 * from then on, but nothing that waits in its RLC entities.
 */
class BearerTap : public Object, public LteRlcSapProvider, public LteRlcSapUser
{
  public:
    static TypeId GetTypeId();

    /// Put taps, which drop what belongs to `exchange` or an earlier one, on both ends of a new bearer.
    static void Install(Ptr<LteDataRadioBearerInfo> one, Ptr<LteDataRadioBearerInfo> other, uint32_t exchange);

    /**
     * Drop from now on whatever belongs to `exchange` or an earlier one. With it goes every RLC SDU of which
     * no segment has been mapped to a PDU yet, but for background traffic's: SDU discard, TS 36.322 clause 5.3.
     */
    void Discard(uint32_t exchange);

    /**
     * The device leaves the cell: deliver nothing more, and give up the PDCP SDUs to be sent in the next cell,
     * all that were not delivered with RLC AM, and those of which nothing was sent yet with RLC UM.
     */
    std::vector<Ptr<Packet>> HandOver();

    void TransmitPdcpPdu(TransmitPdcpPduParameters params) override;
    void ReceivePdcpPdu(Ptr<Packet> pdu) override;

  protected:
    void DoDispose() override;

  private:
    using Shared = std::shared_ptr<Undelivered>;
    static void Install(Ptr<LteDataRadioBearerInfo> bearer, Shared sent, Shared expected, uint32_t exchange);

    bool IsOver(Ptr<const Packet> pdu) const;

    LteRlc* m_rlc{nullptr}; // owns this
    LteRlcSapProvider* m_below{nullptr};
    LteRlcSapUser* m_above{nullptr};
    Shared m_sent;
    Shared m_expected;
    uint32_t m_exchange{0};
    bool m_left{false};
};

} // namespace ns3::cosim

#endif
