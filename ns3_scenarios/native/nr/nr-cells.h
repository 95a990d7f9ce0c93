// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_CELLS_H
#define COSIM_NR_CELLS_H

#include "nr-cell.h"
#include "nr-interference.h"

#include "ns3/event-id.h"
#include "ns3/mobility-model.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"
#include "ns3/traced-callback.h"

#include <array>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/**
 * The NR cells of one carrier, all alike and in step, each with the devices that it serves. In each slot first all
 * send, then all receive, and what one receives is disturbed, PRB by PRB, by what the others have sent there.
 *
 * A device begins in the cell whose RSRP is highest.
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

    /// A cell has something to do: simulate slots.
    void Wake();

    /// What a device receives in a slot of other cells on each PRB and at each polarization or, if `isUplink`, its cell
    /// of their devices through its beam towards the device; in mW. Valid until the next call, of what all have sent.
    const std::vector<double>& GetInterferenceMw(uint32_t device, bool isUplink, int64_t slot);

    /// The same on average over PRBs and over the slots of the latest reports' periods.
    double GetMeanInterferenceMw(uint32_t device, bool isUplink);

  protected:
    void DoDispose() override;

  private:
    void Tick();
    void Report();
    void Choose();
    void Attach(uint32_t device, uint32_t cell);
    uint32_t FindStrongest(uint32_t device) const;
    /// Of what was sent since the last report, make what interferes on average.
    void Average(int64_t slot);
    void NoteSent(int64_t slot);
    void Release();

    std::vector<Ptr<NrCell>> m_cells;
    std::vector<Ptr<NrChannel>> m_channels;
    NrInterference m_interference;
    NrGrid m_grid;
    std::vector<bool> m_isPlaced; // of each device: a cell serves it
    std::array<std::vector<double>, 2> m_sentMw;
    std::array<std::vector<double>, 2> m_meanMw; // of each device, or to it: on each PRB
    std::array<double, 2> m_use{0, 0};           // of all slots, those that can carry data down, and up
    int64_t m_averagedSlot{0};
    int64_t m_lastSlot{-1};
    std::vector<double> m_received;
    EventId m_tick;
    EventId m_reporting;
    TracedCallback<int64_t> m_slotTrace;
};

} // namespace ns3::cosim

#endif
