// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CHANNEL_H
#define COSIM_NR_CHANNEL_H

#include "moving-channel.h"
#include "nr-many-ports.h"
#include "nr-rays.h"

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

/// A sender's choice among the precoders of TS 38.214 table 5.2.2.2.1-1, for one layer (1, t) and for two (1, t), (1,
/// -t); or with four ports among those of GetNrCodebook, by their numbers.
struct NrPrecoder
{
    uint32_t turn{0};     ///< quarters of a turn of t with one layer
    uint32_t pairTurn{0}; ///< with two
    uint32_t three{0};    ///< with three layers,
    uint32_t four{0};     ///< with four
};

/**
 * The radio channel between a gNB and each of its devices, PRB by PRB: path loss with its shadowing, the arrays at both
 * ends, and the fast fading of TR 38.901 clause 7.5 by ns-3's ThreeGppChannelModel. One port for each polarization of
 * an array; its beam is the strongest of a grid, chosen anew when the channel is drawn anew. For more than two layers
 * there are two, each half of the array with such a beam. With one frequency for both directions they are exactly
 * reciprocal.
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

    /// Gains of all PRBs as of the beginning of the present update period, behind the precoder that suits them best.
    const std::vector<NrPrbGain>& GetDownlink(uint32_t device);
    const std::vector<NrPrbGain>& GetUplink(uint32_t device);

    /// The same with three and four layers; empty if there are not so many ports, or no fading, in which all ports of
    /// a polarization see the same.
    const std::vector<NrManyGain>& GetMany(uint32_t device, bool isUplink);

    /// How many layers at most link adaptation has to look at: 2, or those of the attribute if they are more.
    uint32_t GetMostLayers() const;

    /// That precoder, as of the last call.
    NrPrecoder GetPrecoder(uint32_t device, bool isUplink) const;

    /// Gains of the PRBs from `begin` to before `end` behind any precoder, likewise; added to `gains`, and those with
    /// more than two layers to `many`, if it is there.
    void AddGains(uint32_t device,
                  bool isUplink,
                  const NrPrecoder& precoder,
                  uint32_t begin,
                  uint32_t end,
                  std::vector<NrPrbGain>& gains,
                  std::vector<NrManyGain>* many = nullptr);

    /// Path gain with shadowing, without antennas and fading, as of the beginning of the present update period.
    double GetPathGain(uint32_t device);

    /// Ask for a link's path once: its shadowing holds from the second time on.
    void Settle(uint32_t device);

    /// The noise of a PRB at a receiver, in mW.
    double GetNoiseMw(bool isUplink) const;

    int64_t AssignStreams(int64_t stream);

    std::size_t GetNDevices() const override;
    Ptr<NetDevice> GetDevice(std::size_t i) const override;

  protected:
    void DoDispose() override;

  private:
    using Complex = std::complex<double>;

    static constexpr uint32_t BLOCK_PRBS = 16; // that are computed together

    /// The channel of a few PRBs, each of the ports in turn.
    struct Block
    {
        int64_t period{-1};
        std::array<std::array<double, BLOCK_PRBS>, NR_PORTS> real;
        std::array<std::array<double, BLOCK_PRBS>, NR_PORTS> imaginary;
    };

    /// How far a tap turns from a block's middle to each of its upper PRBs; to the lower ones as far the other way.
    struct Turns
    {
        std::array<double, BLOCK_PRBS / 2> real;
        std::array<double, BLOCK_PRBS / 2> imaginary;
    };

    /// Of the PRBs of a block, from the sender's two ports: the mean of their powers, half the difference, and their
    /// inner product.
    struct BlockProducts
    {
        std::array<double, BLOCK_PRBS> mean;
        std::array<double, BLOCK_PRBS> difference;
        std::array<double, BLOCK_PRBS> real;
        std::array<double, BLOCK_PRBS> imaginary;
    };

    /// A channel as it was drawn for a link.
    struct Drawing
    {
        Ptr<MovingChannelModel> model;
        Ptr<const MovingChannelModel::ThreeGppChannelParams> drawn; // what the rest is of
        Vector drawnAt;                                             // where the device and
        Vector gnbDrawnAt;                                          // the gNB were then,
        std::vector<NrRays> rays;        // of each pair of a part of the device's array and one of the gNB's,
        std::vector<Complex> blockTurns; // of each tap from the carrier's centre to a block's middle, block by block
        std::vector<Turns> turns;        // of each tap over a block
    };

    /// The channel at a carrier frequency, block by block as it is asked for.
    struct Response
    {
        int64_t period{-1};
        std::vector<std::vector<NrCoefficients>>
            taps; // of each drawing and each pair of it, at the carrier's centre; none if it has no share
        std::vector<Block> blocks; // of each pair
    };

    struct Link
    {
        Ptr<MobilityModel> mobility;
        Ptr<PhasedArrayModel> antenna;
        std::vector<Drawing> drawings;         // none without fading; one, or one with line of sight and one without
        std::array<Response, 2> responses;     // at the downlink's frequency and, if it is another, the uplink's
        std::array<int64_t, 2> period{-1, -1}; // down, up
        std::array<std::vector<NrPrbGain>, 2> gains;
        std::array<std::vector<NrManyGain>, 2> many;
        std::array<NrPrecoder, 2> precoders;
        double power{0}; // path gain of the last update
        int64_t powerPeriod{-1};
    };

    const std::vector<NrPrbGain>& Get(uint32_t device, bool isUplink);
    int64_t GetPeriod() const;
    double GetPower(Link& link);
    double GetScale(Link& link, bool isUplink);
    NrPrbGain GetFlatGain(const Link& link, double scale) const;
    /// The response, its taps as of the present period.
    Response& Update(Link& link, bool isUplink);
    const Block& GetBlock(const Link& link, Response& response, uint32_t block, uint32_t pair = 0) const;
    /// Add the channel of some taps to a block of PRBs; the first ones replace what is there.
    void AddTaps(const Drawing& drawing,
                 const std::vector<NrCoefficients>& taps,
                 uint32_t block,
                 bool isFirst,
                 Block& sum) const;
    /// How far one end has gone since the channel was drawn, as of `time`.
    static Vector GetWay(Ptr<MobilityModel> mobility, const Vector& from, double time);
    /// Have ns-3 draw the link's channel, if it would now.
    void Draw(const Link& link, Drawing& drawing) const;
    /// Whether the sender, and whether both ends have two ports.
    bool HasTwo(const Link& link, bool isUplink) const;
    bool IsPair(const Link& link) const;
    void Measure(Link& link, bool isUplink, double scale);
    /// Parts of each array, each with ports of its own.
    uint32_t CountParts() const;
    /// Pairs of a part of one end's and one of the other's.
    size_t CountPairs() const;
    /// A block between each pair of parts.
    std::array<const Block*, NR_MANY_PORTS> GetBlocks(const Link& link, Response& response, uint32_t block) const;
    /// What the sender's four ports have in common on a PRB of these, or on as many as there are lanes.
    template <typename Number>
    static NrGram<NR_MANY_PORTS, Number> GetPorts(const std::array<const Block*, NR_MANY_PORTS>& blocks,
                                                  uint32_t prb,
                                                  bool isUplink);
    /// As Measure and AddGains, with four ports.
    void MeasureMany(Link& link, bool isUplink);
    void AddManyGains(Link& link,
                      bool isUplink,
                      const NrPrecoder& precoder,
                      uint32_t begin,
                      uint32_t end,
                      std::vector<NrPrbGain>& gains,
                      std::vector<NrManyGain>* many);

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
    mutable std::vector<NrCoefficients> m_sent; // of the taps of one block
    std::vector<BlockProducts> m_products;      // of the link that is measured
};

} // namespace ns3::cosim

#endif
