// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LINE_OF_SIGHT_H
#define COSIM_LINE_OF_SIGHT_H

#include "normal-field.h"

#include "ns3/channel-condition-model.h"
#include "ns3/random-variable-stream.h"

#include <array>
#include <cstdint>
#include <map>
#include <utility>

namespace ns3::cosim
{

/**
 * Line of sight of links whose ends move: the state is kept, lost and found again over distances as in TR 38.901
 * clause 7.6.3.3, where a spatially consistent uniform variable is compared with the probability of table 7.4.2-1.
 * ns-3's own model draws once and for all, or anew at intervals without regard to where the ends are.
 */
class MovingLineOfSight : public ChannelConditionModel
{
  public:
    MovingLineOfSight();
    static TypeId GetTypeId();
    Ptr<ChannelCondition> GetChannelCondition(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const override;

    /**
     * How much a link has of line of sight, from 0 to 1: the mean of the state over the places around, weighted by a
     * cone as wide as the transition distance to each side, so that it changes by no more than a way's share of that.
     * It depends on the place alone. This stands in for the soft state of clause 7.6.3.3, whose arctangent leaves a
     * link without line of sight a part of it everywhere.
     */
    double GetShare(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const;

    int64_t AssignStreams(int64_t stream) override;

    /// Table 7.4.2-1, for outdoor devices.
    double GetProbability(double distance, double deviceHeight) const;

  private:
    static constexpr int32_t STEPS = 8;            // of the grid in a transition distance
    static constexpr int32_t SIDE = 2 * STEPS + 2; // of the square of its places around one
    static constexpr auto PLACES = static_cast<size_t>(SIDE) * SIDE;

    /// The places of the grid around the one where a device is, from which it is at most the transition distance away.
    struct Around
    {
        /// Where a place of the grid is in the arrays; negative if it is not known.
        int32_t Find(int32_t placeColumn, int32_t placeRow) const;

        int32_t column{0};
        int32_t row{0};
        double height{-1};                    // of the device
        std::array<double, PLACES> uniform{}; // of each place, column by column
        std::array<bool, PLACES> hasSight{};
        bool isSame{false}; // of all that are near enough
    };

    struct Link
    {
        NormalField field;
        Around around;
        Vector latestPlace; // of the device from the other end; z is the lower end's height
        double latestShare{-1};
    };

    Link& GetLink(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const;
    void LookAround(Link& link, int32_t column, int32_t row, double height) const;
    double ComputeShare(Link& link, const Vector2D& place, double height) const;

    bool m_isMacro{false};
    double m_transitionDistance{0};
    Ptr<UniformRandomVariable> m_uniform;
    mutable std::map<std::pair<uint32_t, uint32_t>, Link> m_links; // by node, the lower first
    Ptr<ChannelCondition> m_sight;
    Ptr<ChannelCondition> m_noSight;
};

} // namespace ns3::cosim

#endif
