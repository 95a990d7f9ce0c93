// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_WIFI_CAPACITY_H
#define COSIM_WIFI_CAPACITY_H

#include "course.h"
#include "radio.h"

#include "ns3/mac48-address.h"
#include "ns3/propagation-loss-model.h"
#include "ns3/wifi-net-device.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace ns3::cosim
{

/**
 * What one Wi-Fi device could send to another: the PHY's rate at the MCS that ns3::IdealWifiManager takes at the SNR
 * which the path loss leaves, or at the only MCS that a constant rate manager has. Preambles, contention and
 * acknowledgements come on top of that.
 */
class WifiCapacity
{
  public:
    /// The path loss of a channel; null unless all of its models give the same whenever they are asked for two places.
    static Ptr<PropagationLossModel> FindLoss(Ptr<Channel> channel);

    explicit WifiCapacity(Ptr<PropagationLossModel> loss);

    /// Follow where a device is, from before it moves. False if it has no place yet.
    bool Add(Ptr<WifiNetDevice> device);

    /// Between two that were added; in pool 0, without others.
    Capacity Get(Ptr<WifiNetDevice> from, Ptr<WifiNetDevice> to);

  private:
    /// A rate that a sender may take, and the SNR above which it does.
    struct Rate
    {
        double leastSnr;
        double bps;
    };

    Ptr<MobilityModel> GetPlace(Ptr<WifiNetDevice> device) const;
    const std::vector<Rate>& GetRates(Ptr<WifiNetDevice> from, Ptr<WifiNetDevice> to);

    Ptr<PropagationLossModel> m_loss;
    std::map<Mac48Address, std::unique_ptr<Course>> m_courses;
    std::map<std::pair<Mac48Address, Mac48Address>, std::vector<Rate>> m_rates; // by sender and receiver
};

} // namespace ns3::cosim

#endif
