// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_BEAMS_H
#define COSIM_NR_BEAMS_H

#include "ns3/matrix-based-channel-model.h"
#include "ns3/phased-array-model.h"

#include <complex>
#include <vector>

namespace ns3::cosim
{

/// Weights of an array's elements, the same for each polarization; of norm 1.
using NrBeam = std::vector<std::complex<double>>;

/// Of each polarization.
uint32_t CountElements(Ptr<const PhasedArrayModel> antenna);

/// A grid of beams as a DFT has them, twice as many as elements in either direction; ours.
std::vector<NrBeam> MakeBeams(Ptr<const PhasedArrayModel> antenna);

/// The beams of both ends of a link.
struct NrBeamPair
{
    NrBeam gnb;
    NrBeam device;
};

/**
 * The strongest of the grids: first the gNB's, by what all elements of the device get of it, then the device's, given
 * that one. The channel's matrix has the gNB at its s-node (its columns).
 */
NrBeamPair ChooseBeams(const MatrixBasedChannelModel::Complex3DVector& channel,
                       Ptr<const PhasedArrayModel> gnb,
                       Ptr<const PhasedArrayModel> device);

} // namespace ns3::cosim

#endif
