// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RRC_H
#define COSIM_NR_RRC_H

#include "nr-frame.h"
#include "nr-random-access.h"
#include "nr-timing.h"

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/random-variable-stream.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace ns3::cosim
{

class NrCell;

/// When connections are released, and what it takes to have one again.
struct NrConnectionSettings
{
    bool isOn{false};
    Time inactivity;            ///< so long after its last block a device is released
    bool isSuspended{false};    ///< to RRC_INACTIVE, or else to RRC_IDLE
    uint32_t pagingFrames{128}; ///< the DRX cycle of paging, T of TS 38.304 clause 7.1
    Time core;                  ///< from RRC_IDLE: the core's part, until it has the gNB set the context up
    NrRandomAccessSettings access;
};

/// What befalls a device's connection, as the trace source Connection has it.
struct NrConnectionTrace
{
    enum class Kind : uint8_t
    {
        RELEASED,
        PAGED,     // in a slot that begins now
        PREAMBLE,  // likewise
        UNHEARD,   // nobody has answered it
        COLLIDED,  // another one has sent the same
        CONNECTED, // from the slot on that begins now
        GIVEN_UP   // nothing waits any more
    };

    Kind kind;
    int64_t timeNs;
    uint32_t device;
};

/// When the messages are sent by which a device that has sent its message 3 gets its connection: slots.
class NrConnectionSetup
{
  public:
    /// Of a device whose message 3 is in this slot: RRCResumeRequest if it was suspended, or else RRCSetupRequest.
    NrConnectionSetup(const NrTiming& timing, int64_t message3Slot, bool isSuspended, Time core);

    /// Of the device's last message, with the status of its buffer.
    int64_t GetCompleteSlot() const;

    /// The first one in which the gNB can schedule what it has known since.
    int64_t GetConnectedSlot() const;

  private:
    /// A message down, in this slot, is processed for so long and then answered.
    void Exchange(const NrTiming& timing, int64_t slot, int64_t processingNs);

    int64_t m_completeSlot{0};
    int64_t m_connectedSlot{0};
};

/**
 * The connections of a cell's devices. One without data for long is released, to RRC_IDLE or suspended to RRC_INACTIVE;
 * then it reports no channel and hears nothing but its paging occasions (TS 38.304 clause 7.1), all data waiting where
 * they are. When some do, it comes back by random access: with data to send at once, else when it has been paged.
 *
 * To the gNB a device that is released is there: it is out of range only if it does not answer its pages.
 */
class NrConnections
{
  public:
    using Tell = std::function<void(const NrConnectionTrace&)>;

    NrConnections(NrCell& cell,
                  const NrFrame& frame,
                  const NrTiming& timing,
                  const NrConnectionSettings& settings,
                  Tell tell);
    ~NrConnections();
    NrConnections(const NrConnections&) = delete;
    NrConnections& operator=(const NrConnections&) = delete;

    int64_t AssignStreams(int64_t stream);

    /// The cell serves a device from now on, which is connected.
    void Watch(uint32_t device);

    /// Whether a device of the cell has no connection.
    bool IsReleased(uint32_t device) const;

    /// Something waits for a device, or at it; have it connected, if it is released.
    void Ask(uint32_t device, bool isUplink);

    /// The slot of the first paging occasion of a device that can carry what the gNB has by now. Devices have
    /// identities (5G-S-TMSI modulo 1024) that go evenly over all: ours.
    int64_t GetPagingSlot(uint32_t device, int64_t nowNs) const;

    static uint32_t GetIdentity(uint32_t device);

  private:
    enum class State
    {
        CONNECTED,
        RELEASED,
        PAGED, // or about to be
        ACCESSING
    };

    struct Device
    {
        State state{State::CONNECTED};
        int64_t connectedNs{0};
        EventId next;
    };

    bool HasData(uint32_t device) const;
    void Say(NrConnectionTrace::Kind kind, uint32_t device) const;
    void CheckActivity(uint32_t device);
    void Page(uint32_t device);
    void SendPage(uint32_t device, int64_t slot);
    void Access(uint32_t device);
    void BeginAccess(uint32_t device);
    bool LearnStep(NrAccessStep step, uint32_t device);
    void SetUp(uint32_t device, int64_t message3Slot);
    void Connect(uint32_t device, int64_t completeSlot);

    NrCell& m_cell;
    NrFrame m_frame;
    NrTiming m_timing;
    NrConnectionSettings m_settings;
    Tell m_tell;
    std::vector<Device> m_devices;
    NrRandomAccess m_access;
};

} // namespace ns3::cosim

#endif
