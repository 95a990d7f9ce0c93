// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_MOVING_CHANNEL_H
#define COSIM_MOVING_CHANNEL_H

#include "ns3/three-gpp-channel-model.h"
#include "ns3/vector.h"

#include <cstdint>
#include <map>

namespace ns3::cosim
{

/**
 * ns-3's channel model, drawn anew for a link when its ends have moved against each other, in the horizontal plane,
 * by the correlation distance of cluster and ray specific variables (TR 38.901 table 7.6.3.1-2). ns-3's own attribute
 * for drawing anew is a time, the same for links that move and links that do not.
 */
class MovingChannelModel : public ThreeGppChannelModel
{
  public:
    using ThreeGppChannelModel::ThreeGppChannelParams;

    Ptr<const ChannelMatrix> GetChannel(Ptr<const MobilityModel> a,
                                        Ptr<const MobilityModel> b,
                                        Ptr<const PhasedArrayModel> aAntenna,
                                        Ptr<const PhasedArrayModel> bAntenna) override;

    /// Whether GetChannel would draw anew, if the link's condition is what it was; otherwise asking costs for nothing.
    bool IsOutdated(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const;

    /// What the latest channel between these two was made of, ray by ray.
    Ptr<const ThreeGppChannelParams> GetDrawn(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b) const;

  private:
    double GetCorrelationDistance(ChannelCondition::LosConditionValue condition) const;

    std::map<uint64_t, Vector2D> m_drawnAt;
};

} // namespace ns3::cosim

#endif
