// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RAYS_H
#define COSIM_NR_RAYS_H

#include "moving-channel.h"
#include "nr-beams.h"

#include "ns3/phased-array-model.h"
#include "ns3/vector.h"

#include <array>
#include <complex>
#include <cstddef>
#include <vector>

namespace ns3::cosim
{

/// Pairs of a port of the device and one of the gNB, of which there is one a polarization: the device's first with the
/// gNB's first, with its second, the device's second likewise.
inline constexpr size_t NR_PORTS = 4;

/// A coefficient of each.
using NrPorts = std::array<std::complex<double>, NR_PORTS>;

/// Those of a tap or a ray, side by side, which the compiler adds and multiplies at once.
struct NrCoefficients
{
    std::array<double, NR_PORTS> real;
    std::array<double, NR_PORTS> imaginary;
};

/// An end of a link as its channel was drawn.
struct NrEnd
{
    Ptr<const PhasedArrayModel> antenna;
    Vector place; // m
    NrBeam beam;
};

/**
 * The rays of a link's channel behind the beams of both its ends, each of which turns by its own angles as the ends
 * move (TR 38.901 equations 7.5-22, 7.5-28, and for the direct one 7.5-29 and 7.5-30). Rays that arrive together, those
 * of a cluster or of a part of one of the two strongest, make a tap.
 */
class NrRays
{
  public:
    /// What ns-3 drew for a carrier frequency, in Hz.
    void Draw(const MovingChannelModel::ThreeGppChannelParams& drawn,
              double frequency,
              const NrEnd& gnb,
              const NrEnd& device);

    /// The delay of each tap, in s.
    const std::vector<double>& GetDelays() const;

    /// The coefficients of each tap when the ends have gone so far (m) since, at a carrier of `frequency` Hz.
    void Sum(const Vector& gnbWay, const Vector& deviceWay, double frequency, std::vector<NrCoefficients>& taps) const;

  private:
    static constexpr size_t TOGETHER = 8; // rays whose phases are computed at once

    using Axes = std::array<std::array<double, TOGETHER>, 3>; // x, y, z of some rays' directions, unit vectors

    struct Directions
    {
        Axes device; // to where they come from
        Axes gnb;    // to where they leave
    };

    void Add(const Vector& departure, const Vector& arrival, const NrPorts& ports);

    std::vector<double> m_delays;
    std::vector<size_t> m_ends;           // of each tap, the ray after its last one
    std::vector<NrCoefficients> m_rays;   // by taps
    std::vector<Directions> m_directions; // of the same
};

} // namespace ns3::cosim

#endif
