// SPDX-License-Identifier: GPL-2.0-only
#include "buffer-report.h"

#include "expose.h"

#include "ns3/lte-rlc-am-header.h"
#include "ns3/simulator.h"

namespace ns3::cosim
{

namespace
{

COSIM_EXPOSE(Mac, &LteRlcAm::m_macSapProvider)
COSIM_EXPOSE(PendingRetransmission, &LteRlcAm::m_retxBufferSize)
COSIM_EXPOSE(StatusRequested, &LteRlcAm::m_statusPduRequested)
COSIM_EXPOSE(StatusProhibit, &LteRlcAm::m_statusProhibitTimerValue)
COSIM_EXPOSE(Report, &LteRlcAm::DoReportBufferStatus)

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
    LteRlcAmHeader header;
    params.pdu->PeekHeader(header);
    if (header.IsControlPdu())
    {
        // right behind the expiry of the timer, which ns-3 starts only after this call
        auto after = m_rlc->*Get(StatusProhibit{}) + NanoSeconds(1);
        m_prohibition = Simulator::Schedule(after, &BufferReport::HandleStatusAllowed, this);
    }
    m_mac->TransmitPdu(params);
}

void
BufferReport::ReportBufferStatus(ReportBufferStatusParameters params)
{
    params.retxQueueSize = m_rlc->*Get(PendingRetransmission{});
    m_mac->ReportBufferStatus(params);
}

void
BufferReport::HandleStatusAllowed()
{
    if (m_rlc->*Get(StatusRequested{}))
    {
        (m_rlc->*Get(Report{}))();
    }
}

void
BufferReport::DoDispose()
{
    m_prohibition.Cancel();
    Object::DoDispose();
}

} // namespace ns3::cosim
