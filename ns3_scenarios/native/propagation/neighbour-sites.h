// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NEIGHBOUR_SITES_H
#define COSIM_NEIGHBOUR_SITES_H

#include "panel.h"
#include "sector-load.h"

#include "ns3/antenna-model.h"
#include "ns3/channel-condition-model.h"
#include "ns3/mobility-model.h"
#include "ns3/node.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"
#include "ns3/propagation-loss-model.h"
#include "ns3/random-variable-stream.h"

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

namespace ns3::cosim
{

/**
 * The interference of sites around a cell, down at its devices and up at its BS, without simulating what these sites
 * do: each of their sectors serves, in each slot, one of its users on so many PRBs as its load says. Which user and
 * which PRBs is a function of sector and slot (a counter hashed with a key of this network's), so that it depends
 * neither on who asks nor on how often.
 *
 * Down, a sector sends at full power on the PRBs in use, its beam steered to its user. Up, the user sends as open-loop
 * power control towards its own sector says (TS 38.213 clause 7.1.1), and the cell's BS receives it through the beam
 * steered to the device that it serves. Path loss, line of sight and shadowing are those of the models that it is
 * given, one draw for all sectors of a site; there is no fast fading. A device is served by the cell because that is
 * the best for it, as with a user and its sector: where it is first, sites are drawn so. Neighbours are in step with
 * the cell's slots, and down interferes with down, up with up.
 */
class NeighbourSites : public Object
{
  public:
    static constexpr uint32_t USERS = 10; // of a sector, TR 36.873 table 8.2-1

    NeighbourSites();
    ~NeighbourSites() override;
    static TypeId GetTypeId();

    /// The cell's BS, which stands still. Attributes, the cell's ends and the sites are given before `AssignStreams`.
    void SetBaseStation(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna);

    /// The cell's next device; by whose number, from 0 on, it is asked for.
    void AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna);

    /// A site, which stands still.
    void AddSite(Ptr<Node> site);

    /// Every sector's load goes by steps (SectorLoad): this share of the PRBs for so many seconds.
    void AddLoadStep(double seconds, double share);

    int64_t AssignStreams(int64_t stream);

    /// Drop the users, at first, each where its sector is the best one; compute anew what devices get that have moved
    /// by half a metre since it was computed.
    void Renew();

    /// What a device receives (or, if `isUplink`, the BS through its beam towards the device) in a slot on each PRB,
    /// at each polarization, in mW; as of the last `Renew`. Slots are asked for in order.
    const std::vector<double>& GetInterferenceMw(uint32_t device, bool isUplink, int64_t slot);

    /// The same on average over users and PRBs, at the load that sectors have in this slot.
    double GetMeanInterferenceMw(uint32_t device, bool isUplink, int64_t slot);

    /// What a device receives of 0 dBm sent by a sector (of site `sector` / 3) whose beam looks ahead in the horizontal
    /// plane and by so many degrees below the horizon, in dBm; as of the last `Renew`.
    double GetGainDb(uint32_t device, uint32_t sector, double beamDowntiltDegrees) const;

    /// Where one of a sector's users stands; after the first `Renew`.
    Vector GetUserPosition(uint32_t sector, uint32_t user) const;

  protected:
    void DoDispose() override;

  private:
    struct Site
    {
        Ptr<MobilityModel> mobility;
        Vector position;
    };

    struct User
    {
        Ptr<MobilityModel> mobility;
        Vector beam;         // its direction, as its sector's panel sees it,
        Vector atBs;         // and as the cell's BS does
        double openPsdMw{0}; // on each PRB, had it power enough
        double toBs{0};      // its gain to one element of the BS
    };

    struct Sector
    {
        uint32_t site;
        uint32_t index; // there
        Panel panel;
        SectorLoad load;
        std::vector<User> users;
    };

    /// What a sector does in a slot; the PRBs from `begin` on go round.
    struct Use
    {
        uint32_t user{0};
        uint32_t begin{0};
        uint32_t prbs{0};
        double psdMw{0};
    };

    struct Link
    {
        Ptr<MobilityModel> mobility;
        Ptr<PhasedArrayModel> antenna;
        Panel panel;
        bool isRenewed{false};
        Vector position;                                         // when that was
        double serving{std::numeric_limits<double>::infinity()}; // its gain from one element of the cell's BS
        std::vector<Ptr<MobilityModel>> sites;                   // by which the models of the path know them
        std::vector<double> paths;                               // from each site, antennas left out
        std::array<std::vector<double>, 2> gain; // down with the beam to, up from: each user of each sector
        std::vector<double> mean;                // of each sector: down, on average over users
        std::array<int64_t, 2> slot{-1, -1};
        std::array<std::vector<double>, 2> interferenceMw;
    };

    void Populate();
    Vector DrawPlace(const Sector& sector);
    /// Put a user anywhere in its sector's hexagon; true if that sector is the best for it, the cell included.
    bool Drop(const Sector& sector, User& user);
    double GetPath(Ptr<MobilityModel> a, Ptr<MobilityModel> b) const;
    double DrawPath(Ptr<MobilityModel> a, Ptr<MobilityModel> b) const;
    double GetElementGain(const Vector& direction) const;
    /// Draw what new devices receive of the cell, in the order in which the cell would.
    void DrawServing();
    /// Draw the paths from all sites, each anew until none of its sectors is better than the cell.
    void DrawSites(Link& link);
    void RenewLink(Link& link);
    double GetShare(Sector& sector, int64_t slot) const;
    const std::vector<Use>& GetUses(bool isUplink, int64_t slot);

    // Attributes.
    uint32_t m_numerology{1};
    uint32_t m_prbs{273};
    double m_distance{200};
    uint32_t m_rows{4};
    uint32_t m_columns{8};
    uint32_t m_polarizations{2};
    double m_downtiltDegrees{12};
    Ptr<AntennaModel> m_element;
    double m_sectorPowerDbm{44};
    double m_devicePowerDbm{23};
    double m_nominalPowerDbm{-80};
    double m_pathLossFactor{1};
    bool m_isLoadRandom{false};
    Ptr<PropagationLossModel> m_loss;
    Ptr<ChannelConditionModel> m_condition;
    Ptr<PropagationLossModel> m_servingLoss;

    Ptr<UniformRandomVariable> m_draw;
    Ptr<MobilityModel> m_bs;
    Ptr<PhasedArrayModel> m_bsAntenna;
    Panel m_bsPanel;
    Vector m_bsPosition;
    std::vector<LoadStep> m_loadSteps;
    std::array<Panel, SITE_SECTORS> m_panels; // of each site
    std::vector<Site> m_sites;
    std::vector<Sector> m_sectors;
    std::deque<Link> m_links;
    uint64_t m_key{0};
    double m_sectorPsdMw{0};
    double m_devicePowerMw{0};
    std::array<int64_t, 2> m_slot{-1, -1};
    std::array<std::vector<Use>, 2> m_uses;
};

} // namespace ns3::cosim

#endif
