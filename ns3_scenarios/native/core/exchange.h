// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_EXCHANGE_H
#define COSIM_EXCHANGE_H

#include "channel-sampler.h"
#include "device-life.h"
#include "drop-log.h"
#include "obstruction.h"
#include "radio.h"
#include "track-record.h"
#include "transfer-application.h"

#include "ns3/event-id.h"
#include "ns3/node.h"
#include "ns3/object.h"
#include "ns3/traced-callback.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace ns3::cosim
{

/// What ends an exchange.
enum class Wait : int64_t
{
    ALL,
    ANY,
    DEADLINE
};

/// How a transfer ended.
enum class Status : int64_t
{
    DONE,
    LATE,
    LOST,
    UNREACHABLE
};

/**
 * Carries out exchanges: for each transfer a pipeline of downlink, computing and uplink, all in virtual
 * time and in one call. The edge server and each device hold one end of a TransferApplication.
 */
class ExchangeEngine : public Object
{
  public:
    static TypeId GetTypeId();

    /// Install the applications' two ends for one more device; its index is the count of those before.
    void AddDevice(Ptr<Node> server,
                   Address serverAddress,
                   Ptr<Node> device,
                   Address deviceAddress,
                   const TypeId& protocol);

    /// The layers below IP.
    void SetRadio(Ptr<Radio> radio);

    /// What befalls a device; to be filled in before `Attach`.
    Ptr<DeviceLife> GetLife(uint32_t device) const;

    /// Make outages of a device possible. False if its channels cannot be obstructed.
    bool Obstruct(uint32_t device);

    /// True if the device is present and has a connection that can carry user data.
    bool IsConnected(uint32_t device) const;

    /// Run the simulation up to `untilNs`, with no exchange under way.
    void RunUntil(int64_t untilNs);

    /// Run the simulation up to `untilNs`, or until the radio of every device is connected; whether all are.
    bool Attach(int64_t untilNs);

    /// True if the radio of every device is connected, also of those that are absent.
    bool IsAttached() const;

    /// Follow where one more user is, whose index is the count of those before; before anybody has moved.
    void FollowTrack(Ptr<Node> user);

    /// Begin the records of channel and tracks: once, after `Attach`.
    void BeginRecords();

    /**
     * Run one exchange and return when it has ended.
     *
     * @param count number of transfers
     * @param asked 4 numbers a transfer: device, downlink bytes, computing time in ns, uplink bytes
     * @param departNs virtual time at which all downlinks begin
     * @param deadlineNs virtual time at which the exchange ends at the latest
     * @param wait a Wait
     * @param answer 5 numbers a transfer: Status, and the virtual times in ns of downlink begin, downlink
     *        end, computing end and uplink end, -1 for what did not happen
     * @param air 2 numbers a transfer: J that the BS and the device radiated from the departure to its end or to that
     * of the exchange, NaN where the radio does not know
     * @return false if Interrupt was called
     */
    bool Exchange(uint32_t count,
                  const int64_t* asked,
                  int64_t departNs,
                  int64_t deadlineNs,
                  int64_t wait,
                  int64_t* answer,
                  double* air);

    /**
     * Take on messages, which go one way between the edge server and a device whatever exchanges are under way, over
     * UDP; and run to `untilNs`, or until a message ends.
     *
     * @param count number of messages
     * @param asked 6 numbers a message: its number, device, 1 if it goes up, bytes, virtual times of its begin and of
     *        its deadline in ns
     * @param untilNs virtual time
     * @return false if Interrupt was called
     */
    bool Convey(uint32_t count, const int64_t* asked, int64_t untilNs);

    /// How many rows `TakeDeliveries` has.
    uint32_t GetDeliveryCount() const;

    /// Copy, and forget, how messages ended: 3 numbers each, its number, Status and the virtual time in ns.
    void TakeDeliveries(int64_t* rows);

    /// What looks at all links, and has the channel record.
    Ptr<ChannelSampler> GetChannelSampler() const;

    /// The bytes of the track record since the latest `TakeTracks`, 64 a row.
    uint32_t GetTrackBytes() const;

    /// Copy them, and forget them.
    void TakeTracks(uint8_t* rows);

    /// How many rows `TakeDrops` has.
    uint32_t GetDropCount() const;

    /// Copy, and forget, what DropLog kept: 4 numbers a row, device, DropReason, index of the node and IPv4 address.
    void TakeDrops(int64_t* rows);

    /// End the exchange under way, and any later one, at once. Any thread may call this.
    void Interrupt();

    /// Virtual time in ns, or as of `Close`. Any thread may call this.
    int64_t GetNow() const;

    /// To be called before Simulator::Destroy.
    void Close();

  protected:
    void DoDispose() override;

  private:
    struct Pipeline
    {
        uint32_t device{0};
        uint64_t downlinkBytes{0};
        int64_t computeNs{0};
        uint64_t uplinkBytes{0};
        bool reachable{false}; // connected at the departure, and has not left since
        bool lost{false};      // a datagram of it was dropped
        EventId computing;
        int64_t downlinkBegin{-1};
        int64_t downlinkEnd{-1};
        int64_t computeEnd{-1};
        int64_t uplinkEnd{-1};
        AirEnergy airBefore;
        AirEnergy air;
    };

    struct Message
    {
        uint32_t device{0};
        bool isUplink{false};
        uint64_t bytes{0};
        int64_t deadlineNs{0};
        int64_t sentNs{-1};
        uint64_t receivedBytes{0};
        bool lost{false}; // a datagram of it was dropped
        EventId next;     // its begin, or its deadline
    };

    struct Delivery
    {
        uint32_t message;
        Status status;
        int64_t endNs;
    };

    struct Ends
    {
        Ptr<TransferApplication> server;
        Ptr<TransferApplication> device;
        Ptr<Node> deviceNode;
        bool isStream; // TCP sends again what is dropped
        Ptr<DeviceLife> life;
        Ptr<TransferApplication> messageServer; // over UDP: the same, unless those are over TCP
        Ptr<TransferApplication> messageDevice;
    };

    void PollAttach(int64_t untilNs);
    ChannelSampler::Access GetAccess(uint32_t device) const;
    void Depart();
    void Begin(Pipeline& pipeline);
    void Measure(Pipeline& pipeline) const;
    void HandleDownlinkEnd(Pipeline* pipeline);
    void HandleComputeEnd(Pipeline* pipeline);
    void HandleUplinkEnd(Pipeline* pipeline);
    void HandleDeadline();
    void End();
    void Cancel(Pipeline& pipeline);
    void Silence(uint32_t device);
    void Leave(uint32_t device);
    void Join(uint32_t device);
    Status GetStatus(const Pipeline& pipeline) const;
    void BeginMessage(uint32_t number);
    void HandleMessage(uint32_t device, bool isUplink, uint32_t number, uint32_t bytes);
    void HandleMessageDeadline(uint32_t number);
    void GiveUpMessage(uint32_t number);
    void EndMessage(uint32_t number, Status status);
    void HandleConveyed();
    void EndConvey();
    void HandleInterrupt();
    void WatchDrops();
    void HandleDrop(Ptr<const Packet> packet);
    void HandleNoRoute(uint32_t device, Ptr<Node> node, Ipv4Address address);
    void MarkLost(uint32_t device);

    Ptr<Radio> m_radio;
    Ptr<ChannelSampler> m_sampler{CreateObject<ChannelSampler>()};
    TrackRecord m_tracks;
    DropLog m_drops;
    Ptr<Obstruction> m_obstruction;
    Ptr<Node> m_server;
    std::vector<Ends> m_ends;
    std::vector<Pipeline> m_pipelines;
    std::vector<Status> m_statuses;
    uint32_t m_exchange{0};
    uint32_t m_pending{0};
    Wait m_wait{Wait::ALL};
    EventId m_departure;
    EventId m_deadline;
    bool m_running{false};
    std::map<uint32_t, Message> m_messages; // by number: those that were taken on and have not ended
    std::vector<Delivery> m_deliveries;
    EventId m_conveyed;
    bool m_conveying{false};
    std::atomic<bool> m_interrupt{false};

    mutable std::mutex m_lifetime; // of ns-3's simulator, against threads that look at its clock
    bool m_closed{false};
    int64_t m_lastNow{0};

    TracedCallback<uint32_t, uint32_t> m_done;
};

} // namespace ns3::cosim

#endif
