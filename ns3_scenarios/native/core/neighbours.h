// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NEIGHBOURS_H
#define COSIM_NEIGHBOURS_H

namespace ns3::cosim
{

/**
 * Let every node know the hardware addresses of all others in its IPv4 networks for good, so that ARP need not ask.
 *
 * As ns-3's NeighborCacheHelper, which goes by channels and so misses whoever has bridges or a mesh in between. What a
 * cache has already stays.
 */
void FillNeighbourCaches();

/**
 * Let a whole transfer wait where a neighbour's address or a route is being asked for: ns-3's defaults drop what is
 * beyond 3 packets (ARP) to some hundred. Defaults of attributes; what a script sets goes before.
 */
void LengthenPendingQueues();

} // namespace ns3::cosim

#endif
