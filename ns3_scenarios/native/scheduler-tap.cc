// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler-tap.h"

#include <utility>

namespace ns3::cosim
{

SchedulerTap::SchedulerTap(FfMacSchedSapProvider* scheduler, CqiSink cqi, BsrSink bsr)
    : m_scheduler(scheduler),
      m_cqi(std::move(cqi)),
      m_bsr(std::move(bsr))
{
}

void
SchedulerTap::SchedDlCqiInfoReq(const SchedDlCqiInfoReqParameters& params)
{
    for (const auto& report : params.m_cqiList)
    {
        if (!report.m_wbCqi.empty())
        {
            m_cqi(report.m_rnti, report.m_wbCqi.front());
        }
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
    m_scheduler->SchedDlTriggerReq(params);
}

void
SchedulerTap::SchedDlRachInfoReq(const SchedDlRachInfoReqParameters& params)
{
    m_scheduler->SchedDlRachInfoReq(params);
}

void
SchedulerTap::SchedUlTriggerReq(const SchedUlTriggerReqParameters& params)
{
    m_scheduler->SchedUlTriggerReq(params);
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
    m_scheduler->SchedUlCqiInfoReq(params);
}

} // namespace ns3::cosim
