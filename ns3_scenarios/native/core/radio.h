// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_RADIO_H
#define COSIM_RADIO_H

#include "ns3/channel.h"
#include "ns3/object.h"

#include <cmath>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// The latest that the BS knows of a link; NaN or a negative number for what nobody measured yet.
struct LinkSample
{
    double downlinkSinrDb{NAN};
    double uplinkSinrDb{NAN};
    double downlinkRateBps{NAN};
    double uplinkRateBps{NAN};
    int64_t cqi{-1};
    int64_t downlinkMcs{-1};
    int64_t uplinkMcs{-1};
    int64_t rlcQueueBytes{-1};
    int64_t bsrBytes{-1};
    int64_t cell{-1};
    int64_t rank{-1};
    int64_t downlinkPrbs{-1};
    int64_t uplinkPrbs{-1};
    double downlinkBler{NAN};
    double uplinkBler{NAN};
};

/// What one direction of a link could carry at an instant, used or not; as `bridge.network.CHANNEL_ROW` has it.
struct Capacity
{
    uint32_t pool{0};
    uint32_t others{0};
    double bps{0};
    double sinrDb{NAN};
};

/// What was radiated for a device's data since the beginning, in J: by the BS, and by the device; NaN where nobody
/// counts.
struct AirEnergy
{
    double downlinkJ{NAN};
    double uplinkJ{NAN};
};

/**
 * What an exchange needs to know of the layers below IP: whether a device is connected, the state of its
 * link, and how to drop what waits there. This base class is the answer for a network that has nothing
 * to say: always connected, nothing measured, nothing held back.
 */
class Radio : public Object
{
  public:
    static TypeId GetTypeId();

    /// True if the device has a connection that can carry user data.
    virtual bool IsConnected(uint32_t device) const;

    /// The state of the device's link.
    virtual LinkSample GetLink(uint32_t device) const;

    /// What the device's link could carry now, down and up, or where that is known beforehand the mean of the coming
    /// `forNs`; empty if nobody knows. Looking must change nothing.
    virtual std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const;

    /// What was radiated up to now on the data channels for the device, whatever of its traffic they carried, in first
    /// transmissions and in those that followed; no control channels and no sounding.
    virtual AirEnergy GetAirEnergy(uint32_t device) const;

    /// True if for so long nothing of the device's has been under way below IP, either way, that whatever
    /// was sent by the virtual time `sentNs` and has not arrived is lost.
    virtual bool IsQuiet(uint32_t device, int64_t sentNs) const;

    /// Drop what waits below IP of the device's transfers up to exchange number `exchange`, both ways.
    virtual void Discard(uint32_t device, uint32_t exchange);

    /// True if capacities change by more than the life of devices: the channel record then looks time and again.
    virtual bool IsChanging() const;

    /// False if nothing of what GetCapacity and IsConnected say can have changed from virtual time `sinceNs` on: the
    /// channel record then need not look.
    virtual bool MayHaveChanged(int64_t sinceNs) const;

    /// The channels on which the device's signals travel that its net devices do not name themselves.
    virtual std::vector<Ptr<Channel>> GetChannels(uint32_t device) const;
};

} // namespace ns3::cosim

#endif
