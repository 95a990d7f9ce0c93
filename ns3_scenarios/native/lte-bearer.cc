// SPDX-License-Identifier: GPL-2.0-only
#include "lte-bearer.h"

#include "load.h"
#include "transfer-tag.h"

#include "ns3/lte-enb-rrc.h"
#include "ns3/lte-rlc-am.h"
#include "ns3/lte-rlc-sdu-status-tag.h"
#include "ns3/lte-rlc-um.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

// ns-3 offers no way to discard SDUs. An explicit instantiation may name private members ([temp.spec]), and
// hands them to the function that its tag declares.
template <auto Member, class Tag>
struct Expose
{
    friend constexpr auto Get(Tag)
    {
        return Member;
    }
};

#define COSIM_EXPOSE(TAG, MEMBER)                                                                                  \
    struct TAG                                                                                                     \
    {                                                                                                              \
        friend constexpr auto Get(TAG);                                                                            \
    };                                                                                                             \
    template struct Expose<MEMBER, TAG>;

COSIM_EXPOSE(EnbBearers, &UeManager::m_drbMap)
COSIM_EXPOSE(UeBearers, &LteUeRrc::m_drbMap)
COSIM_EXPOSE(AmBuffer, &LteRlcAm::m_txonBuffer)
COSIM_EXPOSE(AmBufferSize, &LteRlcAm::m_txonBufferSize)
COSIM_EXPOSE(AmRetxSize, &LteRlcAm::m_retxBufferSize)
COSIM_EXPOSE(AmReport, &LteRlcAm::DoReportBufferStatus)
COSIM_EXPOSE(UmBuffer, &LteRlcUm::m_txBuffer)
COSIM_EXPOSE(UmBufferSize, &LteRlcUm::m_txBufferSize)
COSIM_EXPOSE(UmReport, &LteRlcUm::DoReportBufferStatus)

#undef COSIM_EXPOSE

template <class Bearers>
Ptr<LteDataRadioBearerInfo>
First(const Bearers& bearers)
{
    return bearers.empty() ? nullptr : bearers.begin()->second;
}

template <class Buffer>
void
DropUntouched(Buffer& buffer, uint32_t& size)
{
    auto first = buffer.begin();
    LteRlcSduStatusTag status;
    if (first != buffer.end() && first->m_pdu->PeekPacketTag(status) &&
        status.GetStatus() != LteRlcSduStatusTag::FULL_SDU)
    {
        first++; // the rest of an SDU that is already partly sent
    }
    buffer.erase(std::remove_if(first, buffer.end(), [](const auto& sdu) { return !IsLoad(sdu.m_pdu); }), buffer.end());
    size = 0;
    for (const auto& sdu : buffer)
    {
        size += sdu.m_pdu->GetSize();
    }
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

void
DiscardSdus(Ptr<LteRlc> rlc)
{
    if (auto am = DynamicCast<LteRlcAm>(rlc))
    {
        DropUntouched(PeekPointer(am)->*Get(AmBuffer{}), PeekPointer(am)->*Get(AmBufferSize{}));
        (PeekPointer(am)->*Get(AmReport{}))();
    }
    if (auto um = DynamicCast<LteRlcUm>(rlc))
    {
        DropUntouched(PeekPointer(um)->*Get(UmBuffer{}), PeekPointer(um)->*Get(UmBufferSize{}));
        (PeekPointer(um)->*Get(UmReport{}))();
    }
}

StaleFilter::StaleFilter(Ptr<LtePdcp> pdcp, Ptr<LteRlc> rlc)
    : m_rlc(rlc->GetLteRlcSapProvider())
{
    pdcp->SetLteRlcSapProvider(this);
}

void
StaleFilter::DropUpTo(uint32_t exchange)
{
    m_exchange = exchange;
}

void
StaleFilter::TransmitPdcpPdu(TransmitPdcpPduParameters params)
{
    TransferTag tag;
    if (params.pdcpPdu->FindFirstMatchingByteTag(tag) && tag.exchange <= m_exchange)
    {
        return;
    }
    m_rlc->TransmitPdcpPdu(params);
}

} // namespace ns3::cosim
