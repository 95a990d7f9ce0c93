// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_RECORDED_LINK_H
#define COSIM_RECORDED_LINK_H

#include "radio.h"

#include "ns3/error-model.h"
#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/object.h"
#include "ns3/queue.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simple-channel.h"
#include "ns3/simple-net-device.h"
#include "ns3/traced-callback.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

class RecordedPools;

/**
 * What one direction of a link was able to carry over time, how it delayed and lost packets, and with whom it shared
 * what it carried. It repeats, and has always repeated. Its work is the number of bits times 10^9 that could have crossed since time 0: a function that
 * never falls, with slopes (rates) and steps (bursts), in integers, so that nothing is rounded but an instant to
 * the next ns.
 */
class LinkTrace : public Object
{
  public:
    using Work = __int128;

    static TypeId GetTypeId();

    /**
     * @param count number of rows, the first of which begins at 0
     * @param beginNs when each row begins, rising
     * @param burstBits what may cross at once at that instant
     * @param rateBps what may cross from then on, until the next row
     * @param delayNs one-way delay of a packet that has crossed within the row
     * @param loss probability that such a packet is lost
     * @param pool number of what the link shares with others within the row; -1 for nothing
     * @param others users beside the links that share it, too
     * @param periodNs when the last row ends and the first one begins again
     */
    void SetRows(uint32_t count,
                 const int64_t* beginNs,
                 const int64_t* burstBits,
                 const int64_t* rateBps,
                 const int64_t* delayNs,
                 const double* loss,
                 const int64_t* pool,
                 const int64_t* others,
                 int64_t periodNs);

    /// The work from time 0 up to and with this instant, which may be negative.
    Work GetWork(int64_t ns) const;

    /// The first instant by which there has been so much work; half of all virtual time if it is later than that.
    int64_t GetInstant(Work work) const;

    int64_t GetDelayNs(int64_t ns) const;
    double GetLoss(int64_t ns) const;

    /// What is shared at an instant, and with how many users beside the links.
    struct Sharing
    {
        int64_t pool; // -1: nothing
        int64_t others;
        bool operator==(const Sharing&) const = default;
    };

    const Sharing& GetSharing(int64_t ns) const;

    /// The first instant behind `ns` from which on something else may be shared; half of all virtual time for never.
    int64_t GetNextSharing(int64_t ns) const;

  private:
    struct Row
    {
        int64_t beginNs;
        Work work; // up to and with the row's burst
        int64_t rateBps;
        int64_t delayNs;
        double loss;
        Sharing sharing;
    };

    const Row& GetRow(int64_t ns) const;

    std::vector<Row> m_rows; // and one behind the last, where the first begins again
    Work m_cycle{0};         // the work of one period
    bool m_isSharingFixed{true};
};

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
