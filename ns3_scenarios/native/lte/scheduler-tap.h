// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SCHEDULER_TAP_H
#define COSIM_SCHEDULER_TAP_H

#include "ns3/ff-mac-sched-sap.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace ns3::cosim
{

class ShareScheduler;

/**
 * Sits in the service access point between an eNB's MAC and its scheduler, passes all on both ways, and reports the
 * CQI, the uplink's SINR, the buffer status reports and the downlink's grants on their way.
 */
class SchedulerTap : public FfMacSchedSapProvider, public FfMacSchedSapUser
{
  public:
    /// A device's report on the downlink.
    using CqiSink = std::function<void(const CqiListElement_s&)>;
    /// RNTI and the lowest of the resource blocks' SINR in dB, from sounding reference signals.
    using SinrSink = std::function<void(uint16_t, double)>;
    /// RNTI and the four logical channel groups' buffer size indices (TS 36.321 table 6.1.3.1-1).
    using BsrSink = std::function<void(uint16_t, const std::vector<uint8_t>&)>;

    /// What the PDSCH carries to one device in a subframe, for the first time or again.
    using GrantSink = std::function<void(const DlDciListElement_s&)>;

    SchedulerTap(FfMacSchedSapProvider* scheduler,
                 FfMacSchedSapUser* mac,
                 CqiSink cqi,
                 SinrSink sinr,
                 BsrSink bsr,
                 GrantSink grant);

    /// From now on this one makes the grants; null: the scheduler does.
    void SetGranter(ShareScheduler* granter);

    void SchedDlRlcBufferReq(const SchedDlRlcBufferReqParameters& params) override;
    void SchedDlPagingBufferReq(const SchedDlPagingBufferReqParameters& params) override;
    void SchedDlMacBufferReq(const SchedDlMacBufferReqParameters& params) override;
    void SchedDlTriggerReq(const SchedDlTriggerReqParameters& params) override;
    void SchedDlRachInfoReq(const SchedDlRachInfoReqParameters& params) override;
    void SchedDlCqiInfoReq(const SchedDlCqiInfoReqParameters& params) override;
    void SchedUlTriggerReq(const SchedUlTriggerReqParameters& params) override;
    void SchedUlNoiseInterferenceReq(const SchedUlNoiseInterferenceReqParameters& params) override;
    void SchedUlSrInfoReq(const SchedUlSrInfoReqParameters& params) override;
    void SchedUlMacCtrlInfoReq(const SchedUlMacCtrlInfoReqParameters& params) override;
    void SchedUlCqiInfoReq(const SchedUlCqiInfoReqParameters& params) override;
    void SchedDlConfigInd(const SchedDlConfigIndParameters& params) override;
    void SchedUlConfigInd(const SchedUlConfigIndParameters& params) override;

  private:
    FfMacSchedSapProvider* m_scheduler;
    FfMacSchedSapUser* m_mac;
    CqiSink m_cqi;
    SinrSink m_sinr;
    BsrSink m_bsr;
    ShareScheduler* m_granter{nullptr};
    GrantSink m_grant;
};

} // namespace ns3::cosim

#endif
