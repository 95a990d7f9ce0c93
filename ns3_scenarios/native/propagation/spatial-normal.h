// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SPATIAL_NORMAL_H
#define COSIM_SPATIAL_NORMAL_H

#include "ns3/mobility-model.h"
#include "ns3/random-variable-stream.h"
#include "ns3/vector.h"

#include <cstdint>
#include <map>
#include <utility>

namespace ns3::cosim
{

/// The place (m) of one end of a link as seen from the other, in the horizontal plane.
Vector2D GetOffset(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b);

/**
 * A standard normal variable for each link, the same both ways. It changes as the ends move against each other in
 * the horizontal plane, with an autocorrelation that falls exponentially with the displacement (TR 38.901 clause
 * 7.4.4), and stands still while they do.
 */
class SpatialNormal
{
  public:
    SpatialNormal();
    double GetValue(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b, double correlationDistance);
    void SetStream(int64_t stream);

  private:
    struct Latest
    {
        double value;
        Vector2D offset;
    };

    Ptr<NormalRandomVariable> m_normal;
    std::map<std::pair<uint32_t, uint32_t>, Latest> m_latest; // by node, the lower first
};

} // namespace ns3::cosim

#endif
