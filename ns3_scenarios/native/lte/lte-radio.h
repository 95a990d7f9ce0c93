// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LTE_RADIO_H
#define COSIM_LTE_RADIO_H

#include "radio.h"

#include "ns3/lte-ue-rrc.h"
#include "ns3/net-device.h"
#include "ns3/nstime.h"
#include "ns3/spectrum-channel.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace ns3
{
class LteAmc;
class LteEnbNetDevice;
class LteEnbPhy;
class LteUeNetDevice;
class Packet;
class UeManager;
struct CqiListElement_s;
struct DlDciListElement_s;
struct DlSchedulingCallbackInfo;
} // namespace ns3

namespace ns3::cosim
{

class SchedulerTap;
class ShareScheduler;
class X2Gate;
struct RlcDue;

/**
 * LTE cells and their devices: link state from trace sources and the scheduler's access point, SDU discard, and
 * data forwarding. All of it follows a device from cell to cell, and back into coverage.
 */
class LteRadio : public Radio
{
  public:
    LteRadio();
    ~LteRadio() override;
    static TypeId GetTypeId();

    /// Watch the cell of this LteEnbNetDevice; all before the first device.
    void AddEnb(Ptr<NetDevice> enb);

    /// The LteUeNetDevice of the next device.
    void AddUe(Ptr<NetDevice> ue);

    /// The LteUeNetDevice of a user that is no device, but shares the cells with them and reports its buffers as they
    /// do.
    void AddOther(Ptr<NetDevice> ue);

    /// From now on each device gets its share of each carrier of its cell (ShareScheduler), and other users get
    /// nothing. The eNBs have PfFfMacScheduler or RrFfMacScheduler.
    void SetShares(uint32_t count, const double* shares);

    /// From now on the schedulers divide the carriers by themselves again.
    void ClearShares();

    /**
     * True if the device is RRC connected with a data bearer, on its way between two cells included, where data
     * waits for it, and not out of sync: an LTE receiver is that
     * when its link was too bad for a whole evaluation period (TS 36.133 clause 7.6.2.1), which the BS
     * sees as CQI 0, "out of range" (TS 36.213 table 7.2.3-1).
     */
    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;

    /**
     * The transport blocks that the scheduler would grant to a device alone in its cell, by what it has heard of its
     * channel: down at the MCS of the worst of the resource block groups in range (with ns-3's round robin at that of
     * the wide-band CQI), up at the MCS of the worst resource block.
     */
    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;

    /**
     * Down the BS's power on the granted resource blocks, its grants counted when they are made; up each frame's own
     * power, as power control has it. Without the power offsets of frequency reuse.
     */
    AirEnergy GetAirEnergy(uint32_t device) const override;
    bool IsQuiet(uint32_t device, int64_t sentNs) const override;
    void Discard(uint32_t device, uint32_t exchange) override;
    std::vector<Ptr<Channel>> GetChannels(uint32_t device) const override;

  protected:
    void DoDispose() override;

  private:
    /// A cell's identity, that of an eNB's first carrier, and the RNTI of a device in it.
    using Address = std::pair<uint16_t, uint16_t>;

    /// Bits in a subframe that one carrier's scheduler would grant to a device alone: it begins with the lowest CQI.
    struct Grantable
    {
        int64_t downlink;
        int64_t uplink;
    };

    struct Link
    {
        Ptr<LteUeNetDevice> ue;
        LinkSample sample;
        int64_t layers{1};
        std::vector<int64_t> bsr;         // bytes on each carrier
        std::vector<Grantable> grantable; // on each carrier
        int64_t lastGrant{0};             // when a transport block was last granted, either way, first or again
        int64_t lastInRange{-1};          // when the device last reported a CQI other than 0, "out of range"
        AirEnergy air{0, 0};
        uint32_t discarded{0};           // the exchange up to which nothing is worth sending any more
        Address address;                 // where it is connected, or was last
        std::vector<Ptr<Packet>> uplink; // what a handover took from the old cell, until the new bearer is there
    };

    void Watch(Ptr<LteEnbNetDevice> enb, uint8_t carrier);
    void Forget(Link& link);
    Link* Find(Address address);
    double GetShare(Address address) const;
    RlcDue GetDue(Address address, bool isUplink);
    Ptr<UeManager> GetManager(Ptr<LteUeNetDevice> ue) const;
    int64_t GetDownlinkBits(const CqiListElement_s& report, bool isWideband) const;
    int64_t GetUplinkBits(double sinrDb) const;
    uint32_t CountOthers(uint32_t pool) const;
    void HandleState(uint32_t device,
                     uint64_t imsi,
                     uint16_t cell,
                     uint16_t rnti,
                     LteUeRrc::State from,
                     LteUeRrc::State to);
    void Arrive(uint32_t device, Address address, bool isHandover);
    void HandOver(Link& link);
    void HandleBearer(uint32_t device, uint64_t imsi, uint16_t cell, uint16_t rnti, uint8_t channel);
    void Tap(uint32_t device);
    void HandleOther(Ptr<LteUeNetDevice> ue, uint64_t imsi, uint16_t cell, uint16_t rnti, uint8_t channel);
    void CorrectReports(Ptr<LteUeNetDevice> ue);
    void HandleDownlinkSinr(uint32_t device, uint16_t cell, uint16_t rnti, double rsrp, double sinr, uint8_t carrier);
    void HandleUplinkSinr(uint16_t primary, uint16_t cell, uint16_t rnti, double sinr, uint8_t carrier);
    void HandleDownlinkData(uint16_t cell, LteEnbPhy& phy, const DlDciListElement_s& grant);
    void HandleUplinkSignal(Ptr<SpectrumSignalParameters> signal);
    void HandleDownlinkGrant(uint16_t cell, DlSchedulingCallbackInfo info);
    void HandleUplinkGrant(uint16_t cell,
                           uint32_t frame,
                           uint32_t subframe,
                           uint16_t rnti,
                           uint8_t mcs,
                           uint16_t size,
                           uint8_t carrier);

    Time m_coreDelay;
    std::map<uint16_t, Ptr<LteEnbNetDevice>> m_enbs; // by cell
    Ptr<LteAmc> m_amc;
    uint32_t m_carriers{0};
    std::vector<Ptr<LteUeNetDevice>> m_others;
    mutable int64_t m_countedNs{-1};
    mutable std::map<uint32_t, uint32_t> m_waiting; // others with data waiting then, by pool
    std::deque<Link> m_links;
    std::map<Address, uint32_t> m_devices;
    std::vector<double> m_shares;               // by device, as set last
    std::map<SpectrumPhy*, uint32_t> m_senders; // devices' carriers
    std::set<SpectrumChannel*> m_uplinks;       // on which they send; whoever held it would hold the recorders' files
    std::vector<std::unique_ptr<SchedulerTap>> m_taps;
    std::vector<std::unique_ptr<ShareScheduler>> m_granters; // beside the scheduler of each tap
    std::vector<std::unique_ptr<X2Gate>> m_gates;
};

} // namespace ns3::cosim

#endif
