// SPDX-License-Identifier: GPL-2.0-only
#include "buffer-report.h"

#include "expose.h"

namespace ns3::cosim
{

namespace
{

COSIM_EXPOSE(Mac, &LteRlcAm::m_macSapProvider)
COSIM_EXPOSE(PendingRetransmission, &LteRlcAm::m_retxBufferSize)

} // namespace

NS_OBJECT_ENSURE_REGISTERED(BufferReport);

TypeId
BufferReport::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::BufferReport").SetParent<Object>().SetGroupName("Cosim").AddConstructor<BufferReport>();
    return tid;
}

void
BufferReport::Correct(Ptr<LteRlcAm> rlc)
{
    auto report = CreateObject<BufferReport>();
    report->m_rlc = PeekPointer(rlc);
    report->m_mac = PeekPointer(rlc)->*Get(Mac{});
    rlc->AggregateObject(report);
    rlc->SetLteMacSapProvider(PeekPointer(report));
}

void
BufferReport::TransmitPdu(TransmitPduParameters params)
{
    m_mac->TransmitPdu(params);
}

void
BufferReport::ReportBufferStatus(ReportBufferStatusParameters params)
{
    params.retxQueueSize = m_rlc->*Get(PendingRetransmission{});
    m_mac->ReportBufferStatus(params);
}

} // namespace ns3::cosim
