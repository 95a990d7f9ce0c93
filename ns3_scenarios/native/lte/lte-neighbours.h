// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LTE_NEIGHBOURS_H
#define COSIM_LTE_NEIGHBOURS_H

#include "neighbour-sites.h"

#include "ns3/event-id.h"
#include "ns3/lte-spectrum-phy.h"
#include "ns3/net-device.h"
#include "ns3/nstime.h"
#include "ns3/object.h"

#include <cstdint>
#include <deque>
#include <vector>

namespace ns3
{
class PacketBurst;
} // namespace ns3

namespace ns3::cosim
{

/**
 * Hands the interference of sites around a cell (NeighbourSites) to the receivers of the cell's eNB and devices, as
 * signals that are nobody's. All of a cell's carriers meet the same.
 *
 * Data meets what sectors and users do in its subframe, resource block by resource block. What is measured meets the
 * average of that at the present loads: down in the control region, which the CQI is to be taken from (LteHelper's
 * UsePdschForCqiGeneration off), up in the symbol of sounding reference signals. The control channel meets it, too.
 */
class LteNeighbours : public Object
{
  public:
    LteNeighbours();
    ~LteNeighbours() override;
    static TypeId GetTypeId();

    /// With numerology 0 and panels of one element, and sites and load; its streams are assigned later.
    void SetSites(Ptr<NeighbourSites> sites);

    /// The cell's LteEnbNetDevice, after the sites. All its carriers have as many resource blocks.
    void SetEnb(Ptr<NetDevice> device);

    /// The LteUeNetDevice of the cell's next device, after the eNB.
    void AddUe(Ptr<NetDevice> device);

    /// From this instant on, the begin of a subframe.
    void Begin();

  protected:
    void DoDispose() override;

  private:
    /// One carrier's receiver, of a device or of the eNB.
    struct Receiver
    {
        Ptr<LteSpectrumPhy> phy;
        bool isUplink;
        uint32_t device;          // 0 at the eNB, which hears all alike
        int64_t dataSubframe{-1}; // the last one whose data met interference
    };

    void Add(Ptr<LteSpectrumPhy> phy, bool isUplink, uint32_t device);
    void BeginSubframe();
    void HandMean(bool isUplink, Time duration);
    void HandleData(uint32_t receiver, Ptr<const PacketBurst> burst);
    void Hand(const Receiver& receiver, Time duration, const std::vector<double>& interferenceMw);

    Ptr<NeighbourSites> m_sites;
    uint32_t m_prbs{0};
    uint32_t m_devices{0};
    std::deque<Receiver> m_receivers;
    std::vector<double> m_mean;
    EventId m_next;
};

} // namespace ns3::cosim

#endif
