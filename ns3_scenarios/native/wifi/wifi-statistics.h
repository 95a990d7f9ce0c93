// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_WIFI_STATISTICS_H
#define COSIM_WIFI_STATISTICS_H

#include "ns3/net-device.h"
#include "ns3/nstime.h"
#include "ns3/object.h"

#include <deque>
#include <string>

namespace ns3::cosim
{

/// Counts what Wi-Fi net devices send, at their MAC and PHY, and writes a table of it.
class WifiStatistics : public Object
{
  public:
    WifiStatistics();
    ~WifiStatistics() override;
    static TypeId GetTypeId();

    /// Count for this WifiNetDevice from now on.
    void AddDevice(Ptr<NetDevice> device);

    /// Write the table, a line a device in the order added. False if the file cannot be written.
    bool Write(const std::string& file) const;

  private:
    struct Counts;

    std::deque<Counts> m_counts; // trace sources keep the addresses of its elements
};

} // namespace ns3::cosim

#endif
