// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_INTERFERENCE_H
#define COSIM_NR_INTERFERENCE_H

#include "nr-channel.h"
#include "panel.h"
#include "site-element.h"

#include "ns3/mobility-model.h"
#include "ns3/phased-array-model.h"
#include "ns3/vector.h"

#include <array>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/**
 * Power gains between the cells of a carrier and all their devices: path loss with its shadowing, the antenna elements
 * at both ends, and beams that each look straight at the one they serve, in closed form (Panel). No fast fading.
 *
 * A cell whose elements are those of a site (SiteElement) sends to a device through the panel of the sector that is
 * best for it, and the others hear what this panel alone sends their way. It hears in each direction with the sector
 * that is best there, as a cell with NeighbourSites does. Other cells have one panel, which sends as much behind it as
 * ahead.
 */
class NrInterference
{
  public:
    /// The next cell's gNB, which stands still, and the channel that has its path losses.
    void AddCell(Ptr<NrChannel> channel, Ptr<MobilityModel> gnb, Ptr<PhasedArrayModel> antenna);

    /// The next device; after all cells, and in the order in which the channels have them.
    void AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna);

    /// Look where everything is now, if not done at this instant.
    void Renew();

    /// A device is served by another cell from now on, and its beam looks there.
    void SetServing(uint32_t device, uint32_t cell);

    uint32_t GetServing(uint32_t device) const;

    /// Between one element of a cell, of the sector that is best, and one of a device, as of the last `Renew`.
    double GetCoupling(uint32_t cell, uint32_t device) const;

    /// What a device receives at each polarization of 1 mW that another's cell sends to that other.
    double GetDown(uint32_t device, uint32_t other);

    /// What the device's cell receives at each polarization, through its beam towards the device, of 1 mW that another
    /// sends to its own cell.
    double GetUp(uint32_t device, uint32_t other);

  private:
    struct Cell
    {
        Ptr<NrChannel> channel;
        Ptr<MobilityModel> mobility;
        Ptr<PhasedArrayModel> antenna;
        Panel array;                            // of the whole cell
        Ptr<const SiteElement> site;            // null without sectors
        std::array<Panel, SITE_SECTORS> panels; // the first alone, the array, without sectors
    };

    /// A device as one panel of a cell sees it.
    struct Bearing
    {
        double coupling{0}; // between an element of either
        Vector direction;   // of the device
    };

    /// A device as a cell sees it.
    struct Sight
    {
        std::array<Bearing, SITE_SECTORS> bearings;
        uint32_t sector{0}; // whose panel is the best
        Vector atCell;      // the direction of the device, for the array,
        Vector atDevice;    // and that of the cell
    };

    struct Device
    {
        Ptr<MobilityModel> mobility;
        Ptr<PhasedArrayModel> antenna;
        Panel panel;
        uint32_t serving{0};
        bool isSettled{false};
        std::vector<Sight> sights;                // of each cell
        std::array<std::vector<double>, 2> gains; // of each other device, down and up; NaN until somebody asks
    };

    Sight Look(const Cell& cell, uint32_t index);
    void Forget();

    std::vector<Cell> m_cells;
    std::vector<Device> m_devices;
    int64_t m_renewedNs{-1};
};

} // namespace ns3::cosim

#endif
