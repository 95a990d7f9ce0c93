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

/// Those of one of so many equal parts of an array, of the first polarization: of its columns, or where these do not
/// divide of its rows.
std::vector<uint32_t> GetPartElements(Ptr<const PhasedArrayModel> antenna, uint32_t parts, uint32_t part);

/// A grid of beams as a DFT has them, twice as many as elements in either direction; ours.
std::vector<NrBeam> MakeBeams(uint32_t rows, uint32_t columns);

/// A part's beam as one of the array, which has no weight elsewhere.
NrBeam Extend(Ptr<const PhasedArrayModel> antenna, const NrBeam& beam, uint32_t parts, uint32_t part);

/// The beams of both ends of a link, for each part of their arrays.
struct NrBeamPair
{
    NrBeam gnb;
    NrBeam device;
};

/**
 * The strongest of the grids: first the gNB's, by what all elements of the device get of it, then the device's, given
 * that one. All of the parts of an array have the same. The channel's matrix has the gNB at its s-node (its columns).
 */
NrBeamPair ChooseBeams(const MatrixBasedChannelModel::Complex3DVector& channel,
                       Ptr<const PhasedArrayModel> gnb,
                       Ptr<const PhasedArrayModel> device,
                       uint32_t parts = 1);

} // namespace ns3::cosim

#endif
