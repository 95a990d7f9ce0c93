// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_RECORDED_NET_DEVICE_H
#define COSIM_RECORDED_NET_DEVICE_H

#include "link-trace.h"
#include "recorded-pools.h"

#include "ns3/error-model.h" // simple-net-device.h needs its classes whole
#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/queue.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simple-channel.h"
#include "ns3/simple-net-device.h"
#include "ns3/traced-callback.h"

#include <cstdint>

namespace ns3::cosim
{

/**
 * One end of a link that follows a LinkTrace in its direction. Packets wait in the TxQueue and cross one after the
 * other, in order: work that is there while none waits is lost. Of what is shared, all who have packets waiting get
 * equal parts. It carries IPv4 and adds no header.
 */
class RecordedNetDevice : public SimpleNetDevice
{
  public:
    static TypeId GetTypeId();
    RecordedNetDevice();

    /// Follow this trace, of which `offsetNs` have passed when virtual time begins.
    void SetTrace(Ptr<LinkTrace> trace, int64_t offsetNs);

    /// What its trace says is shared is shared with the other ends that have these pools.
    void SetPools(Ptr<RecordedPools> pools);

    /// The random stream of its losses.
    void AssignStream(int64_t stream);

    bool SendFrom(Ptr<Packet> packet, const Address& source, const Address& target, uint16_t protocol) override;

    /// Mean of what the link was able to carry during the last `windowNs`.
    double GetRateBps(int64_t windowNs) const;

    /// Mean of what the link will be able to carry during the next `windowNs`.
    double GetComingRateBps(int64_t windowNs) const;

    /// What the trace says of sharing now.
    LinkTrace::Sharing GetSharing() const;

    /// The number of ends that share with this one has changed.
    void HandleSharers();

    /// What waits and what is crossing.
    uint32_t GetWaitingBytes() const;

    /// Drop the packet that is crossing if it is of a transfer of an exchange up to number `exchange`.
    void Discard(uint32_t exchange);

  protected:
    void DoDispose() override;

  private:
    int64_t GetTraceTime() const;
    void BeginSharing();
    void EndSharing();
    void HandleSharingAnew();
    void Begin();
    void AwaitCrossing();
    void HandleCrossed();
    void Deliver(Ptr<Packet> packet);

    Ptr<LinkTrace> m_trace;
    int64_t m_offsetNs{0};
    Ptr<RecordedPools> m_pools;
    LinkTrace::Sharing m_sharing{-1, 0}; // while packets wait
    EventId m_sharingAnew;
    int64_t m_parts{1};         // in how many the work is divided, of which this link gets one
    LinkTrace::Work m_spent{0}; // the work at which the packet that is crossing has crossed if the parts stay
    Ptr<Packet> m_crossing;
    EventId m_crossed;
    Time m_lastArrival;
    Ptr<UniformRandomVariable> m_loss;
    TracedCallback<Ptr<const Packet>> m_lost;
};

} // namespace ns3::cosim

#endif
