// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SHARE_SCHEDULER_H
#define COSIM_SHARE_SCHEDULER_H

#include "ns3/ff-mac-sched-sap.h"
#include "ns3/ptr.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace ns3
{
class FfMacScheduler;
class LteAmc;
} // namespace ns3

namespace ns3::cosim
{

/// The CQI, TS 36.213 table 7.2.3-1, that ns-3's schedulers take an uplink's SINR for, after Piro et al. (European
/// Wireless 2010).
int GetUplinkCqi(Ptr<LteAmc> amc, double sinrDb);

/// What RLC sends with its next grant besides data, which it divides at will.
struct RlcDue
{
    bool isStatus{false};       // a STATUS PDU
    uint32_t undividedBytes{0}; // a PDU to be sent again, which ns-3 does not divide; 0 if there is none
};

/**
 * Divides a carrier by shares of its resource blocks: while a device has something to send it gets its share, down and
 * up, whatever others do, and no more; on average since `Begin`, as a subframe is divided by whole groups and blocks.
 *
 * It grants on the books of ns3::PfFfMacScheduler or ns3::RrFfMacScheduler, which still does all else: that one sees
 * empty buffers and grants what HARQ and random access need, and what they leave is divided here. Retransmissions count
 * towards their device's share. Beyond it, to be made up for, goes a grant that would be too small to be worth its
 * header, or for what RLC cannot divide; and RLC's STATUS PDUs, of devices without a share, too.
 */
class ShareScheduler : public FfMacSchedSapUser
{
  public:
    using ShareOf = std::function<double(uint16_t rnti)>;
    using DueOf = std::function<RlcDue(uint16_t rnti, bool isUplink)>;
    using IsEndless = std::function<bool(uint16_t rnti)>;

    /// Beside that scheduler, which serves this MAC; null if it is of another kind. The functions are asked in each
    /// subframe; `isEndless` whether a device's latest buffer status report was the highest there is, which says "more
    /// than that".
    static std::unique_ptr<ShareScheduler> Create(Ptr<FfMacScheduler> scheduler,
                                                  FfMacSchedSapUser* mac,
                                                  const ShareOf& shareOf,
                                                  const DueOf& dueOf,
                                                  const IsEndless& isEndless);

    /// New shares hold from now on. What earlier ones left over, or took beforehand, counts no more.
    virtual void Begin() = 0;

    /// The scheduler divides the carrier by itself again.
    virtual void End() = 0;

    /// In the place of the scheduler's, between `Begin` and `End`.
    virtual void SchedDlTriggerReq(const FfMacSchedSapProvider::SchedDlTriggerReqParameters& params) = 0;
    virtual void SchedUlTriggerReq(const FfMacSchedSapProvider::SchedUlTriggerReqParameters& params) = 0;
};

} // namespace ns3::cosim

#endif
