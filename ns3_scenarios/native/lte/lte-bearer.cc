// SPDX-License-Identifier: GPL-2.0-only
#include "lte-bearer.h"

#include "buffer-report.h"
#include "expose.h"
#include "load.h"
#include "transfer-tag.h"

#include "ns3/lte-enb-rrc.h"
#include "ns3/lte-pdcp-header.h"
#include "ns3/lte-rlc-am.h"
#include "ns3/lte-rlc-sdu-status-tag.h"
#include "ns3/lte-rlc-um.h"

#include <algorithm>
#include <utility>

namespace ns3::cosim
{

namespace
{

COSIM_EXPOSE(EnbBearers, &UeManager::m_drbMap)
COSIM_EXPOSE(UeBearers, &LteUeRrc::m_drbMap)
COSIM_EXPOSE(AmBuffer, &LteRlcAm::m_txonBuffer)
COSIM_EXPOSE(AmBufferSize, &LteRlcAm::m_txonBufferSize)
COSIM_EXPOSE(AmRetxSize, &LteRlcAm::m_retxBufferSize)
COSIM_EXPOSE(UmBuffer, &LteRlcUm::m_txBuffer)
COSIM_EXPOSE(UmBufferSize, &LteRlcUm::m_txBufferSize)
COSIM_EXPOSE(UmReport, &LteRlcUm::DoReportBufferStatus)

template <class Bearers>
Ptr<LteDataRadioBearerInfo>
First(const Bearers& bearers)
{
    return bearers.empty() ? nullptr : bearers.begin()->second;
}

/// Drop the SDUs of which nothing was sent yet, background traffic's only if `all` are to go; returns how many there
/// were.
template <class Buffer>
size_t
DropUntouched(Buffer& buffer, uint32_t& size, bool all)
{
    auto first = buffer.begin();
    LteRlcSduStatusTag status;
    if (first != buffer.end() && first->m_pdu->PeekPacketTag(status) &&
        status.GetStatus() != LteRlcSduStatusTag::FULL_SDU)
    {
        first++; // the rest of an SDU that is already partly sent
    }
    auto untouched = static_cast<size_t>(std::distance(first, buffer.end()));
    auto isDropped = [all](const auto& sdu) { return all || !IsLoad(sdu.m_pdu); };
    buffer.erase(std::remove_if(first, buffer.end(), isDropped), buffer.end());
    size = 0;
    for (const auto& sdu : buffer)
    {
        size += sdu.m_pdu->GetSize();
    }
    return untouched;
}

/// The same in an RLC entity, which then reports its new buffer status to the MAC.
size_t
DiscardSdus(LteRlc* rlc, bool all)
{
    size_t untouched = 0;
    if (auto am = dynamic_cast<LteRlcAm*>(rlc))
    {
        untouched = DropUntouched(am->*Get(AmBuffer{}), am->*Get(AmBufferSize{}), all);
        am->GetObject<BufferReport>()->Report();
    }
    else if (auto um = dynamic_cast<LteRlcUm*>(rlc))
    {
        untouched = DropUntouched(um->*Get(UmBuffer{}), um->*Get(UmBufferSize{}), all);
        (um->*Get(UmReport{}))();
    }
    return untouched;
}

uint16_t
GetSequenceNumber(Ptr<const Packet> pdu)
{
    LtePdcpHeader header;
    pdu->PeekHeader(header);
    return header.GetSequenceNumber();
}

} // namespace

Ptr<LteDataRadioBearerInfo>
GetDataBearer(Ptr<UeManager> manager)
{
    return First(PeekPointer(manager)->*Get(EnbBearers{}));
}

Ptr<LteDataRadioBearerInfo>
GetDataBearer(Ptr<LteUeRrc> rrc)
{
    return First(PeekPointer(rrc)->*Get(UeBearers{}));
}

uint32_t
GetQueueBytes(Ptr<LteRlc> rlc)
{
    if (auto am = DynamicCast<LteRlcAm>(rlc))
    {
        return PeekPointer(am)->*Get(AmBufferSize{}) + PeekPointer(am)->*Get(AmRetxSize{});
    }
    if (auto um = DynamicCast<LteRlcUm>(rlc))
    {
        return PeekPointer(um)->*Get(UmBufferSize{});
    }
    return 0;
}

NS_OBJECT_ENSURE_REGISTERED(BearerTap);

TypeId
BearerTap::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::BearerTap").SetParent<Object>().SetGroupName("Cosim").AddConstructor<BearerTap>();
    return tid;
}

