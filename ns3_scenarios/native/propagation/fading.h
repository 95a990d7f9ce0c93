// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_FADING_H
#define COSIM_FADING_H

#include "line-of-sight.h"

#include "ns3/channel-condition-model.h"
#include "ns3/phased-array-model.h"
#include "ns3/spectrum-propagation-loss-model.h"
#include "ns3/three-gpp-spectrum-propagation-loss-model.h"

#include <map>
#include <string>
#include <vector>

namespace ns3::cosim
{

/**
 * Fast fading of TR 38.901 clause 7.5 between nodes with one isotropic antenna element each.
 *
 * ns-3's model of it asks for a phased array at each end, which the LTE physical layer does not have; this
 * gives each node an array of one element. Where line of sight comes and goes softly, the powers of two channels, with
 * and without it, are summed by how much of it there is.
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
    void AddModel();
    void SetScenario(const std::string& scenario);
    void SetFrequency(double frequencyHz);
    void SetConditionModel(Ptr<ChannelConditionModel> model);

    std::vector<Ptr<ThreeGppSpectrumPropagationLossModel>> m_models; // or one with line of sight, one without
    Ptr<MovingLineOfSight> m_lineOfSight;                            // if it does so
    mutable std::map<uint32_t, Ptr<const PhasedArrayModel>> m_antennas;
};

} // namespace ns3::cosim

#endif
