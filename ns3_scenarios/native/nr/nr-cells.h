// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CELLS_H
#define COSIM_NR_CELLS_H

#include "nr-cell.h"
#include "nr-interference.h"
#include "nr-measurements.h"

#include "ns3/event-id.h"
#include "ns3/mobility-model.h"
#include "ns3/nstime.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"
#include "ns3/traced-callback.h"

#include <array>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// What befalls a device between cells, as the trace source Mobility has it.
struct NrMobilityTrace
{
    enum class Kind : uint8_t
    {
        REPORTED,      // event A3 is reported, and its cell asks the other one
        REFUSED,       // the other one has no room
        COMMANDED,     // the device leaves its cell
        ARRIVED,       // and is in the other one
        FAILED,        // its radio link has failed
        REESTABLISHED, // and it has found a cell
        RESELECTED     // without a connection it has found a stronger one
    };

    Kind kind;
    int64_t timeNs;
    uint32_t device;
    uint32_t cell;  // that has what waits for it, up to now
    uint32_t other; // the other one, from now on in the last two cases and the one where it arrives
};

/**
 * The NR cells of one carrier, all alike and in step, each with the devices that it serves. In each slot first all
 * send, then all receive, and what one receives is disturbed, PRB by PRB, by what the others have sent there.
 *
 * A device begins in the cell whose RSRP is highest. It measures all of them, and what it reports as event A3 makes its
 * cell ask the other one over Xn and then send it there, with all that waits at both ends (TS 38.300 clause 9.2.3). A
 * link that stays out of range fails, and the device looks for the strongest cell again. Reports of measurements and
 * commands take no time on the air and arrive while the link is in range.
 */
class NrCells : public Object
{
  public:
    NrCells();
    ~NrCells() override;
    static TypeId GetTypeId();

    /// The next cell; before the first device. It has its gNB, and the channel is its.
    void AddCell(Ptr<NrCell> cell, Ptr<NrChannel> channel, Ptr<MobilityModel> gnb, Ptr<PhasedArrayModel> antenna);

    /// The next device, which each cell has too.
    void AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna);

    /// Begin to report; all cells have begun.
    void Begin();

    uint32_t CountCells() const;
    uint32_t CountDevices() const;

    /// One of the cells, from 0 on.
    Ptr<NrCell> Get(uint32_t cell) const;

    /// The number of the cell that has what waits for a device: the one that serves it.
    uint32_t GetServing(uint32_t device) const;

    /// The same cell itself.
    Ptr<NrCell> GetCell(uint32_t device) const;

    /// True if the device has a connection that can carry user data: that of its cell, or it is on the way to another.
    bool IsConnected(uint32_t device) const;

    /// Whether a cell serves it just now.
    bool IsServed(uint32_t device) const;

    /// The channels of all cells.
    std::vector<Ptr<Channel>> GetChannels() const;

    /// What a device receives of a cell on each resource element that is sent at full power (SS-RSRP, TS 38.215 clause
    /// 5.1.1): beams and fast fading left out of it.
    double GetRsrpDbm(uint32_t cell, uint32_t device) const;

    /// False if nothing that a device's link can do has changed from virtual time `sinceNs` on.
    bool HasNewsSince(int64_t sinceNs) const;

    /// Each device's share of the PRBs of the cell that serves it, whichever that is (NrCell::SetShares).
    void SetShares(uint32_t count, const double* shares);
    void ClearShares();

    // For the cells.

    /// A device without a connection is about to ask for one: the strongest cell, which it is in from now on.
    Ptr<NrCell> Reselect(uint32_t device);

    /// A cell has something to do: simulate slots.
    void Wake();

    /// From which group of PRBs on a cell gives them away in a slot: a hash of both, so that cells with few of them in
    /// use do not all use the same.
    uint32_t GetFirstGroup(const NrCell& cell, int64_t slot) const;

    /// What a device receives in a slot of other cells on each PRB and at each polarization or, if `isUplink`, its cell
    /// of their devices through its beam towards the device; in mW. Valid until the next call, of what all have sent.
    const std::vector<double>& GetInterferenceMw(uint32_t device, bool isUplink, int64_t slot);

    /// The same on average over PRBs and over the slots of the latest reports' periods.
    double GetMeanInterferenceMw(uint32_t device, bool isUplink);

  protected:
    void DoDispose() override;

  private:
    using Kind = NrMobilityTrace::Kind;

    enum class Phase
    {
        NOWHERE, // before the first report
        SERVED,
        PREPARING, // its cell has asked another one
        MOVING,
        FAILED // and looks for a cell
    };

    struct Device
    {
        Phase phase{Phase::NOWHERE};
        uint32_t target{0};    // while PREPARING or MOVING
        bool isAdmitted{true}; // by the target
        int64_t lostNs{-1};    // the connection has been lost since then
        EventId next;
        NrMeasurements measurements;
    };

    void Tick();
    void BeginMeasuring();
    void Measure();
    void CheckEvent(uint32_t device);
    void Command(uint32_t device);
    void Arrive(uint32_t device);
    void WatchLinks();
    void Fail(uint32_t device);
    void Reestablish(uint32_t device);
    /// From its cell, or from nowhere, to this one. Returns whether it is in range there.
    bool Move(uint32_t device, uint32_t cell);
    /// Call `next` so much later, and not before all that was received has been delivered.
    void Leave(uint32_t device, Time later, void (NrCells::*next)(uint32_t));
    uint32_t CountIn(uint32_t cell) const;
    bool HasRoom(uint32_t cell) const;
    void Tell(Kind kind, uint32_t device, uint32_t cell, uint32_t other);
    void Report();
    void Choose();
    /// Of all cells with room, its own among them.
    uint32_t FindStrongest(uint32_t device) const;
    /// Of what was sent since the last report, make what interferes on average.
    void Average(int64_t slot);
    void NoteSent(int64_t slot);
    void Release();

    double m_hysteresisDb{3};
    Time m_timeToTrigger;
    Time m_preparation;
    Time m_interruption;
    Time m_failure;
    Time m_reestablishment;
    uint32_t m_mostDevices{0};
    std::vector<Ptr<NrCell>> m_cells;
    std::vector<Ptr<NrChannel>> m_channels;
    NrInterference m_interference;
    NrGrid m_grid;
    std::vector<Device> m_devices;
    std::array<std::vector<double>, 2> m_sentMw;
    std::array<std::vector<double>, 2> m_meanMw; // of each device, or to it: on each PRB
    std::array<double, 2> m_use{0, 0};           // of all slots, those that can carry data down, and up
    int64_t m_averagedSlot{0};
    int64_t m_lastSlot{-1};
    int64_t m_movedNs{-1}; // the latest change of what serves a device
    uint32_t m_bursts{0};
    std::vector<double> m_received;
    EventId m_tick;
    EventId m_reporting;
    EventId m_measuring;
    TracedCallback<int64_t> m_slotTrace;
    TracedCallback<const NrMobilityTrace&> m_mobilityTrace;
};

} // namespace ns3::cosim

#endif
