// SPDX-License-Identifier: GPL-2.0-only
#include "fading.h"

#include "moving-channel.h"

#include "ns3/double.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/node.h"
#include "ns3/pointer.h"
#include "ns3/spectrum-signal-parameters.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

#include <complex>
#include <vector>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(ThreeGppFading);

ThreeGppFading::ThreeGppFading()
    : m_model(CreateObject<ThreeGppSpectrumPropagationLossModel>())
{
    m_model->SetChannelModel(CreateObject<MovingChannelModel>());
}

TypeId
ThreeGppFading::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::ThreeGppFading")
                            .SetParent<SpectrumPropagationLossModel>()
                            .SetGroupName("Cosim")
                            .AddConstructor<ThreeGppFading>()
                            .AddAttribute("Scenario",
                                          "A scenario of TR 38.901 by ns-3's name: UMi-StreetCanyon or UMa.",
                                          StringValue("UMi-StreetCanyon"),
                                          MakeStringAccessor(&ThreeGppFading::SetScenario),
                                          MakeStringChecker())
                            .AddAttribute("Frequency",
                                          "Carrier frequency (Hz).",
                                          DoubleValue(2.12e9),
                                          MakeDoubleAccessor(&ThreeGppFading::SetFrequency),
                                          MakeDoubleChecker<double>(0))
                            .AddAttribute("ChannelConditionModel",
                                          "Decides which links have line of sight; that of the path loss.",
                                          PointerValue(),
                                          MakePointerAccessor(&ThreeGppFading::SetConditionModel),
                                          MakePointerChecker<ChannelConditionModel>());
    return tid;
}

void
ThreeGppFading::DoDispose()
{
    m_antennas.clear();
    m_model->Dispose();
    m_model = nullptr;
    SpectrumPropagationLossModel::DoDispose();
}

Ptr<SpectrumValue>
ThreeGppFading::DoCalcRxPowerSpectralDensity(Ptr<const SpectrumSignalParameters> params,
                                             Ptr<const MobilityModel> a,
                                             Ptr<const MobilityModel> b) const
{
    return m_model->DoCalcRxPowerSpectralDensity(params, a, b, GetAntenna(a), GetAntenna(b))->psd;
}

Ptr<const PhasedArrayModel>
ThreeGppFading::GetAntenna(Ptr<const MobilityModel> mobility) const
{
    auto& antenna = m_antennas[mobility->GetObject<Node>()->GetId()];
    if (!antenna)
    {
        auto array = CreateObject<UniformPlanarArray>();
        array->SetAttribute("NumRows", UintegerValue(1));
        array->SetAttribute("NumColumns", UintegerValue(1));
        array->SetAttribute("AntennaElement", PointerValue(CreateObject<IsotropicAntennaModel>()));
        array->SetBeamformingVector(PhasedArrayModel::ComplexVector(std::vector<std::complex<double>>{1.0}));
        antenna = array;
    }
    return antenna;
}

void
ThreeGppFading::SetScenario(const std::string& scenario)
{
    m_model->SetChannelModelAttribute("Scenario", StringValue(scenario));
}

void
ThreeGppFading::SetFrequency(double frequencyHz)
{
    m_model->SetChannelModelAttribute("Frequency", DoubleValue(frequencyHz));
}

void
ThreeGppFading::SetConditionModel(Ptr<ChannelConditionModel> model)
{
    if (model)
    {
        m_model->SetChannelModelAttribute("ChannelConditionModel", PointerValue(model));
    }
}

int64_t
ThreeGppFading::DoAssignStreams(int64_t stream)
{
    return m_model->AssignStreams(stream);
}

} // namespace ns3::cosim
