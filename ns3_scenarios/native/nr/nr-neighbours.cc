// SPDX-License-Identifier: GPL-2.0-only
#include "nr-neighbours.h"

#include "decibel.h"
#include "nr-power-control.h"

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

NS_OBJECT_ENSURE_REGISTERED(NrNeighbours);

namespace
{

constexpr double STEP = 0.5;               // m that a device moves before its links are computed anew; ours
constexpr double USER_HEIGHT = 1.5;        // m, outdoors, TR 38.901 table 7.2-1
constexpr double LEAST_DISTANCE = 10;      // m, of a user from its site, likewise for UMi
constexpr uint32_t MOST_TRIES = 50;        // for a place where a user's own sector is the best; ours
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

/// Of a gain over noise make that over 1 / `kept` times as much.
void
Lower(NrPrbGain& gain, double kept)
{
    gain.single *= kept;
    gain.first *= kept;
    gain.second *= kept;
    gain.crossed *= kept * kept;
}

} // namespace

NrNeighbours::NrNeighbours()
    : m_draw(CreateObject<UniformRandomVariable>())
{
}

NrNeighbours::~NrNeighbours() = default;

TypeId
NrNeighbours::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NrNeighbours")
            .SetParent<Object>()
            .SetGroupName("Cosim")
            .AddConstructor<NrNeighbours>()
            .AddAttribute("Numerology",
                          "As NrCell's.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&NrNeighbours::m_numerology),
                          MakeUintegerChecker<uint32_t>(0, 3))
            .AddAttribute("Prbs",
                          "Physical resource blocks of the carrier.",
                          UintegerValue(273),
                          MakeUintegerAccessor(&NrNeighbours::m_prbs),
                          MakeUintegerChecker<uint32_t>(1, 275))
            .AddAttribute("InterSiteDistance",
                          "In m. A sector's users are dropped in a hexagon whose sides are a third of it, ahead of the "
                          "site at one of its corners.",
                          DoubleValue(200),
                          MakeDoubleAccessor(&NrNeighbours::m_distance),
                          MakeDoubleChecker<double>(30))
            .AddAttribute("Rows",
                          "Of a sector's panel, for each polarization.",
                          UintegerValue(4),
                          MakeUintegerAccessor(&NrNeighbours::m_rows),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("Columns",
                          "Likewise.",
                          UintegerValue(8),
                          MakeUintegerAccessor(&NrNeighbours::m_columns),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("Polarizations",
                          "Of all antennas, over which what is received is spread evenly.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NrNeighbours::m_polarizations),
                          MakeUintegerChecker<uint32_t>(1, 2))
            .AddAttribute("Downtilt",
                          "By how many degrees a panel looks below the horizon.",
                          DoubleValue(12),
                          MakeDoubleAccessor(&NrNeighbours::m_downtiltDegrees),
                          MakeDoubleChecker<double>(-90, 90))
            .AddAttribute("AntennaElement",
                          "Of the panels; by default that of TR 38.901 table 7.3-1.",
                          PointerValue(CreateObject<ThreeGppAntennaModel>()),
                          MakePointerAccessor(&NrNeighbours::m_element),
                          MakePointerChecker<AntennaModel>())
            .AddAttribute("GnbPower",
                          "Of a sector, in dBm, even over all PRBs of the carrier, used or not.",
                          DoubleValue(44),
                          MakeDoubleAccessor(&NrNeighbours::m_gnbPowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("DevicePower",
                          "Of a user at most, in dBm.",
                          DoubleValue(23),
                          MakeDoubleAccessor(&NrNeighbours::m_devicePowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("NominalPower",
                          "P0 of TS 38.213 clause 7.1.1, in a PRB of 15 kHz, in dBm.",
                          DoubleValue(-80),
                          MakeDoubleAccessor(&NrNeighbours::m_nominalPowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("PathLossFactor",
                          "Alpha there.",
                          DoubleValue(1),
                          MakeDoubleAccessor(&NrNeighbours::m_pathLossFactor),
                          MakeDoubleChecker<double>(0, 1))
            .AddAttribute("RandomLoad",
                          "The steps of the load last for exponential times, drawn for each sector.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&NrNeighbours::m_isLoadRandom),
                          MakeBooleanChecker())
            .AddAttribute("PropagationLossModel",
                          "Path loss with shadowing, of these links alone.",
                          PointerValue(),
                          MakePointerAccessor(&NrNeighbours::m_loss),
                          MakePointerChecker<PropagationLossModel>())
            .AddAttribute("ChannelConditionModel",
                          "Decides which links have line of sight; that of the path loss, if it has one.",
                          PointerValue(),
                          MakePointerAccessor(&NrNeighbours::m_condition),
                          MakePointerChecker<ChannelConditionModel>());
    return tid;
}

void
NrNeighbours::DoDispose()
{
    m_links.clear();
    m_sectors.clear();
    m_sites.clear();
    m_element = nullptr;
    m_loss = nullptr;
    m_condition = nullptr;
    m_draw = nullptr;
    m_gnb = nullptr;
    m_gnbAntenna = nullptr;
    Object::DoDispose();
}

void
NrNeighbours::SetGnb(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    m_gnb = mobility;
    m_gnbAntenna = antenna;
    m_gnbPanel = NrPanel(antenna->GetNumRows(), antenna->GetNumColumns(), 0, 0);
}

void
NrNeighbours::AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    auto& link = m_links.emplace_back();
    link.mobility = mobility;
    link.antenna = antenna;
    link.panel = NrPanel(antenna->GetNumRows(), antenna->GetNumColumns(), 0, 0);
}

void
NrNeighbours::AddSite(Ptr<Node> site)
{
    auto mobility = site->GetObject<MobilityModel>();
    m_sites.push_back({mobility, mobility->GetPosition()});
}

void
NrNeighbours::AddLoadStep(double seconds, double share)
{
    m_loadSteps.push_back({seconds * 1e9, share});
}

int64_t
NrNeighbours::AssignStreams(int64_t stream)
{
    int64_t used = 0;
    m_draw->SetStream(stream + used++);
    used += m_loss->AssignStreams(stream + used);
    used += m_condition ? m_condition->AssignStreams(stream + used) : 0;
    return used;
}

double
NrNeighbours::GetPath(Ptr<MobilityModel> a, Ptr<MobilityModel> b) const
{
    return FromDb(m_loss->CalcRxPower(0, a, b));
}

double
NrNeighbours::GetElementGain(const Vector& direction) const
{
    return FromDb(m_element->GetGainDb(Angles(direction)));
}

void
NrNeighbours::Populate()
{
    constexpr uint32_t MOST = std::numeric_limits<uint32_t>::max();
    m_key = uint64_t{m_draw->GetInteger(0, MOST)} << 32;
    m_key += m_draw->GetInteger(0, MOST);
    m_gnbPosition = m_gnb->GetPosition();
    m_gnbPsdMw = FromDb(m_gnbPowerDbm) / m_prbs;
    m_devicePowerMw = FromDb(m_devicePowerDbm);
    m_panels = MakeSitePanels(m_rows, m_columns, m_downtiltDegrees);
    for (uint32_t i = 0; i < m_sites.size() * SITE_SECTORS; i++)
    {
        Sector sector{i / SITE_SECTORS, i % SITE_SECTORS, m_panels[i % SITE_SECTORS], {}, {}};
        sector.load = NrSectorLoad(m_loadSteps, m_isLoadRandom, Mix(Mix(m_key + i) ^ LOAD_SALT));
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
NrNeighbours::DrawPlace(const Sector& sector)
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
NrNeighbours::Drop(const Sector& sector, User& user)
{
    auto position = DrawPlace(sector);
    user.mobility = CreateObject<ConstantPositionMobilityModel>();
    user.mobility->SetPosition(position);
    CreateObject<Node>()->AggregateObject(user.mobility); // by which the models of the path tell links apart
    user.atGnb = m_gnbPanel.GetDirection(position - m_gnbPosition);
    user.toGnb = GetPath(m_gnb, user.mobility) * GetGain(m_gnbAntenna, Angles(position, m_gnbPosition));
    auto best = user.toGnb;
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
    NrPowerControl control(m_numerology, std::numeric_limits<double>::max(), m_nominalPowerDbm, m_pathLossFactor);
    user.openPsdMw = control.GetPsdMw(-ToDb(own * m_rows * m_columns), 1);
    return own >= best;
}

void
NrNeighbours::Renew()
{
    if (m_sectors.empty())
    {
        Populate();
    }
    for (auto& link : m_links)
    {
        auto position = link.mobility->GetPosition();
        if (!link.isRenewed || (position - link.position).GetLength() >= STEP)
        {
            link.isRenewed = true;
            link.position = position;
            RenewLink(link);
        }
    }
}

void
NrNeighbours::RenewLink(Link& link)
{
    auto gnbSeen = link.panel.GetDirection(m_gnbPosition - link.position);
    auto seenByGnb = m_gnbPanel.GetDirection(link.position - m_gnbPosition);
    link.paths.clear();
    std::vector<double> received; // of each site, had it one element of 0 dBi
    for (const auto& site : m_sites)
    {
        link.paths.push_back(GetPath(site.mobility, link.mobility));
        auto siteSeen = link.panel.GetDirection(site.position - link.position);
        received.push_back(link.paths.back() * GetGain(link.antenna, Angles(site.position, link.position)) *
                           link.panel.GetBeamGain(gnbSeen, siteSeen));
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
            up.push_back(user.toGnb * m_gnbPanel.GetBeamGain(seenByGnb, user.atGnb));
        }
        link.mean.push_back(sum / USERS);
    }
    link.slot = {-1, -1};
}

double
NrNeighbours::GetShare(Sector& sector, int64_t slot) const
{
    return sector.load.GetShare(slot * 1e6 / (1 << m_numerology));
}

const std::vector<NrNeighbours::Use>&
NrNeighbours::GetUses(bool isUplink, int64_t slot)
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
        use.psdMw = !isUplink       ? m_gnbPsdMw
                    : use.prbs == 0 ? 0
                                    : std::min(sector.users[use.user].openPsdMw, m_devicePowerMw / use.prbs);
    }
    return uses;
}

const std::vector<double>&
NrNeighbours::GetInterferenceMw(uint32_t device, bool isUplink, int64_t slot)
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
NrNeighbours::GetMeanInterferenceMw(uint32_t device, bool isUplink, int64_t slot)
{
    const auto& link = m_links[device];
    const auto& gains = link.gain[isUplink];
    double sum = 0;
    for (uint32_t i = 0; i < m_sectors.size(); i++)
    {
        auto share = GetShare(m_sectors[i], slot);
        if (!isUplink)
        {
            sum += share * m_gnbPsdMw * link.mean[i];
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

void
NrNeighbours::AddInterference(uint32_t device,
                              bool isUplink,
                              int64_t slot,
                              uint32_t begin,
                              uint32_t end,
                              double noiseMw,
                              std::vector<NrPrbGain>& gains)
{
    const auto& interferenceMw = GetInterferenceMw(device, isUplink, slot);
    auto gain = gains.end() - (end - begin);
    for (auto prb = begin; prb < end; prb++)
    {
        Lower(*gain++, noiseMw / (noiseMw + interferenceMw[prb]));
    }
}

void
NrNeighbours::AddMeanInterference(uint32_t device,
                                  bool isUplink,
                                  int64_t slot,
                                  double noiseMw,
                                  std::vector<NrPrbGain>& gains)
{
    auto kept = noiseMw / (noiseMw + GetMeanInterferenceMw(device, isUplink, slot));
    for (auto& gain : gains)
    {
        Lower(gain, kept);
    }
}

double
NrNeighbours::GetGainDb(uint32_t device, uint32_t sector, double beamDowntiltDegrees) const
{
    const auto& link = m_links[device];
    const auto& [site, index, panel, load, users] = m_sectors[sector];
    auto direction = panel.GetDirection(link.position - m_sites[site].position);
    auto tilt = ToRadians(beamDowntiltDegrees - m_downtiltDegrees);
    auto beam = panel.GetBeamGain({std::cos(tilt), 0, -std::sin(tilt)}, direction);
    return ToDb(link.paths[site] * GetElementGain(direction) * beam);
}

Vector
NrNeighbours::GetUserPosition(uint32_t sector, uint32_t user) const
{
    return m_sectors[sector].users[user].mobility->GetPosition();
}

} // namespace ns3::cosim
