// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CHANNEL_H
#define COSIM_NR_CHANNEL_H

#include "moving-channel.h"

#include "ns3/channel-condition-model.h"
#include "ns3/channel.h"
#include "ns3/mobility-model.h"
#include "ns3/net-device.h"
#include "ns3/nstime.h"
#include "ns3/phased-array-model.h"
#include "ns3/propagation-loss-model.h"

#include <array>
#include <complex>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace ns3::cosim
{

inline constexpr uint32_t SUBCARRIERS = 12; // of a PRB, TS 38.211 clause 4.4.4.1

/// What a receiver gets of 1 mW sent on one PRB, over the noise there; linear.
struct NrPrbGain
{
    double single;  ///< one layer: the best port combination, maximum ratio combining
    double first;   ///< two layers, each with 1 mW: the squared norm of the first one's column behind the precoder,
    double second;  ///< of the second one's,
    double crossed; ///< and of their inner product
};

/**
 * The radio channel between a gNB and each of its devices, PRB by PRB: path loss with its shadowing, the arrays at both
 * ends, and the fast fading of TR 38.901 clause 7.5 by ns-3's ThreeGppChannelModel. One port for each polarization of
 * an array; its beam is the strongest of a grid, chosen anew when the channel is drawn anew. With one frequency for
 * both directions they are exactly reciprocal.
 */
class NrChannel : public Channel
{
  public:
    NrChannel();
    ~NrChannel() override;
    static TypeId GetTypeId();

    /// The gNB's end. All attributes are set before.
    void SetGnb(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna);

    /// The next device's end.
    uint32_t AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna);

    /// Gains of all PRBs as of the beginning of the present update period.
    const std::vector<NrPrbGain>& GetDownlink(uint32_t device);
    const std::vector<NrPrbGain>& GetUplink(uint32_t device);

    /// The noise of a PRB at a receiver, in mW.
    double GetNoiseMw(bool isUplink) const;

    int64_t AssignStreams(int64_t stream);

    std::size_t GetNDevices() const override;
    Ptr<NetDevice> GetDevice(std::size_t i) const override;

  protected:
    void DoDispose() override;

  private:
    using Complex = std::complex<double>;
    using Ports = std::array<std::array<Complex, 2>, 2>; // device's port, gNB's port

    struct Link
    {
        Ptr<MobilityModel> mobility;
        Ptr<PhasedArrayModel> antenna;
        Ptr<MovingChannelModel> fading;
        Ptr<const MatrixBasedChannelModel::ChannelMatrix> matrix; // of which the beams were chosen
        Vector drawnAt;                                           // where the device and
        Vector gnbDrawnAt;                                        // the gNB were then,
        Vector askedAt;                                           // and when ns-3 was last asked for it
        Vector gnbAskedAt;
        std::vector<Ports> clusters; // behind the beams
        std::vector<Ports> channel;  // of each PRB, as of the period and frequency below
        int64_t channelPeriod{-1};
        double channelFrequency{0};
        std::array<int64_t, 2> period{-1, -1}; // down, up
        std::array<std::vector<NrPrbGain>, 2> gains;
        double power{0}; // path gain of the last update
        int64_t powerPeriod{-1};
    };

    const std::vector<NrPrbGain>& Get(uint32_t device, bool isUplink);
    void UpdateFlat(Link& link, bool isUplink, double power);
    void UpdateFading(Link& link, bool isUplink, double power, int64_t period);
    void UpdateChannel(Link& link, double frequency, double time);
    /// How far one end has gone since the channel was drawn, as of `time`.
    static Vector GetWay(Ptr<MobilityModel> mobility, const Vector& from, double time);
    void ChooseBeams(Link& link);
    void Combine(Link& link, bool isUplink, double scale);

    double m_frequency{0};
    double m_uplinkFrequency{0};
    uint32_t m_prbs{0};
    double m_subcarrierSpacing{0};
    Ptr<PropagationLossModel> m_loss;
    Ptr<ChannelConditionModel> m_condition;
    std::string m_fading;
    Time m_updatePeriod;
    double m_gnbNoiseFigureDb{0};
    double m_deviceNoiseFigureDb{0};
    uint32_t m_maxRank{2};
    Ptr<MobilityModel> m_gnb;
    Ptr<PhasedArrayModel> m_gnbAntenna;
    std::deque<Link> m_links;
};

} // namespace ns3::cosim

#endif
