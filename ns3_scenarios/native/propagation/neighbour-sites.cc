// SPDX-License-Identifier: GPL-2.0-only
#include "neighbour-sites.h"

#include "decibel.h"
#include "power-control.h"

#include "ns3/angles.h"
#include "ns3/boolean.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/double.h"
#include "ns3/pointer.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NeighbourSites);

namespace
{

constexpr double STEP = 0.5;               // m that a device moves before its links are computed anew; ours
constexpr double USER_HEIGHT = 1.5;        // m, outdoors, TR 38.901 table 7.2-1
constexpr double LEAST_DISTANCE = 10;      // m, of a user from its site, likewise for UMi
constexpr uint32_t MOST_TRIES = 50;        // for a user whose own sector, or a device whose cell, is the best; ours
constexpr uint32_t SHADOWING_DRAWS = 2;    // ns-3's shadowing of a link holds from the second time on
constexpr uint64_t LOAD_SALT = 1ull << 63; // beside the numbers of slots

double
ToRadians(double degrees)
{
    return degrees * std::numbers::pi / 180;
}

double
GetGain(Ptr<const PhasedArrayModel> antenna, const Angles& angles)
{
    auto [vertical, horizontal] = antenna->GetElementFieldPattern(angles);
    return vertical * vertical + horizontal * horizontal;
}

} // namespace

NeighbourSites::NeighbourSites()
    : m_draw(CreateObject<UniformRandomVariable>())
{
}

NeighbourSites::~NeighbourSites() = default;

