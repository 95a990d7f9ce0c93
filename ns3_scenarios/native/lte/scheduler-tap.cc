// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler-tap.h"

#include "share-scheduler.h"

#include "ns3/lte-common.h"
#include "ns3/lte-vendor-specific-parameters.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace ns3::cosim
{

SchedulerTap::SchedulerTap(FfMacSchedSapProvider* scheduler,
                           FfMacSchedSapUser* mac,
                           CqiSink cqi,
                           SinrSink sinr,
                           BsrSink bsr,
                           GrantSink grant)
    : m_scheduler(scheduler),
      m_mac(mac),
      m_cqi(std::move(cqi)),
      m_sinr(std::move(sinr)),
      m_bsr(std::move(bsr)),
      m_grant(std::move(grant))
{
}

void
SchedulerTap::SetGranter(ShareScheduler* granter)
{
    m_granter = granter;
}

void
SchedulerTap::SchedDlCqiInfoReq(const SchedDlCqiInfoReqParameters& params)
{
    for (const auto& report : params.m_cqiList)
    {
        m_cqi(report);
    }
    m_scheduler->SchedDlCqiInfoReq(params);
}

void
SchedulerTap::SchedUlMacCtrlInfoReq(const SchedUlMacCtrlInfoReqParameters& params)
{
    for (const auto& element : params.m_macCeList)
    {
        if (element.m_macCeType == MacCeListElement_s::BSR)
        {
            m_bsr(element.m_rnti, element.m_macCeValue.m_bufferStatus);
        }
    }
    m_scheduler->SchedUlMacCtrlInfoReq(params);
}

void
SchedulerTap::SchedDlConfigInd(const SchedDlConfigIndParameters& params)
{
    for (const auto& element : params.m_buildDataList)
    {
        m_grant(element.m_dci);
    }
    m_mac->SchedDlConfigInd(params);
}

void
SchedulerTap::SchedUlConfigInd(const SchedUlConfigIndParameters& params)
{
    m_mac->SchedUlConfigInd(params);
}

void
SchedulerTap::SchedDlRlcBufferReq(const SchedDlRlcBufferReqParameters& params)
{
    m_scheduler->SchedDlRlcBufferReq(params);
}

void
SchedulerTap::SchedDlPagingBufferReq(const SchedDlPagingBufferReqParameters& params)
{
    m_scheduler->SchedDlPagingBufferReq(params);
}

void
SchedulerTap::SchedDlMacBufferReq(const SchedDlMacBufferReqParameters& params)
{
    m_scheduler->SchedDlMacBufferReq(params);
}

void
SchedulerTap::SchedDlTriggerReq(const SchedDlTriggerReqParameters& params)
{
    m_granter ? m_granter->SchedDlTriggerReq(params) : m_scheduler->SchedDlTriggerReq(params);
}

void
SchedulerTap::SchedDlRachInfoReq(const SchedDlRachInfoReqParameters& params)
{
    m_scheduler->SchedDlRachInfoReq(params);
}

void
SchedulerTap::SchedUlTriggerReq(const SchedUlTriggerReqParameters& params)
{
    m_granter ? m_granter->SchedUlTriggerReq(params) : m_scheduler->SchedUlTriggerReq(params);
}

void
SchedulerTap::SchedUlNoiseInterferenceReq(const SchedUlNoiseInterferenceReqParameters& params)
{
    m_scheduler->SchedUlNoiseInterferenceReq(params);
}

void
SchedulerTap::SchedUlSrInfoReq(const SchedUlSrInfoReqParameters& params)
{
    m_scheduler->SchedUlSrInfoReq(params);
}

void
SchedulerTap::SchedUlCqiInfoReq(const SchedUlCqiInfoReqParameters& params)
{
    for (const auto& element : params.m_vendorSpecificList)
    {
        if (element.m_type == SRS_CQI_RNTI_VSP && params.m_ulCqi.m_type == UlCqi_s::SRS)
        {
            double lowest = std::numeric_limits<double>::infinity();
            for (auto fixed : params.m_ulCqi.m_sinr)
            {
                lowest = std::min(lowest, LteFfConverter::fpS11dot3toDouble(fixed));
            }
            m_sinr(DynamicCast<SrsCqiRntiVsp>(element.m_value)->GetRnti(), lowest);
        }
    }
    m_scheduler->SchedUlCqiInfoReq(params);
}

} // namespace ns3::cosim
