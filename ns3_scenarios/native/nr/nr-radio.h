// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RADIO_H
#define COSIM_NR_RADIO_H

#include "nr-cell.h"
#include "radio.h"

namespace ns3::cosim
{

/// An NrCell whose first devices carry experts, as an exchange sees it; further ones are other users.
class NrRadio : public Radio
{
  public:
    static TypeId GetTypeId();

    /// How many of the cell's devices carry experts.
    void SetCell(Ptr<NrCell> cell, uint32_t devices);

    /// True if the gNB has heard of a CQI other than 0, "out of range", within the last 200 ms.
    bool IsConnected(uint32_t device) const override;
    LinkSample GetLink(uint32_t device) const override;
    std::vector<Capacity> GetCapacity(uint32_t device, int64_t forNs) const override;
    bool IsChanging() const override;
    bool MayHaveChanged(int64_t sinceNs) const override;
    AirEnergy GetAirEnergy(uint32_t device) const override;
    bool IsQuiet(uint32_t device, int64_t sentNs) const override;
    void Discard(uint32_t device, uint32_t exchange) override;

  protected:
    void DoDispose() override;

  private:
    uint32_t CountOthers(bool isUplink) const;

    Ptr<NrCell> m_cell;
    uint32_t m_devices{0};
    Time m_coreDelay;
};

} // namespace ns3::cosim

#endif
