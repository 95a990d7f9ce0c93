// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CELL_H
#define COSIM_NR_CELL_H

#include "neighbour-sites.h"
#include "nr-answers.h"
#include "nr-bearers.h"
#include "nr-channel.h"
#include "nr-configured-grants.h"
#include "nr-control-channel.h"
#include "nr-drx.h"
#include "nr-error-model.h"
#include "nr-frame.h"
#include "nr-link-adaptation.h"
#include "nr-qos-flows.h"
#include "nr-rlc.h"
#include "nr-rrc.h"
#include "nr-scheduler.h"
#include "nr-timing.h"
#include "nr-uplink-buffer.h"
#include "power-control.h"

#include "ns3/event-id.h"
#include "ns3/node.h"
#include "ns3/object.h"
#include "ns3/random-variable-stream.h"
#include "ns3/traced-callback.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ns3::cosim
{

/// What one direction of a device's link has carried.
struct NrCount
{
    uint64_t blocks{0};      // transport blocks sent, retransmissions included
    uint64_t firstBlocks{0}; // of which first transmissions
    uint64_t firstErrors{0}; // of which not decoded
    double firstBlers{0};    // and how many of them were to be expected: the sum of their BLERs
    uint64_t givenUp{0};     // blocks that no retransmission saved
    uint64_t bytes{0};       // of blocks decoded
    uint64_t prbs{0};        // PRBs times slots
    uint64_t dropped{0};     // packets that the full buffer did not take
    double airJ{0};          // radiated in the symbols of PDSCH or PUSCH, their DM-RS included
};

/// A transport block's transmission, as the trace source Block has it.
struct NrBlockTrace
{
    int64_t slot;
    uint32_t device;
    bool isUplink;
    uint32_t transmission; // 1 is the first
    uint32_t mcs;
    uint32_t layers;
    uint32_t prbs;
    uint32_t bits;
    double sinrDb;
    double bler;
    bool isDecoded;
};

/// A transmission in a slot, as others hear it.
struct NrSent
{
    uint32_t device;
    uint32_t process;
    NrAllocation allocation;
    double psdMw; // on each of its PRBs
};

/// The latest that the gNB knows of one direction of a link.
struct NrLinkState
{
    double sinrDb{NAN};
    int64_t cqi{-1};
    int64_t rank{-1};
    int64_t mcs{-1};  // of the last first transmission
    int64_t prbs{-1}; // likewise
    double bler{NAN}; // of first transmissions, averaged over about 100 of them
    double rateBps{NAN};
    uint64_t queueBytes{0};
};

class NrCells;

/**
 * One NR cell: MAC and physical layer of the gNB and of its devices, slot by slot. Where there is nothing to send,
 * there are no slots to simulate, only the reports of the channel.
 *
 * Control takes its symbols, its elements and its time (NrControlChannel), and is never lost.
 *
 * One of several cells (NrCells) knows the devices of all, by the same numbers, and serves those that are attached to
 * it.
 *
 * With a secondary cell of the same gNB, on a carrier of its own, it is the primary one: the MAC multiplexes what waits
 * into the transport blocks of both, each of which has its own scheduling, HARQ and link adaptation (TS 38.300 clauses
 * 5.4.1 and 6.7).
 */
class NrCell : public Object
{
  public:
    NrCell();
    ~NrCell() override;
    static TypeId GetTypeId();

    using Deliver = NrRlcReceiver::Deliver;

    /// The gNB's node, and what takes packets that have come up. All attributes are set before; the channel has its
    /// gNB.
    void SetGnb(Ptr<Node> gnb, Deliver deliver, Ptr<NrChannel> channel, Ptr<NrErrorModel> errors);

    /// How long its ends take for what, if not as specified.
    void SetTiming(const NrTimingSettings& settings);

    /// Acknowledged mode with polls and STATUS PDUs, if they are on; before the first device.
    void SetArq(const NrArqSettings& settings);

    /// When connections are released, if they are; before it begins.
    void SetConnection(const NrConnectionSettings& settings);

    /// When its devices listen, if not always; before it begins.
    void SetDrx(const NrDrxSettings& settings);

    /// QoS flows, if there are any but one; before the first device.
    void SetQosFlows(const NrQosSettings& settings);

    /// What interferes, if anything; with the same gNB and devices.
    void SetNeighbours(Ptr<NeighbourSites> neighbours);

    /// It is one of these, which say when it acts and what interferes; before the first device, which it does not serve
    /// until it is attached. Null: none any more.
    void SetCells(NrCells* cells);

    /// Serve the same devices on one more carrier: a cell without devices yet, with the same numerology, mini-slots,
    /// mode of RLC and QoS flows. Its devices are added after this one's, and it begins after this one.
    void SetSecondary(Ptr<NrCell> secondary);

    /// Null if there is none.
    Ptr<NrCell> GetSecondary() const;

    /// Whether this secondary cell serves a device: while that is connected, here as with the primary cell.
    bool IsAggregated(uint32_t device) const;

    /// The node of the channel's next device, and what takes packets that have come down to it.
    void AddDevice(Ptr<Node> device, Deliver deliver);

    /// Begin to report; all devices are there.
    void Begin();

    /// From now on each device gets its share of the PRBs, down and up (NrScheduler::SetShares).
    void SetShares(uint32_t count, const double* shares);

    /// From now on the scheduler divides the PRBs by itself again.
    void ClearShares();

    int64_t AssignStreams(int64_t stream);

    /// A packet for a device or, if `isUplink`, from it; false if there is no room for it.
    bool Enqueue(uint32_t device, bool isUplink, Ptr<Packet> packet);

    Ptr<Channel> GetChannel() const;
    uint32_t CountDevices() const;
    const NrQosFlows& GetQosFlows() const;
    NrCount GetCount(uint32_t device, bool isUplink) const;

    /// That of this cell and of the secondary one.
    NrCount GetTotal(uint32_t device, bool isUplink) const;
    NrLinkState GetState(uint32_t device, bool isUplink) const;

    /// The same, but of a device without a connection what was known when it was released.
    NrLinkState GetKnown(uint32_t device, bool isUplink) const;

    /// What a device alone in the cell would be granted by its latest report, in bit/s, whatever the outer loop says.
    double GetCapacityBps(uint32_t device, bool isUplink) const;

    /// True if the device's last report was in range (CQI above 0, and a power that reaches the gNB on some PRBs), or
    /// one within the last 200 ms was.
    bool IsConnected(uint32_t device) const;

    /// Whether the device was in range at its last report, or when the channel was last looked at without one.
    bool IsInRange(uint32_t device) const;

    /// Whether it is served: here, and with a connection.
    bool IsServed(uint32_t device) const;

    /// Whether it is here without a connection (NrConnections).
    bool IsReleased(uint32_t device) const;

    /// False if there was no report from virtual time `sinceNs` on, and no connection was lost for want of one.
    bool HasNewsSince(int64_t sinceNs) const;

    /// Whether all that was sent to and from the device is known to have come, as far as RLC waits to know.
    bool IsSettled(uint32_t device) const;

    /// When a block of the device's was last under way, either way.
    int64_t GetLastActiveNs(uint32_t device) const;

    /// How long after it was sent the last transmission of a block can be delivered.
    int64_t GetLongestDeliveryNs() const;

    /// Drop what waits of the device's transfers up to exchange number `exchange`, both ways.
    void Discard(uint32_t device, uint32_t exchange);

    // For NrConnections.

    /// Its connection is no more.
    void ReleaseConnection(uint32_t device);

    /// A device without a connection looks for its cell before random access. Returns what it finds the connections of.
    NrConnections* Camp(uint32_t device);

    /// A device has its connection again, and has said in this slot what waits at it.
    void Connect(uint32_t device, int64_t completeSlot);

    // For NrCells: what one of several cells does when it is told.

    /// Serve a device from now on.
    void Attach(uint32_t device);

    /// Serve it no more. What is under way and not decoded waits at its sender again, in acknowledged mode; what is
    /// decoded still arrives.
    void Detach(uint32_t device);

    /// Have a device here that `from` has released, with what waits at both ends.
    void TakeReleased(uint32_t device, NrCell& from);

    /// The connections of its devices, if they are ever released.
    NrConnections* GetConnections() const;

    /// When the last block that was decoded arrives.
    int64_t GetLastDeliveryNs(uint32_t device) const;

    /// Serve a device that `from`, or this cell itself, has detached, and whose last block has arrived: with what waits
    /// at both ends, and what it has counted. Its channel is reported at once.
    void TakeOver(uint32_t device, NrCell& from);

    /// Whether there is a slot to simulate.
    bool IsActive() const;

    /// Decide and send what this slot carries; GetSent has it then, until the next slot.
    void Send(int64_t slot);

    /// Receive what was sent in this slot.
    void Receive(int64_t slot);

    /// What was sent in this slot.
    const std::vector<NrSent>& GetSent(bool isUplink, int64_t slot) const;

    /// Report the channels of all devices that are served; those without a connection are looked at, for the record of
    /// channels alone.
    void Report();

    /// Slots between reports: those of the attribute, or more where the PUCCH has no room for so many.
    uint32_t GetReportPeriod() const;

    const NrFrame& GetFrame() const;
    uint32_t GetPrbs() const;
    double GetGnbPsdMw() const;

  protected:
    void DoDispose() override;

  private:
    static constexpr uint32_t PROCESSES = 16; // HARQ processes, TS 38.321 clauses 5.3.2.1 and 5.4.2.1
    static constexpr uint32_t MOST_TRANSMISSIONS = 8;

    /// Of a HARQ process.
    enum class HarqState
    {
        FREE,
        FLYING,
        WAITING // for its retransmission
    };

    /// A HARQ process and its transport block.
    struct Process
    {
        HarqState state{HarqState::FREE};
        bool isDecoded{false};
        uint32_t mcs{0};
        uint32_t layers{1};
        uint32_t prbs{0};
        uint32_t bits{0};
        uint32_t transmissions{0};
        std::array<double, MOST_TRANSMISSIONS> sinrDb{};
        std::array<double, MOST_TRANSMISSIONS> parts{}; // coded bits, of the first transmission's
        uint32_t elements{0};                           // of the first transmission
        std::vector<NrSegment> content;
        int64_t slot{0};     // of the first transmission
        NrWaiting waiting{}; // buffer status report in it (uplink)
    };

    /// What waits at the ends of a device's link, and what the gNB knows of it: the MAC's, whatever the carriers.
    struct Mac
    {
        Mac(NrCell& cell, const Deliver& toDevice, const Deliver& toGnb);

        NrBearers down;
        NrBearers up;
        NrUplinkBuffer buffer;
        NrUplinkRequests requests;
    };

    struct Direction
    {
        explicit Direction(NrBearers& itsBearers);

        /// The first process without a block; negative if each has one.
        int32_t FindFree() const
        {
            auto isFree = [](const Process& process) { return process.state == HarqState::FREE; };
            auto found = std::find_if(processes.begin(), processes.end(), isFree);
            return found == processes.end() ? -1 : static_cast<int32_t>(found - processes.begin());
        }

        NrBearers& bearers;
        std::array<Process, PROCESSES> processes;
        NrLinkAdaptation adaptation;
        Ptr<UniformRandomVariable> draw;
        NrCount count;
        int64_t mcs{-1};
        int64_t prbs{-1};
    };

    struct Link
    {
        Link(uint32_t device, Ptr<Node> node, std::shared_ptr<Mac> mac);

        uint32_t device;
        Ptr<Node> node;
        std::shared_ptr<Mac> mac;
        Direction down;
        Direction up;
        bool isServed{true};
        double pathLossDb{0};
        uint32_t control{1}; // elements of the PDCCH that a grant takes
        int64_t lastInRangeNs{-1};
        int64_t lastActiveNs{-1};
        int64_t lastDeliveryNs{-1};
        NrUplinkBuffer& buffer;
        NrUplinkRequests& requests;
        std::optional<NrDrx> drx;
        std::array<NrLinkState, 2> known; // when it was released, down and up
    };

    struct Grant
    {
        uint32_t device;
        uint32_t process;
        NrAllocation allocation;
    };

    /// Something that the gNB knows from a slot on.
    struct News
    {
        enum class Kind
        {
            DOWNLINK_RESULT,
            UPLINK_RESULT,
            REQUEST
        };

        Kind kind;
        uint32_t device;
        uint32_t process;
        int64_t slot; // in which it was sent
    };

    struct Arrival
    {
        uint32_t device;
        std::vector<NrSegment> content;
    };

    Direction& Get(Link& link, bool isUplink);
    const Direction& Get(const Link& link, bool isUplink) const;
    void SetTargetBler(double target);
    double GetTargetBler() const;
    void SetStepDb(double stepDb);
    double GetStepDb() const;
    void Wake();
    void Tick();
    void Learn(int64_t slot);
    void LearnResult(Link& link, bool isUplink, uint32_t process, int64_t slot);
    /// Give blocks that wait for their retransmission, of the devices that may be granted something, the PRBs that they
    /// need, if so many are free in this slot; added to `grants`. Where a slot is much shorter than that of the first
    /// transmission, they wait for another one.
    void Retransmit(bool isUplink,
                    int64_t slot,
                    const std::vector<bool>& mayGrant,
                    NrFreePrbs& free,
                    std::vector<Grant>& grants);
    void ScheduleDownlink(int64_t slot);
    void GrantUplink(int64_t slot, int64_t uplinkSlot);
    void SendUplink(int64_t slot);
    void RequestUplink(int64_t slot);
    /// Who could use an uplink slot that is granted in this one.
    std::vector<NrCandidate> FindUplinkCandidates(int64_t slot, int64_t uplinkSlot);
    void UseConfiguredGrants(int64_t slot, const std::vector<bool>& busy);
    void Fill(Link& link, Process& process, int64_t slot);
    void Transmit(Link& link, bool isUplink, uint32_t process, int64_t slot, const NrAllocation& allocation);
    void Hear(const NrSent& sent, bool isUplink, int64_t slot);
    /// From which group on a slot's PRBs are given away.
    uint32_t GetFirstGroup(int64_t slot) const;
    /// What interferes on each PRB with what a device sends or receives in a slot, in mW; null where nothing can.
    const std::vector<double>* FindInterferenceMw(uint32_t device, bool isUplink, int64_t slot);
    void MakeBlock(Direction& direction,
                   bool isUplink,
                   uint32_t process,
                   const NrAllocation& allocation,
                   double psdMw,
                   int64_t slot);
    double GetUplinkPsdMw(const Link& link, uint32_t prbs) const;
    /// On how many PRBs at most, with so many elements each, a device's power still makes a block that carries data; 0
    /// if on none.
    uint32_t GetMostUplinkPrbs(const Link& link, const NrReport& report, uint32_t elements) const;
    /// For how long a block of the slot is sent.
    double GetAirS(bool isUplink, int64_t slot) const;
    uint32_t GetElements(bool isUplink, int64_t slot) const;
    /// Measure one direction over the noise and the interference that others make on average.
    void Measure(Link& link, bool isUplink, double psdMw, int64_t slot, int64_t from);
    void Report(Link& link, int64_t slot);
    /// Whether a CQI above 0 and a power that reaches the gNB are known by the latest report.
    bool IsInRange(const Link& link) const;
    void ReportAll();
    void BeginConnections();
    void BeginDrx(Link& link, int64_t slot);
    /// Something waits: there are slots to simulate, or else the device gets its connection first.
    void Arouse(uint32_t device, bool isUplink);
    /// Whether a device hears what a slot's PDCCH says.
    bool IsListening(const Link& link, int64_t slot) const;
    /// It has heard what its HARQ process does, which is granted; or else that is sent, and decoded or not.
    void NoteGranted(Link& link, bool isUplink, uint32_t process, int64_t slot);
    void NoteSent(Link& link, bool isUplink, uint32_t process, int64_t slot);
    void DeliverAll(bool isUplink, int64_t atNs);
    void Arrive(uint32_t device, bool isUplink, const std::vector<NrSegment>& content);
    /// The receiving ends of a device that this cell has taken over go on.
    void Resume(uint32_t device, bool isUplink);
    void AddNews(int64_t knownSlot, News news);

    // Attributes.
    uint32_t m_numerology{1};
    std::string m_pattern;
    uint32_t m_specialDownlinkSymbols{10};
    uint32_t m_specialUplinkSymbols{2};
    uint32_t m_specialPuschSymbols{0};
    uint32_t m_unitSymbols{NrFrame::SYMBOLS};
    uint32_t m_pdcchSymbols{2};
    uint32_t m_pucchSymbols{1};
    uint32_t m_prbs{273};
    uint32_t m_overhead{0};
    double m_gnbPowerDbm{40};
    double m_devicePowerDbm{23};
    double m_nominalPowerDbm{-80};
    double m_pathLossFactor{1};
    uint32_t m_mcsTableIndex{2};
    bool m_isIncremental{true};
    uint32_t m_mostTransmissions{4};
    uint32_t m_reportPeriod{20};
    uint32_t m_reportDelay{4};
    uint32_t m_requestGrantBytes{256};
    uint32_t m_configuredPrbs{0};
    bool m_isAcknowledged{true};
    NrArqSettings m_arq;
    NrConnectionSettings m_connection;
    NrDrxSettings m_drx;
    NrQosFlows m_qosFlows;
    uint64_t m_bufferBytes{64'000'000};
    Time m_reordering;
    Time m_statusTimer;
    std::string m_schedulerName;

    NrTimingSettings m_timingSettings;
    NrFrame m_frame;
    NrTiming m_timing;
    NrLinkSettings m_downlink;
    NrLinkSettings m_uplink;
    NrScheduler m_downlinkScheduler;
    NrScheduler m_uplinkScheduler;
    NrConfiguredGrants m_configured;
    NrControlChannel m_controlChannel;
    NrAnswers m_answers;
    uint32_t m_control{0};                    // elements of the slot's PDCCH that are left
    std::array<std::vector<double>, 2> m_use; // of each slot of the pattern by a device alone, down and up
    double m_gnbPsdMw{0};
    std::vector<std::vector<int64_t>> m_grantOffsets; // from a slot to the uplink slots that it grants
    Ptr<NrChannel> m_channel;
    Ptr<NrErrorModel> m_errors;
    Ptr<NeighbourSites> m_neighbours;
    NrCells* m_cells{nullptr};
    Ptr<NrCell> m_secondary;
    NrCell* m_primary{nullptr}; // of a secondary cell
    Ptr<Node> m_gnb;
    Deliver m_toGnb;
    std::deque<Link> m_links;
    std::unique_ptr<NrConnections> m_connections; // if they are ever released
    EventId m_tick;
    EventId m_reporting;
    int64_t m_lastSlot{-1};
    int64_t m_lastReportNs{-1};
    std::map<int64_t, std::vector<News>> m_news;    // by the slot from which they are known
    std::map<int64_t, std::vector<Grant>> m_grants; // by uplink slot
    std::array<std::vector<NrSent>, 2> m_sent;      // in the latest slot, down and up
    std::vector<Arrival> m_arrivals;                // decoded blocks of the present slot
    std::vector<NrPrbGain> m_gains;                 // of a block's PRBs,
    std::vector<NrManyGain> m_manyGains;
    std::vector<double> m_sinr;        // and the SINRs of its layers
    std::vector<NrPrbGain> m_measured; // of all PRBs, as reports have them
    std::vector<NrManyGain> m_measuredMany;
    std::vector<uint32_t> m_takenPrbs;
    TracedCallback<const NrBlockTrace&> m_blockTrace;
    TracedCallback<const NrConnectionTrace&> m_connectionTrace;
};

} // namespace ns3::cosim

#endif
