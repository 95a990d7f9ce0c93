// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_WIFI_RADIO_H
#define COSIM_WIFI_RADIO_H

#include "radio.h"

#include "ns3/mac48-address.h"
#include "ns3/net-device.h"

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace ns3
{
class StaWifiMac;
class WifiMac;
class WifiMacQueue;
class WifiMpdu;
class WifiNetDevice;
class WifiPpdu;
class WifiTxVector;
struct RxSignalInfo;
} // namespace ns3

namespace ns3::cosim
{

class WifiCapacity;

/// One Wi-Fi access point and its stations: link state from the receivers, discard in the MAC queues.
class WifiRadio : public Radio
{
  public:
    WifiRadio();
    ~WifiRadio() override;
    static TypeId GetTypeId();

    /// Watch this WifiNetDevice, whose MAC is an access point's.
    void SetAccessPoint(Ptr<NetDevice> accessPoint);

    /// The WifiNetDevice of the next device, whose MAC is a station's. Both ends have their IPv4 addresses.
    void AddStation(Ptr<NetDevice> station);

    /// Let a station and the access point know each other's address whenever it associates: that flushes them, and ARP
    /// would hold 3 packets and drop more.
    void Introduce(Ptr<NetDevice> station);

    /// The WifiNetDevice of a user that is no device, but shares the channel with them. It is introduced, too.
    void AddOther(Ptr<NetDevice> station);

    /// True if the station is associated with the access point (IEEE 802.11 clause 11.3).
    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;

    /// As WifiCapacity says, both directions in one pool.
    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;
    bool IsQuiet(uint32_t device, int64_t sentNs) const override;
    void Discard(uint32_t device, uint32_t exchange) override;

  protected:
    void DoDispose() override;

  private:
    struct Link
    {
        Ptr<WifiNetDevice> station;
        Ptr<StaWifiMac> mac;
        LinkSample sample;
        uint32_t unanswered{0}; // PPDUs to the station since the last that it acknowledged
        int64_t lastUnanswered{-1};
    };

    void HandleLinkChange(NetDevice* station);
    void HandleAnswer(Ptr<const WifiMpdu> mpdu);
    void HandleNoAnswer(Mac48Address receiver);
    /// Drop what waits for a station that is gone: ns-3's access point would ask it for a block acknowledgement, ahead
    /// of all other traffic, until the frames' lifetime ends, which here is never.
    void GiveUp(uint32_t device);
    void HandleDownlink(uint32_t device,
                        Ptr<const WifiPpdu> ppdu,
                        RxSignalInfo signal,
                        const WifiTxVector& vector,
                        const std::vector<bool>& outcomes);
    void HandleUplink(Ptr<const WifiPpdu> ppdu,
                      RxSignalInfo signal,
                      const WifiTxVector& vector,
                      const std::vector<bool>& outcomes);
    void Follow(Ptr<WifiNetDevice> device);
    Link* Find(Mac48Address station);
    uint32_t GetWaitingBytes(Ptr<WifiMac> mac, Mac48Address receiver) const;

    Ptr<WifiNetDevice> m_accessPoint;
    std::vector<Link> m_links;
    std::map<Mac48Address, uint32_t> m_byAddress;
    std::vector<Ptr<WifiNetDevice>> m_others;
    std::unique_ptr<WifiCapacity> m_capacity; // null if the channel cannot be looked at without changing what comes
};

} // namespace ns3::cosim

#endif
