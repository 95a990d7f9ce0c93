// SPDX-License-Identifier: GPL-2.0-only
#include "x2-gate.h"

#include "expose.h"

#include "ns3/epc-x2.h"
#include "ns3/lte-enb-rrc.h"
#include "ns3/node.h"
#include "ns3/simulator.h"

namespace ns3::cosim
{

namespace
{

COSIM_EXPOSE(ForwardedBearers, &LteEnbRrc::m_x2uTeidInfoMap)

constexpr int64_t QUEUED_MS = 1; // what a burst may wait on the S1 link: 125 MB at 1 Tb/s

} // namespace

X2Gate::X2Gate(Ptr<LteEnbNetDevice> enb, Time coreDelay)
    : m_rrc(enb->GetRrc()),
      m_user(m_rrc->GetEpcX2SapUser()),
      m_linger(coreDelay + MilliSeconds(QUEUED_MS))
{
    if (auto x2 = enb->GetNode()->GetObject<EpcX2>())
    {
        x2->SetEpcX2SapUser(this);
    }
}

bool
X2Gate::IsIn(uint16_t rnti, UeManager::State state) const
{
    return m_rrc->HasUeManager(rnti) && m_rrc->GetUeManager(rnti)->GetState() == state;
}

void
X2Gate::RecvHandoverRequest(HandoverRequestParams params)
{
    m_user->RecvHandoverRequest(params);
}

void
X2Gate::RecvHandoverRequestAck(HandoverRequestAckParams params)
{
    if (IsIn(params.oldEnbUeX2apId, UeManager::HANDOVER_PREPARATION))
    {
        m_user->RecvHandoverRequestAck(params);
    }
}

void
X2Gate::RecvHandoverPreparationFailure(HandoverPreparationFailureParams params)
{
    auto rnti = params.oldEnbUeX2apId;
    if (IsIn(rnti, UeManager::HANDOVER_PREPARATION) || IsIn(rnti, UeManager::HANDOVER_LEAVING))
    {
        m_user->RecvHandoverPreparationFailure(params);
    }
}

void
X2Gate::RecvSnStatusTransfer(SnStatusTransferParams params)
{
    m_user->RecvSnStatusTransfer(params);
}

void
X2Gate::RecvUeContextRelease(UeContextReleaseParams params)
{
    Simulator::Schedule(m_linger, &X2Gate::Release, this, params);
}

void
X2Gate::Release(UeContextReleaseParams params)
{
    if (IsIn(params.oldEnbUeX2apId, UeManager::HANDOVER_LEAVING))
    {
        m_user->RecvUeContextRelease(params);
    }
}

void
X2Gate::RecvLoadInformation(LoadInformationParams params)
{
    m_user->RecvLoadInformation(params);
}

void
X2Gate::RecvResourceStatusUpdate(ResourceStatusUpdateParams params)
{
    m_user->RecvResourceStatusUpdate(params);
}

void
X2Gate::RecvUeData(UeDataParams params)
{
    const auto& bearers = PeekPointer(m_rrc)->*Get(ForwardedBearers{});
    auto found = bearers.find(params.gtpTeid);
    if (found != bearers.end() && m_rrc->HasUeManager(found->second.rnti))
    {
        m_user->RecvUeData(params);
    }
}

void
X2Gate::RecvHandoverCancel(HandoverCancelParams params)
{
    if (IsIn(params.newEnbUeX2apId, UeManager::HANDOVER_JOINING))
    {
        m_user->RecvHandoverCancel(params);
    }
}

} // namespace ns3::cosim
