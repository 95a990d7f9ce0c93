// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_FADING_H
#define COSIM_FADING_H

#include "ns3/channel-condition-model.h"
#include "ns3/phased-array-model.h"
#include "ns3/spectrum-propagation-loss-model.h"
#include "ns3/three-gpp-spectrum-propagation-loss-model.h"

#include <map>
#include <string>

namespace ns3::cosim
{

/**
 * Fast fading of TR 38.901 clause 7.5 between nodes with one isotropic antenna element each.
 *
 * ns-3's model of it asks for a phased array at each end, which the LTE physical layer does not have; this
 * gives each node an array of one element.
 */
class ThreeGppFading : public SpectrumPropagationLossModel
{
  public:
    ThreeGppFading();
    static TypeId GetTypeId();

  protected:
    void DoDispose() override;

  private:
    Ptr<SpectrumValue> DoCalcRxPowerSpectralDensity(Ptr<const SpectrumSignalParameters> params,
                                                    Ptr<const MobilityModel> a,
                                                    Ptr<const MobilityModel> b) const override;
    int64_t DoAssignStreams(int64_t stream) override;

    Ptr<const PhasedArrayModel> GetAntenna(Ptr<const MobilityModel> mobility) const;
    void SetScenario(const std::string& scenario);
    void SetFrequency(double frequencyHz);
    void SetConditionModel(Ptr<ChannelConditionModel> model);

    Ptr<ThreeGppSpectrumPropagationLossModel> m_model;
    mutable std::map<uint32_t, Ptr<const PhasedArrayModel>> m_antennas;
};

} // namespace ns3::cosim

#endif
