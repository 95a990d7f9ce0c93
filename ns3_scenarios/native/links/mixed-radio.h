// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_MIXED_RADIO_H
#define COSIM_MIXED_RADIO_H

#include "radio.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Several radios as one: each device is a device of one of them.
class MixedRadio : public Radio
{
  public:
    static TypeId GetTypeId();

    /// The next device is this one of that radio.
    void AddDevice(Ptr<Radio> radio, uint32_t device);

    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;

    /// As of the device's own radio, whose pools are nobody else's.
    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;
    AirEnergy GetAirEnergy(uint32_t device) const override;
    bool IsQuiet(uint32_t device, int64_t sentNs) const override;
    void Discard(uint32_t device, uint32_t exchange) override;
    std::vector<Ptr<Channel>> GetChannels(uint32_t device) const override;

  protected:
    void DoDispose() override;

  private:
    struct Member
    {
        Ptr<Radio> radio;
        uint32_t device;
        uint32_t place; // of the radio among the radios
    };

    std::vector<Ptr<Radio>> m_radios;
    std::vector<Member> m_members;
};

} // namespace ns3::cosim

#endif
