// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_RECORDED_RADIO_H
#define COSIM_RECORDED_RADIO_H

#include "radio.h"
#include "recorded-net-device.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Links between the edge server and the devices: their present rates and what waits before them.
class RecordedRadio : public Radio
{
  public:
    static TypeId GetTypeId();

    /// The link of the next device, by its RecordedNetDevice at the edge server and its own.
    void AddLink(Ptr<NetDevice> atServer, Ptr<NetDevice> atDevice);

    /// False while for a second nothing was able to cross, one way or the other.
    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;
    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;
    void Discard(uint32_t device, uint32_t exchange) override;

  protected:
    void DoDispose() override;

  private:
    struct Link
    {
        Ptr<RecordedNetDevice> atServer;
        Ptr<RecordedNetDevice> atDevice;
    };

    std::vector<Link> m_links;
};

} // namespace ns3::cosim

#endif
