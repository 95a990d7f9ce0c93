// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_RECORDED_POOLS_H
#define COSIM_RECORDED_POOLS_H

#include "ns3/object.h"

#include <cstdint>
#include <map>
#include <vector>

namespace ns3::cosim
{

class RecordedNetDevice;

/// What recorded links share, by number: which ends of links have packets waiting for it now.
class RecordedPools : public Object
{
  public:
    static TypeId GetTypeId();

    /// An end of a link has packets waiting; those that are there already hear of it.
    void Enter(int64_t pool, RecordedNetDevice* end);

    /// It has none any more; those that stay hear of it.
    void Leave(int64_t pool, RecordedNetDevice* end);

    /// How many ends have packets waiting.
    int64_t GetCount(int64_t pool) const;

  protected:
    void DoDispose() override;

  private:
    std::map<int64_t, std::vector<RecordedNetDevice*>> m_waiting; // in the order in which they came
};

} // namespace ns3::cosim

#endif
