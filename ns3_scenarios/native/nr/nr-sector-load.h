// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_SECTOR_LOAD_H
#define COSIM_NR_SECTOR_LOAD_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// A number that looks drawn at random and depends on `key` alone: the finalizer of SplitMix64 (Steele et al., "Fast
/// splittable pseudorandom number generators", OOPSLA 2014).
uint64_t Mix(uint64_t key);

/// For so long a sector uses this share of its PRBs.
struct NrLoadStep
{
    double ns;
    double share;
};

/// The load of one sector over time: steps, one after the other and again from the first. Nothing is scheduled.
class NrSectorLoad
{
  public:
    NrSectorLoad() = default;

    /**
     * @param steps one at least, and not all of length 0
     * @param isRandom each step lasts for an exponential time of that mean, and at time 0 it is the turn of each with
     * the probability that it has in the long run; otherwise each lasts just so long, from the first on
     * @param key of what is drawn
     */
    NrSectorLoad(std::vector<NrLoadStep> steps, bool isRandom, uint64_t key);

    /// The share at a time, in ns. Times are asked for in order.
    double GetShare(double atNs);

  private:
    double DrawNs();

    std::vector<NrLoadStep> m_steps;
    bool m_isRandom{false};
    uint64_t m_key{0};
    uint64_t m_drawn{0};
    std::size_t m_step{0};
    double m_endNs{0};
};

} // namespace ns3::cosim

#endif
