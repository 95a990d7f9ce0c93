// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_CHANNEL_SAMPLER_H
#define COSIM_CHANNEL_SAMPLER_H

#include "channel-record.h"
#include "radio.h"

#include "ns3/nstime.h"
#include "ns3/object.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace ns3::cosim
{

/// Looks at the links of all devices time and again, and at once where one's life changes, and keeps what is news.
class ChannelSampler : public Object
{
  public:
    static TypeId GetTypeId();

    /// Whether the life of a device lets anything cross its link.
    enum class Access
    {
        OPEN,
        CUT,         // connected, but nothing gets through
        DISCONNECTED // by its radio, or absent
    };

    using GetAccess = std::function<Access(uint32_t device)>;

    /// Look at these devices from now on: once, and time and again if the radio says that it changes by itself.
    void Begin(Ptr<Radio> radio, uint32_t devices, GetAccess getAccess);

    /// Look now, since the life of a device has changed; nothing before `Begin`.
    void HandleLife();

    /// The bytes of the channel record since the latest `Take`, 24 a row.
    uint32_t GetBytes() const;

    /// Copy them, and forget them.
    void Take(uint8_t* rows);

  protected:
    void DoDispose() override;

  private:
    void Look(Time interval);
    void Sample();
    std::vector<Capacity> GetCapacity(uint32_t device, Time interval) const;

    Time m_period;
    Ptr<Radio> m_radio; // none before `Begin`, nor where the period is 0
    uint32_t m_devices{0};
    GetAccess m_getAccess;
    int64_t m_lookedNs{0};
    ChannelRecord m_record;
};

} // namespace ns3::cosim

#endif
