// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RADIO_H
#define COSIM_NR_RADIO_H

#include "nr-cell.h"
#include "nr-cells.h"
#include "radio.h"

namespace ns3::cosim
{

/// An NrCell, or several (NrCells), whose first devices carry experts, as an exchange sees it; further ones are other
/// users.
class NrRadio : public Radio
{
  public:
    static TypeId GetTypeId();

    /// How many of the cell's devices carry experts.
    void SetCell(Ptr<NrCell> cell, uint32_t devices);

    /// The same of several cells.
    void SetCells(Ptr<NrCells> cells, uint32_t devices);

    /// True if the gNB has heard of a CQI other than 0, "out of range", within the last 200 ms.
    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;
    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;
    bool MayHaveChanged(int64_t sinceNs) const override;
    AirEnergy GetAirEnergy(uint32_t device) const override;
    bool IsQuiet(uint32_t device, int64_t sentNs) const override;
    void Discard(uint32_t device, uint32_t exchange) override;
    std::vector<Ptr<Channel>> GetChannels(uint32_t device) const override;

  protected:
    void DoDispose() override;

  private:
    uint32_t CountUsers() const;
    /// Other users with something that waits in the device's cell, and that hidden states do not go before.
    uint32_t CountOthers(uint32_t device, bool isUplink) const;
    /// The number of the device's cell, from 0 on, and the cell.
    uint32_t GetServing(uint32_t device) const;
    Ptr<NrCell> GetCell(uint32_t device) const;
    /// The cell's secondary one; null if there is none, or none that serves this device.
    Ptr<NrCell> GetSecondary() const;
    Ptr<NrCell> GetSecondary(uint32_t device) const;

    Ptr<NrCell> m_cell;   // one of the two
    Ptr<NrCells> m_cells; // is there
    uint32_t m_devices{0};
    Time m_coreDelay;
};

} // namespace ns3::cosim

#endif
