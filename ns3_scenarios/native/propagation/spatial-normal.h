// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SPATIAL_NORMAL_H
#define COSIM_SPATIAL_NORMAL_H

#include "normal-field.h"

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
 * 7.4.4), and depends on the place alone: on the way there, and on who else asks when, it does not.
 *
 * Where a link is first asked for, its value z is drawn. Elsewhere it is that of a NormalField F made to go through z:
 * F(p) + r (z - F(p0)), with r the correlation of the two places. Its covariances are those of F, since z is
 * independent of F and has its variance.
 */
class SpatialNormal
{
  public:
    SpatialNormal();

    /// With another correlation distance (m) it is another variable, but for the value at the first place.
    double GetValue(Ptr<const MobilityModel> a, Ptr<const MobilityModel> b, double correlationDistance);

    void SetStream(int64_t stream);

  private:
    struct Field
    {
        NormalField field;
        double missing; // of the first value at the first place
    };

    struct Link
    {
        double first{0};
        Vector2D firstOffset;
        std::map<double, Field> fields; // by correlation distance; none before the link changes
    };

    static const Field& GetField(Link& link, double correlationDistance);

    Ptr<NormalRandomVariable> m_normal;
    std::map<std::pair<uint32_t, uint32_t>, Link> m_links; // by node, the lower first
};

} // namespace ns3::cosim

#endif
