// SPDX-License-Identifier: GPL-2.0-only
#include "lte-neighbours.h"

#include "ns3/component-carrier-enb.h"
#include "ns3/component-carrier-ue.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-phy.h"
#include "ns3/lte-ue-net-device.h"
#include "ns3/lte-ue-phy.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/spectrum-signal-parameters.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(LteNeighbours);

namespace
{

// ns-3's parts of a subframe: three symbols of control down, and one of sounding at the end up.
constexpr int64_t SUBFRAME_NS = 1'000'000;
constexpr int64_t CONTROL_NS = 214'286;
constexpr int64_t SOUNDING_NS = 71'429;
constexpr int64_t RENEWAL_SUBFRAMES = 10; // a frame, in which path losses stay; ours
constexpr double RB_HZ = 180e3;           // TS 36.211 table 6.2.3-1: 12 subcarriers of 15 kHz

Ptr<PhasedArrayModel>
MakeOne(Ptr<AntennaModel> element)
{
    return CreateObjectWithAttributes<UniformPlanarArray>("NumRows",
                                                          UintegerValue(1),
                                                          "NumColumns",
                                                          UintegerValue(1),
                                                          "AntennaElement",
                                                          PointerValue(element));
}

} // namespace

LteNeighbours::LteNeighbours() = default;
LteNeighbours::~LteNeighbours() = default;

TypeId
LteNeighbours::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::LteNeighbours").SetParent<Object>().SetGroupName("Cosim").AddConstructor<LteNeighbours>();
    return tid;
}

void
LteNeighbours::DoDispose()
{
    m_next.Cancel();
    m_receivers.clear();
    m_sites = nullptr;
    Object::DoDispose();
}

void
LteNeighbours::SetSites(Ptr<NeighbourSites> sites)
{
    m_sites = sites;
    UintegerValue prbs;
    sites->GetAttribute("Prbs", prbs);
    m_prbs = prbs.Get();
}

void
LteNeighbours::SetEnb(Ptr<NetDevice> device)
{
    auto enb = DynamicCast<LteEnbNetDevice>(device);
    NS_ABORT_MSG_UNLESS(enb && m_sites, "LteNeighbours needs sites first, then an LteEnbNetDevice");
    for (const auto& [number, carrier] : enb->GetCcMap())
    {
        Add(DynamicCast<ComponentCarrierEnb>(carrier)->GetPhy()->GetUplinkSpectrumPhy(), true, 0);
    }
    const auto& phy = m_receivers.front().phy;
    m_sites->SetBaseStation(phy->GetMobility(), MakeOne(DynamicCast<AntennaModel>(phy->GetAntenna())));
}

void
LteNeighbours::AddUe(Ptr<NetDevice> device)
{
    auto ue = DynamicCast<LteUeNetDevice>(device);
    NS_ABORT_MSG_UNLESS(ue && !m_receivers.empty(), "LteNeighbours needs SetEnb first, then LteUeNetDevices");
    for (const auto& [number, carrier] : ue->GetCcMap())
    {
        Add(carrier->GetPhy()->GetDownlinkSpectrumPhy(), false, m_devices);
    }
    m_sites->AddDevice(m_receivers.back().phy->GetMobility(), MakeOne(CreateObject<IsotropicAntennaModel>()));
    m_devices++;
}

void
LteNeighbours::Add(Ptr<LteSpectrumPhy> phy, bool isUplink, uint32_t device)
{
    auto number = static_cast<uint32_t>(m_receivers.size());
    m_receivers.push_back({phy, isUplink, device});
    phy->TraceConnectWithoutContext("RxStart", MakeCallback(&LteNeighbours::HandleData, this, number));
}

void
LteNeighbours::Begin()
{
    m_next = Simulator::ScheduleNow(&LteNeighbours::BeginSubframe, this);
}

void
LteNeighbours::BeginSubframe()
{
    if (Simulator::Now().GetNanoSeconds() / SUBFRAME_NS % RENEWAL_SUBFRAMES == 0)
    {
        m_sites->Renew();
    }
    HandMean(false, NanoSeconds(CONTROL_NS - 1));
    Simulator::Schedule(NanoSeconds(SUBFRAME_NS - SOUNDING_NS),
                        &LteNeighbours::HandMean,
                        this,
                        true,
                        NanoSeconds(SOUNDING_NS - 1));
    m_next = Simulator::Schedule(NanoSeconds(SUBFRAME_NS), &LteNeighbours::BeginSubframe, this);
}

void
LteNeighbours::HandMean(bool isUplink, Time duration)
{
    auto subframe = Simulator::Now().GetNanoSeconds() / SUBFRAME_NS;
    for (const auto& receiver : m_receivers)
    {
        if (receiver.isUplink == isUplink)
        {
            m_mean.assign(m_prbs, m_sites->GetMeanInterferenceMw(receiver.device, isUplink, subframe));
            Hand(receiver, duration, m_mean);
        }
    }
}

void
LteNeighbours::HandleData(uint32_t number, Ptr<const PacketBurst> burst)
{
    auto& receiver = m_receivers[number];
    auto now = Simulator::Now().GetNanoSeconds();
    auto subframe = now / SUBFRAME_NS;
    if (receiver.dataSubframe == subframe) // another device's, with what is there already
    {
        return;
    }
    receiver.dataSubframe = subframe;
    auto end = (subframe + 1) * SUBFRAME_NS - (receiver.isUplink ? SOUNDING_NS : 0) - 1;
    const auto& interferenceMw = m_sites->GetInterferenceMw(receiver.device, receiver.isUplink, subframe);
    Hand(receiver, NanoSeconds(end - now), interferenceMw);
}

void
LteNeighbours::Hand(const Receiver& receiver, Time duration, const std::vector<double>& interferenceMw)
{
    auto model = receiver.phy->GetRxSpectrumModel();
    if (!model)
    {
        return;
    }
    auto signal = Create<SpectrumSignalParameters>();
    signal->psd = Create<SpectrumValue>(model);
    signal->duration = duration;
    auto prb = (m_prbs - model->GetNumBands()) / 2; // a device that looks for its cell hears the middle of the carrier
    for (auto value = signal->psd->ValuesBegin(); value != signal->psd->ValuesEnd(); ++value)
    {
        *value = interferenceMw[prb++] / 1000 / RB_HZ;
    }
    receiver.phy->StartRx(signal);
}

} // namespace ns3::cosim