void
BearerTap::Install(Ptr<LteDataRadioBearerInfo> one, Ptr<LteDataRadioBearerInfo> other, uint32_t exchange)
{
    auto there = std::make_shared<Undelivered>();
    auto back = std::make_shared<Undelivered>();
    Install(one, there, back, exchange);
    Install(other, back, there, exchange);
}

void
BearerTap::Install(Ptr<LteDataRadioBearerInfo> bearer, Shared sent, Shared expected, uint32_t exchange)
{
    auto tap = CreateObject<BearerTap>();
    tap->m_rlc = PeekPointer(bearer->m_rlc);
    tap->m_below = bearer->m_rlc->GetLteRlcSapProvider();
    tap->m_above = bearer->m_pdcp->GetLteRlcSapUser();
    tap->m_sent = std::move(sent);
    tap->m_expected = std::move(expected);
    tap->m_exchange = exchange;
    bearer->m_rlc->AggregateObject(tap);
    bearer->m_pdcp->SetLteRlcSapProvider(PeekPointer(tap));
    bearer->m_rlc->SetLteRlcSapUser(PeekPointer(tap));
    BufferReport::Correct(bearer->m_rlc);
}

void
BearerTap::Discard(uint32_t exchange)
{
    m_exchange = exchange;
    DiscardSdus(m_rlc, false);
    std::erase_if(*m_sent, [this](Ptr<const Packet> pdu) { return IsOver(pdu); });
}

std::vector<Ptr<Packet>>
BearerTap::HandOver()
{
    m_left = true;
    auto untouched = std::min(DiscardSdus(m_rlc, true), m_sent->size());
    bool isAcknowledged = dynamic_cast<LteRlcAm*>(m_rlc);
    std::vector<Ptr<Packet>> sdus(isAcknowledged ? m_sent->begin() : m_sent->end() - untouched, m_sent->end());
    m_sent->clear();
    for (const auto& sdu : sdus)
    {
        LtePdcpHeader header;
        sdu->RemoveHeader(header);
    }
    return sdus;
}

bool
BearerTap::IsOver(Ptr<const Packet> pdu) const
{
    TransferTag tag;
    return pdu->FindFirstMatchingByteTag(tag) && tag.exchange <= m_exchange;
}

void
BearerTap::TransmitPdcpPdu(TransmitPdcpPduParameters params)
{
    if (IsOver(params.pdcpPdu))
    {
        return;
    }
    m_sent->push_back(params.pdcpPdu->Copy());
    m_below->TransmitPdcpPdu(params);
}

void
BearerTap::ReceivePdcpPdu(Ptr<Packet> pdu)
{
    if (m_left)
    {
        return;
    }
    auto number = GetSequenceNumber(pdu);
    auto isIt = [number](Ptr<const Packet> sent) { return GetSequenceNumber(sent) == number; };
    auto found = std::find_if(m_expected->begin(), m_expected->end(), isIt);
    if (found != m_expected->end())
    {
        m_expected->erase(m_expected->begin(), found + 1); // what lies before it was lost: RLC delivers in order
    }
    m_above->ReceivePdcpPdu(pdu);
}

void
BearerTap::DoDispose()
{
    m_sent = nullptr;
    m_expected = nullptr;
    Object::DoDispose();
}

} // namespace ns3::cosim
