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
{
    AddModel();
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
    for (auto& model : m_models)
    {
        model->Dispose();
    }
    m_models.clear();
    m_lineOfSight = nullptr;
    SpectrumPropagationLossModel::DoDispose();
}

Ptr<SpectrumValue>
ThreeGppFading::DoCalcRxPowerSpectralDensity(Ptr<const SpectrumSignalParameters> params,
                                             Ptr<const MobilityModel> a,
                                             Ptr<const MobilityModel> b) const
{
    auto get = [&](size_t model) {
        return m_models[model]->DoCalcRxPowerSpectralDensity(params, a, b, GetAntenna(a), GetAntenna(b))->psd;
    };
    auto share = m_lineOfSight ? m_lineOfSight->GetShare(a, b) : 1;
    if (share == 1 || share == 0)
    {
        return get(share == 1 ? 0 : 1);
    }
    auto sum = get(0);
    *sum *= share;
    *sum += *get(1) * (1 - share);
    return sum;
}

void
ThreeGppFading::AddModel()
{
    auto model = CreateObject<ThreeGppSpectrumPropagationLossModel>();
    model->SetChannelModel(CreateObject<MovingChannelModel>());
    m_models.push_back(model);
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
    for (auto& model : m_models)
    {
        model->SetChannelModelAttribute("Scenario", StringValue(scenario));
    }
}

void
ThreeGppFading::SetFrequency(double frequencyHz)
{
    for (auto& model : m_models)
    {
        model->SetChannelModelAttribute("Frequency", DoubleValue(frequencyHz));
    }
}

void
ThreeGppFading::SetConditionModel(Ptr<ChannelConditionModel> model)
{
    m_lineOfSight = DynamicCast<MovingLineOfSight>(model);
    if (m_lineOfSight)
    {
        if (m_models.size() == 1)
        {
            AddModel();
        }
        StringValue scenario;
        DoubleValue frequencyHz;
        m_models.front()->GetChannelModelAttribute("Scenario", scenario);
        m_models.front()->GetChannelModelAttribute("Frequency", frequencyHz);
        m_models.back()->SetChannelModelAttribute("Scenario", scenario);
        m_models.back()->SetChannelModelAttribute("Frequency", frequencyHz);
        m_models.front()->SetChannelModelAttribute("ChannelConditionModel",
                                                   PointerValue(CreateObject<AlwaysLosChannelConditionModel>()));
        m_models.back()->SetChannelModelAttribute("ChannelConditionModel",
                                                  PointerValue(CreateObject<NeverLosChannelConditionModel>()));
    }
    else if (model)
    {
        m_models.front()->SetChannelModelAttribute("ChannelConditionModel", PointerValue(model));
    }
}

int64_t
ThreeGppFading::DoAssignStreams(int64_t stream)
{
    int64_t used = 0;
    for (auto& model : m_models)
    {
        used += model->AssignStreams(stream + used);
    }
    return used;
}

} // namespace ns3::cosim
