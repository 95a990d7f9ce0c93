// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_WIRED_RADIO_H
#define COSIM_WIRED_RADIO_H

#include "radio.h"

#include "ns3/net-device.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Cables: nothing to measure, and what they could carry never changes.
class WiredRadio : public Radio
{
  public:
    static TypeId GetTypeId();

    /// The next device has a full-duplex link of its own.
    void AddLink(double rateBps);

    /// The next device is on a segment that all share, both ways.
    void AddStation(double rateBps);

    /// The net device on that segment of a user that is no device. What waits for such users is not told apart.
    void AddOther(Ptr<NetDevice> station);

    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;

  protected:
    void DoDispose() override;

  private:
    struct Cable
    {
        double rateBps;
        bool isShared;
    };

    std::vector<Cable> m_cables;
    std::vector<Ptr<NetDevice>> m_others;
};

} // namespace ns3::cosim

#endif
