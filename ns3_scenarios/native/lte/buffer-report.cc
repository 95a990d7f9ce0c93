// SPDX-License-Identifier: GPL-2.0-only
#include "buffer-report.h"

#include "expose.h"

#include "ns3/lte-rlc-am-header.h"
#include "ns3/simulator.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

COSIM_EXPOSE(Mac, &LteRlcAm::m_macSapProvider)
COSIM_EXPOSE(Rnti, &LteRlcAm::m_rnti)
COSIM_EXPOSE(LogicalChannel, &LteRlcAm::m_lcid)
COSIM_EXPOSE(ToSend, &LteRlcAm::m_txonBufferSize)
COSIM_EXPOSE(ToSendAgain, &LteRlcAm::m_retxBufferSize)
COSIM_EXPOSE(Unacknowledged, &LteRlcAm::m_txedBufferSize)
COSIM_EXPOSE(IsStatusTriggered, &LteRlcAm::m_statusPduRequested)
COSIM_EXPOSE(StatusSize, &LteRlcAm::m_statusPduBufferSize)
COSIM_EXPOSE(StatusProhibit, &LteRlcAm::m_statusProhibitTimer)
COSIM_EXPOSE(Retransmissions, &LteRlcAm::m_retxBuffer)
COSIM_EXPOSE(FirstUnacknowledged, &LteRlcAm::m_vtA)
COSIM_EXPOSE(DoReport, &LteRlcAm::DoReportBufferStatus)

constexpr uint32_t STATUS_BYTES = 4;   // that ns-3 asks for
constexpr uint32_t OVERHEAD_BYTES = 2; // of an RLC header, that ns-3's MACs reckon with in a grant

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
BufferReport::Correct(Ptr<LteRlc> rlc)
{
    auto acknowledged = DynamicCast<LteRlcAm>(rlc);
    if (!acknowledged)
    {
        return;
    }
    auto report = CreateObject<BufferReport>();
    report->m_rlc = PeekPointer(acknowledged);
    report->m_mac = report->m_rlc->*Get(Mac{});
    rlc->AggregateObject(report);
    rlc->SetLteMacSapProvider(PeekPointer(report));
    rlc->TraceConnectWithoutContext("RxPDU", MakeCallback(&BufferReport::HandlePdu, PeekPointer(report)));
}

bool
BufferReport::IsStatusDue() const
{
    return m_rlc->*Get(IsStatusTriggered{}) && !(m_rlc->*Get(StatusProhibit{})).IsPending();
}

uint32_t
BufferReport::GetRetransmissionBytes() const
{
    if (m_rlc->*Get(ToSendAgain{}) == 0)
    {
        return 0;
    }
    const auto& pdus = m_rlc->*Get(Retransmissions{}); // by sequence number
    uint32_t next = (m_rlc->*Get(FirstUnacknowledged{})).GetValue();
    while (!pdus[next].m_pdu)
    {
        next = (next + 1) % pdus.size();
    }
    return pdus[next].m_pdu->GetSize();
}

void
BufferReport::Report()
{
    (m_rlc->*Get(DoReport{}))();
    if (m_rlc->*Get(ToSend{}) + m_rlc->*Get(ToSendAgain{}) + m_rlc->*Get(Unacknowledged{}) == 0)
    {
        ReportBufferStatusParameters none{};
        none.rnti = m_rlc->*Get(Rnti{});
        none.lcid = m_rlc->*Get(LogicalChannel{});
        none.statusPduSize = m_told.statusPduSize;
        ReportBufferStatus(none);
    }
}

void
BufferReport::TransmitPdu(TransmitPduParameters params)
{
    LteRlcAmHeader header;
    params.pdu->PeekHeader(header);
    if (header.IsControlPdu())
    {
        m_told.statusPduSize = 0;
    }
    else
    {
        m_told.txQueueSize -= std::min(m_told.txQueueSize, params.pdu->GetSize() - OVERHEAD_BYTES);
    }
    m_mac->TransmitPdu(params);
    FollowSoon();
}

void
BufferReport::ReportBufferStatus(ReportBufferStatusParameters params)
{
    params.retxQueueSize = m_rlc->*Get(ToSendAgain{});
    m_told = params;
    m_mac->ReportBufferStatus(params);
}

void
BufferReport::HandlePdu(uint16_t rnti, uint8_t channel, uint32_t bytes, uint64_t delayNs)
{
    FollowSoon();
}

void
BufferReport::FollowSoon()
{
    if (!m_soon.IsPending())
    {
        m_soon = Simulator::ScheduleNow(&BufferReport::Follow, this); // when RLC and MAC have finished with the PDU
    }
}

void
BufferReport::Follow()
{
    const auto& prohibit = m_rlc->*Get(StatusProhibit{});
    if (prohibit.IsPending() && !m_prohibit.IsPending())
    {
        m_prohibit = Simulator::Schedule(Simulator::GetDelayLeft(prohibit), &BufferReport::Follow, this);
    }
    bool mayStatus = IsStatusDue();
    if (mayStatus)
    {
        m_rlc->*Get(StatusSize{}) = STATUS_BYTES; // ns-3 sets it for a poll, not at the end of t-Reordering
    }
    bool isStatusNew = mayStatus && m_told.statusPduSize == 0;
    bool isRetransmissionNew = m_rlc->*Get(ToSendAgain{}) != m_told.retxQueueSize;
    bool isRestForgotten = m_rlc->*Get(ToSend{}) > 0 && m_told.txQueueSize == 0;
    if (isStatusNew || isRetransmissionNew || isRestForgotten)
    {
        Report();
    }
}

void
BufferReport::DoDispose()
{
    m_soon.Cancel();
    m_prohibit.Cancel();
    Object::DoDispose();
}

} // namespace ns3::cosim
