// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LTE_RADIO_H
#define COSIM_LTE_RADIO_H

#include "radio.h"

#include "ns3/net-device.h"
#include "ns3/nstime.h"

#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace ns3
{
class LteAmc;
class LteEnbNetDevice;
class LteRlc;
class LteUeNetDevice;
class UeManager;
struct DlSchedulingCallbackInfo;
} // namespace ns3

namespace ns3::cosim
{

class SchedulerTap;
class StaleFilter;

/// One LTE cell and its devices: link state from trace sources and the scheduler's access point, SDU discard.
class LteRadio : public Radio
{
  public:
    LteRadio();
    ~LteRadio() override;
    static TypeId GetTypeId();

    /// Watch the cell of this LteEnbNetDevice.
    void SetEnb(Ptr<NetDevice> enb);

    /// The LteUeNetDevice of the next device.
    void AddUe(Ptr<NetDevice> ue);

    /**
     * True if the device is RRC connected with a data bearer, and not out of sync: an LTE receiver is that
     * when its link was too bad for a whole evaluation period (TS 36.133 clause 7.6.2.1), which the BS
     * sees as CQI 0, "out of range" (TS 36.213 table 7.2.3-1).
     */
    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;
    bool IsQuiet(uint32_t device, int64_t sentNs) const override;
    void Discard(uint32_t device, uint32_t exchange) override;
    std::vector<Ptr<Channel>> GetChannels(uint32_t device) const override;

  protected:
    void DoDispose() override;

  private:
    struct Link
    {
        Ptr<LteUeNetDevice> ue;
        LinkSample sample;
        int64_t layers{1};
        std::vector<int64_t> bsr; // bytes on each carrier
        int64_t lastGrant{0}; // when a transport block was last granted, either way, first or again
        int64_t lastInRange{-1}; // when the device last reported a CQI other than 0, "out of range"
        std::map<const LteRlc*, std::unique_ptr<StaleFilter>> filters;
    };

    void Watch(uint8_t carrier);
    Link* Find(uint16_t rnti);
    Ptr<UeManager> GetManager(uint32_t device) const;
    void HandleConnected(uint64_t imsi, uint16_t cell, uint16_t rnti);
    void HandleDownlinkSinr(uint32_t device, uint16_t cell, uint16_t rnti, double rsrp, double sinr, uint8_t carrier);
    void HandleUplinkSinr(uint16_t cell, uint16_t rnti, double sinr, uint8_t carrier);
    void HandleDownlinkGrant(DlSchedulingCallbackInfo info);
    void HandleUplinkGrant(uint32_t frame, uint32_t subframe, uint16_t rnti, uint8_t mcs, uint16_t size, uint8_t carrier);

    Time m_coreDelay;
    Ptr<LteEnbNetDevice> m_enb;
    Ptr<LteAmc> m_amc;
    uint32_t m_carriers{0};
    std::deque<Link> m_links;
    std::map<uint16_t, uint32_t> m_byRnti;
    std::vector<std::unique_ptr<SchedulerTap>> m_taps;
};

} // namespace ns3::cosim

#endif