TypeId
NeighbourSites::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NeighbourSites")
            .SetParent<Object>()
            .SetGroupName("Cosim")
            .AddConstructor<NeighbourSites>()
            .AddAttribute("Numerology",
                          "Of slots and PRBs: 15 kHz and 1 ms at 0, which is LTE too (TS 38.211 clause 4.2).",
                          UintegerValue(1),
                          MakeUintegerAccessor(&NeighbourSites::m_numerology),
                          MakeUintegerChecker<uint32_t>(0, 3))
            .AddAttribute("Prbs",
                          "Physical resource blocks of the carrier.",
                          UintegerValue(273),
                          MakeUintegerAccessor(&NeighbourSites::m_prbs),
                          MakeUintegerChecker<uint32_t>(1, 275))
            .AddAttribute("InterSiteDistance",
                          "In m. A sector's users are dropped in a hexagon whose sides are a third of it, ahead of the "
                          "site at one of its corners.",
                          DoubleValue(200),
                          MakeDoubleAccessor(&NeighbourSites::m_distance),
                          MakeDoubleChecker<double>(30))
            .AddAttribute("Rows",
                          "Of a sector's panel, for each polarization.",
                          UintegerValue(4),
                          MakeUintegerAccessor(&NeighbourSites::m_rows),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("Columns",
                          "Likewise.",
                          UintegerValue(8),
                          MakeUintegerAccessor(&NeighbourSites::m_columns),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("Polarizations",
                          "Of all antennas, over which what is received is spread evenly.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NeighbourSites::m_polarizations),
                          MakeUintegerChecker<uint32_t>(1, 2))
            .AddAttribute("Downtilt",
                          "By how many degrees a panel looks below the horizon.",
                          DoubleValue(12),
                          MakeDoubleAccessor(&NeighbourSites::m_downtiltDegrees),
                          MakeDoubleChecker<double>(-90, 90))
            .AddAttribute("AntennaElement",
                          "Of the panels; by default that of TR 38.901 table 7.3-1.",
                          PointerValue(CreateObject<ThreeGppAntennaModel>()),
                          MakePointerAccessor(&NeighbourSites::m_element),
                          MakePointerChecker<AntennaModel>())
            .AddAttribute("SectorPower",
                          "Of a sector, in dBm, even over all PRBs of the carrier, used or not.",
                          DoubleValue(44),
                          MakeDoubleAccessor(&NeighbourSites::m_sectorPowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("DevicePower",
                          "Of a user at most, in dBm.",
                          DoubleValue(23),
                          MakeDoubleAccessor(&NeighbourSites::m_devicePowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("NominalPower",
                          "P0 of TS 38.213 clause 7.1.1, in a PRB of 15 kHz, in dBm.",
                          DoubleValue(-80),
                          MakeDoubleAccessor(&NeighbourSites::m_nominalPowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("PathLossFactor",
                          "Alpha there.",
                          DoubleValue(1),
                          MakeDoubleAccessor(&NeighbourSites::m_pathLossFactor),
                          MakeDoubleChecker<double>(0, 1))
            .AddAttribute("RandomLoad",
                          "The steps of the load last for exponential times, drawn for each sector.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&NeighbourSites::m_isLoadRandom),
                          MakeBooleanChecker())
            .AddAttribute("PropagationLossModel",
                          "Path loss with shadowing, of these links alone.",
                          PointerValue(),
                          MakePointerAccessor(&NeighbourSites::m_loss),
                          MakePointerChecker<PropagationLossModel>())
            .AddAttribute("ChannelConditionModel",
                          "Decides which links have line of sight; that of the path loss, if it has one.",
                          PointerValue(),
                          MakePointerAccessor(&NeighbourSites::m_condition),
                          MakePointerChecker<ChannelConditionModel>())
            .AddAttribute("ServingLossModel",
                          "Path loss with shadowing between the cell's BS and its devices. Unset, nobody asks whether "
                          "the cell is the best for them.",
                          PointerValue(),
                          MakePointerAccessor(&NeighbourSites::m_servingLoss),
                          MakePointerChecker<PropagationLossModel>());
    return tid;
}

void
NeighbourSites::DoDispose()
{
    m_links.clear();
    m_sectors.clear();
    m_sites.clear();
    m_element = nullptr;
    m_loss = nullptr;
    m_condition = nullptr;
    m_servingLoss = nullptr;
    m_draw = nullptr;
    m_bs = nullptr;
    m_bsAntenna = nullptr;
    Object::DoDispose();
}

void
NeighbourSites::SetBaseStation(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    m_bs = mobility;
    m_bsAntenna = antenna;
    m_bsPanel = Panel(antenna->GetNumRows(), antenna->GetNumColumns(), 0, 0);
}

void
NeighbourSites::AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    auto& link = m_links.emplace_back();
    link.mobility = mobility;
    link.antenna = antenna;
    link.panel = Panel(antenna->GetNumRows(), antenna->GetNumColumns(), 0, 0);
}

void
NeighbourSites::AddSite(Ptr<Node> site)
{
    auto mobility = site->GetObject<MobilityModel>();
    m_sites.push_back({mobility, mobility->GetPosition()});
}

void
NeighbourSites::AddLoadStep(double seconds, double share)
{
    m_loadSteps.push_back({seconds * 1e9, share});
}

int64_t
NeighbourSites::AssignStreams(int64_t stream)
{
    int64_t used = 0;
    m_draw->SetStream(stream + used++);
    used += m_loss->AssignStreams(stream + used);
    used += m_condition ? m_condition->AssignStreams(stream + used) : 0;
    return used;
}

double
NeighbourSites::GetPath(Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    return FromDb(m_loss->CalcRxPower(0, a, b));
}

double
NeighbourSites::DrawPath(Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    for (uint32_t time = 1; time < SHADOWING_DRAWS; time++)
    {
        GetPath(a, b);
    }
    return GetPath(a, b);
}

double
NeighbourSites::GetElementGain(const Vector& direction) const
{
    return FromDb(m_element->GetGainDb(Angles(direction)));
}

void
NeighbourSites::Populate()
{
    constexpr uint32_t MOST = std::numeric_limits<uint32_t>::max();
    m_key = uint64_t{m_draw->GetInteger(0, MOST)} << 32;
    m_key += m_draw->GetInteger(0, MOST);
    m_bsPosition = m_bs->GetPosition();
    m_sectorPsdMw = FromDb(m_sectorPowerDbm) / m_prbs;
    m_devicePowerMw = FromDb(m_devicePowerDbm);
    m_panels = MakeSitePanels(m_rows, m_columns, m_downtiltDegrees);
    for (uint32_t i = 0; i < m_sites.size() * SITE_SECTORS; i++)
    {
        Sector sector{i / SITE_SECTORS, i % SITE_SECTORS, m_panels[i % SITE_SECTORS], {}, {}};
        sector.load = SectorLoad(m_loadSteps, m_isLoadRandom, Mix(Mix(m_key + i) ^ LOAD_SALT));
        sector.users.resize(USERS);
        for (auto& user : sector.users)
        {
            for (uint32_t tries = 0; tries < MOST_TRIES && !Drop(sector, user); tries++)
            {
            }
        }
        m_sectors.push_back(std::move(sector));
    }
}

Vector
NeighbourSites::DrawPlace(const Sector& sector)
{
    auto side = m_distance / 3;
    auto height = side * std::sqrt(3) / 2; // from the hexagon's middle to its sides
    double ahead = 0;
    double aside = 0;
    do
    {
        ahead = m_draw->GetValue(0, 2 * side);
        aside = m_draw->GetValue(-height, height);
    } while (std::abs(ahead - side) > side - std::abs(aside) / std::sqrt(3) ||
             std::hypot(ahead, aside) < LEAST_DISTANCE);
    auto place = m_sites[sector.site].position + sector.panel.GetWay(ahead, aside);
    place.z = USER_HEIGHT;
    return place;
}

bool
NeighbourSites::Drop(const Sector& sector, User& user)
{
    auto position = DrawPlace(sector);
    user.mobility = CreateObject<ConstantPositionMobilityModel>();
    user.mobility->SetPosition(position);
    CreateObject<Node>()->AggregateObject(user.mobility); // by which the models of the path tell links apart
    user.atBs = m_bsPanel.GetDirection(position - m_bsPosition);
    user.toBs = GetPath(m_bs, user.mobility) * GetGain(m_bsAntenna, Angles(position, m_bsPosition));
    auto best = user.toBs;
    double own = 0;
    for (uint32_t site = 0; site < m_sites.size(); site++)
    {
        auto path = GetPath(m_sites[site].mobility, user.mobility);
        for (const auto& panel : m_panels)
        {
            auto gain = path * GetElementGain(panel.GetDirection(position - m_sites[site].position));
            best = std::max(best, gain);
            own = site == sector.site && &panel == &m_panels[sector.index] ? gain : own;
        }
    }
    user.beam = sector.panel.GetDirection(position - m_sites[sector.site].position);
    PowerControl control(m_numerology, std::numeric_limits<double>::max(), m_nominalPowerDbm, m_pathLossFactor);
    user.openPsdMw = control.GetPsdMw(-ToDb(own * m_rows * m_columns), 1);
    return own >= best;
}

void
NeighbourSites::Renew()
{
    if (m_sectors.empty())
    {
        Populate();
    }
    DrawServing();
    for (auto& link : m_links)
    {
        auto position = link.mobility->GetPosition();
        if (!link.isRenewed || (position - link.position).GetLength() >= STEP)
        {
            link.position = position;
            if (!link.isRenewed)
            {
                DrawSites(link);
            }
            link.isRenewed = true;
            RenewLink(link);
        }
    }
}

void
NeighbourSites::DrawServing()
{
    for (uint32_t time = 0; m_servingLoss && time < SHADOWING_DRAWS; time++)
    {
        for (auto& link : m_links)
        {
            if (!link.isRenewed)
            {
                auto loss = FromDb(m_servingLoss->CalcRxPower(0, m_bs, link.mobility));
                link.serving = loss * GetGain(m_bsAntenna, Angles(link.mobility->GetPosition(), m_bsPosition));
            }
        }
    }
}

void
NeighbourSites::DrawSites(Link& link)
{
    for (const auto& site : m_sites)
    {
        double antenna = 0;
        for (const auto& panel : m_panels)
        {
            antenna = std::max(antenna, GetElementGain(panel.GetDirection(link.position - site.position)));
        }
        auto mobility = site.mobility;
        for (uint32_t tries = 1; tries < MOST_TRIES && DrawPath(mobility, link.mobility) * antenna > link.serving;
             tries++)
        {
            mobility = CreateObject<ConstantPositionMobilityModel>();
            mobility->SetPosition(site.position);
            CreateObject<Node>()->AggregateObject(mobility);
        }
        link.sites.push_back(mobility);
    }
}

void
NeighbourSites::RenewLink(Link& link)
{
    auto bsSeen = link.panel.GetDirection(m_bsPosition - link.position);
    auto seenByBs = m_bsPanel.GetDirection(link.position - m_bsPosition);
    link.paths.clear();
    std::vector<double> received; // of each site, had it one element of 0 dBi
    for (uint32_t i = 0; i < m_sites.size(); i++)
    {
        const auto& site = m_sites[i];
        link.paths.push_back(GetPath(link.sites[i], link.mobility));
        auto siteSeen = link.panel.GetDirection(site.position - link.position);
        received.push_back(link.paths.back() * GetGain(link.antenna, Angles(site.position, link.position)) *
                           link.panel.GetBeamGain(bsSeen, siteSeen));
    }
    auto& [down, up] = link.gain;
    down.clear();
    up.clear();
    link.mean.clear();
    for (const auto& sector : m_sectors)
    {
        auto direction = sector.panel.GetDirection(link.position - m_sites[sector.site].position);
        auto gain = received[sector.site] * GetElementGain(direction);
        double sum = 0;
        for (const auto& user : sector.users)
        {
            down.push_back(gain * sector.panel.GetBeamGain(user.beam, direction));
            sum += down.back();
            up.push_back(user.toBs * m_bsPanel.GetBeamGain(seenByBs, user.atBs));
        }
        link.mean.push_back(sum / USERS);
    }
    link.slot = {-1, -1};
}

double
NeighbourSites::GetShare(Sector& sector, int64_t slot) const
{
    return sector.load.GetShare(slot * 1e6 / (1 << m_numerology));
}

const std::vector<NeighbourSites::Use>&
NeighbourSites::GetUses(bool isUplink, int64_t slot)
{
    auto& uses = m_uses[isUplink];
    if (m_slot[isUplink] == slot)
    {
        return uses;
    }
    m_slot[isUplink] = slot;
    uses.resize(m_sectors.size());
    for (uint32_t i = 0; i < m_sectors.size(); i++)
    {
        auto& sector = m_sectors[i];
        auto drawn = Mix(Mix(m_key + i) ^ (2 * static_cast<uint64_t>(slot) + (isUplink ? 1 : 0)));
        // Sixteen bits for the user, 24 for the first PRB, 24 for the part of a PRB.
        auto& use = uses[i];
        auto part = static_cast<double>(drawn >> 40) / (1 << 24);
        use.prbs = std::min<uint32_t>(m_prbs, GetShare(sector, slot) * m_prbs + part);
        use.user = (drawn & 0xffff) * USERS >> 16;
        use.begin = ((drawn >> 16) & 0xffffff) * m_prbs >> 24;
        use.psdMw = !isUplink       ? m_sectorPsdMw
                    : use.prbs == 0 ? 0
                                    : std::min(sector.users[use.user].openPsdMw, m_devicePowerMw / use.prbs);
    }
    return uses;
}

const std::vector<double>&
NeighbourSites::GetInterferenceMw(uint32_t device, bool isUplink, int64_t slot)
{
    auto& link = m_links[device];
    auto& found = link.interferenceMw[isUplink];
    if (link.slot[isUplink] == slot)
    {
        return found;
    }
    link.slot[isUplink] = slot;
    found.assign(m_prbs + 1, 0.0); // first by how much it changes from one PRB to the next
    const auto& uses = GetUses(isUplink, slot);
    const auto& gains = link.gain[isUplink];
    for (uint32_t i = 0; i < uses.size(); i++)
    {
        const auto& use = uses[i];
        auto received = use.psdMw * gains[i * USERS + use.user] / m_polarizations;
        auto end = use.begin + use.prbs;
        if (use.prbs == m_prbs)
        {
            found[0] += received;
        }
        else if (end <= m_prbs)
        {
            found[use.begin] += received;
            found[end] -= received;
        }
        else
        {
            found[0] += received;
            found[end - m_prbs] -= received;
            found[use.begin] += received;
        }
    }
    for (uint32_t prb = 1; prb < m_prbs; prb++)
    {
        found[prb] += found[prb - 1];
    }
    found.resize(m_prbs);
    return found;
}

double
NeighbourSites::GetMeanInterferenceMw(uint32_t device, bool isUplink, int64_t slot)
{
    const auto& link = m_links[device];
    const auto& gains = link.gain[isUplink];
    double sum = 0;
    for (uint32_t i = 0; i < m_sectors.size(); i++)
    {
        auto share = GetShare(m_sectors[i], slot);
        if (!isUplink)
        {
            sum += share * m_sectorPsdMw * link.mean[i];
            continue;
        }
        auto mostMw = share > 0 ? m_devicePowerMw / (share * m_prbs) : 0;
        for (uint32_t user = 0; user < USERS; user++)
        {
            auto psdMw = std::min(m_sectors[i].users[user].openPsdMw, mostMw);
            sum += share * psdMw * gains[i * USERS + user] / USERS;
        }
    }
    return sum / m_polarizations;
}

double
NeighbourSites::GetGainDb(uint32_t device, uint32_t sector, double beamDowntiltDegrees) const
{
    const auto& link = m_links[device];
    const auto& [site, index, panel, load, users] = m_sectors[sector];
    auto direction = panel.GetDirection(link.position - m_sites[site].position);
    auto tilt = ToRadians(beamDowntiltDegrees - m_downtiltDegrees);
    auto beam = panel.GetBeamGain({std::cos(tilt), 0, -std::sin(tilt)}, direction);
    return ToDb(link.paths[site] * GetElementGain(direction) * beam);
}

Vector
NeighbourSites::GetUserPosition(uint32_t sector, uint32_t user) const
{
    return m_sectors[sector].users[user].mobility->GetPosition();
}

} // namespace ns3::cosim
