// SPDX-License-Identifier: GPL-2.0-only
#include "nr-channel.h"

#include "decibel.h"
#include "doppler-mobility.h"

#include "ns3/angles.h"
#include "ns3/double.h"
#include "ns3/node.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrChannel);

namespace
{

constexpr double THERMAL_NOISE_DBM_HZ = -174;
constexpr double SPEED_OF_LIGHT = 299792458;
constexpr uint32_t OVERSAMPLING = 2; // of the grid of beams; ours

using Complex = std::complex<double>;
using Beam = std::vector<Complex>;

/// std::complex's own product looks for infinities, which costs several times as much.
Complex
Multiply(Complex a, Complex b)
{
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

Complex
Turn(double turns)
{
    return std::polar(1.0, 2 * std::numbers::pi * (turns - std::floor(turns)));
}

uint32_t
CountElements(Ptr<const PhasedArrayModel> antenna)
{
    return antenna->GetNumElems() / antenna->GetNumPols(); // of each polarization
}

/// A grid of beams of one polarization's elements, as a DFT has them; each of norm 1.
std::vector<Beam>
MakeBeams(Ptr<const PhasedArrayModel> antenna)
{
    auto rows = antenna->GetNumRows();
    auto columns = antenna->GetNumColumns();
    std::vector<Beam> beams;
    for (uint32_t v = 0; v < (rows > 1 ? rows * OVERSAMPLING : 1); v++)
    {
        for (uint32_t h = 0; h < (columns > 1 ? columns * OVERSAMPLING : 1); h++)
        {
            Beam beam;
            for (uint32_t i = 0; i < rows * columns; i++)
            {
                auto row = i / columns;
                auto column = i % columns;
                auto turns = static_cast<double>(row * v) / (rows * OVERSAMPLING) +
                             static_cast<double>(column * h) / (columns * OVERSAMPLING);
                beam.push_back(Turn(turns) / std::sqrt(rows * columns));
            }
            beams.push_back(std::move(beam));
        }
    }
    return beams;
}

} // namespace

NrChannel::NrChannel() = default;
NrChannel::~NrChannel() = default;

TypeId
NrChannel::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NrChannel")
            .SetParent<Channel>()
            .SetGroupName("Cosim")
            .AddConstructor<NrChannel>()
            .AddAttribute("Frequency",
                          "Carrier frequency (Hz), the centre of the PRBs.",
                          DoubleValue(3.5e9),
                          MakeDoubleAccessor(&NrChannel::m_frequency),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("UplinkFrequency",
                          "That of the uplink, the same with TDD.",
                          DoubleValue(3.5e9),
                          MakeDoubleAccessor(&NrChannel::m_uplinkFrequency),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("Prbs",
                          "Physical resource blocks of the carrier.",
                          UintegerValue(273),
                          MakeUintegerAccessor(&NrChannel::m_prbs),
                          MakeUintegerChecker<uint32_t>(1, 275))
            .AddAttribute("SubcarrierSpacing",
                          "In Hz.",
                          DoubleValue(30e3),
                          MakeDoubleAccessor(&NrChannel::m_subcarrierSpacing),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("PropagationLossModel",
                          "Path loss with shadowing, the same both ways.",
                          PointerValue(),
                          MakePointerAccessor(&NrChannel::m_loss),
                          MakePointerChecker<PropagationLossModel>())
            .AddAttribute("ChannelConditionModel",
                          "Decides which links have line of sight; that of the path loss.",
                          PointerValue(),
                          MakePointerAccessor(&NrChannel::m_condition),
                          MakePointerChecker<ChannelConditionModel>())
            .AddAttribute("Fading",
                          "A scenario of TR 38.901 by the name that ns-3's ThreeGppChannelModel has for it, or none.",
                          StringValue("none"),
                          MakeStringAccessor(&NrChannel::m_fading),
                          MakeStringChecker())
            .AddAttribute("UpdatePeriod",
                          "For so long a channel is taken to stay as it is.",
                          TimeValue(MilliSeconds(1)),
                          MakeTimeAccessor(&NrChannel::m_updatePeriod),
                          MakeTimeChecker(NanoSeconds(1)))
            .AddAttribute("GnbNoiseFigure",
                          "In dB.",
                          DoubleValue(5),
                          MakeDoubleAccessor(&NrChannel::m_gnbNoiseFigureDb),
                          MakeDoubleChecker<double>())
            .AddAttribute("DeviceNoiseFigure",
                          "In dB.",
                          DoubleValue(7),
                          MakeDoubleAccessor(&NrChannel::m_deviceNoiseFigureDb),
                          MakeDoubleChecker<double>())
            .AddAttribute("MaxRank",
                          "Layers at most; two need two polarizations at both ends.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NrChannel::m_maxRank),
                          MakeUintegerChecker<uint32_t>(1, 2));
    return tid;
}

void
NrChannel::DoDispose()
{
    m_links.clear();
    m_loss = nullptr;
    m_condition = nullptr;
    m_gnb = nullptr;
    m_gnbAntenna = nullptr;
    Channel::DoDispose();
}

void
NrChannel::SetGnb(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    m_gnb = mobility;
    m_gnbAntenna = antenna;
}

uint32_t
NrChannel::AddDevice(Ptr<MobilityModel> mobility, Ptr<PhasedArrayModel> antenna)
{
    auto& link = m_links.emplace_back();
    link.mobility = mobility;
    link.antenna = antenna;
    if (m_fading != "none")
    {
        // A model for each link, so that what one draws is nothing to the others.
        link.fading = CreateObject<MovingChannelModel>();
        link.fading->SetAttribute("Frequency", DoubleValue(m_frequency));
        link.fading->SetAttribute("Scenario", StringValue(m_fading));
        link.fading->SetAttribute("ChannelConditionModel", PointerValue(m_condition));
    }
    return m_links.size() - 1;
}

int64_t
NrChannel::AssignStreams(int64_t stream)
{
    int64_t used = 0;
    for (auto& link : m_links)
    {
        used += link.fading ? link.fading->AssignStreams(stream + used) : 0;
    }
    return used;
}

std::size_t
NrChannel::GetNDevices() const
{
    return 0;
}

Ptr<NetDevice>
NrChannel::GetDevice(std::size_t) const
{
    return nullptr;
}

const std::vector<NrPrbGain>&
NrChannel::GetDownlink(uint32_t device)
{
    return Get(device, false);
}

const std::vector<NrPrbGain>&
NrChannel::GetUplink(uint32_t device)
{
    return Get(device, true);
}

double
NrChannel::GetNoiseMw(bool isUplink) const
{
    auto figure = isUplink ? m_gnbNoiseFigureDb : m_deviceNoiseFigureDb;
    return FromDb(THERMAL_NOISE_DBM_HZ + figure) * SUBCARRIERS * m_subcarrierSpacing;
}

const std::vector<NrPrbGain>&
NrChannel::Get(uint32_t device, bool isUplink)
{
    auto& link = m_links[device];
    auto period = Simulator::Now().GetNanoSeconds() / m_updatePeriod.GetNanoSeconds();
    if (link.period[isUplink] != period)
    {
        link.period[isUplink] = period;
        if (link.powerPeriod != period)
        {
            link.powerPeriod = period;
            link.power = FromDb(m_loss->CalcRxPower(0, m_gnb, link.mobility));
        }
        link.gains[isUplink].resize(m_prbs);
        if (link.fading)
        {
            UpdateFading(link, isUplink, link.power, period);
        }
        else
        {
            UpdateFlat(link, isUplink, link.power);
        }
    }
    return link.gains[isUplink];
}

void
NrChannel::UpdateFlat(Link& link, bool isUplink, double power)
{
    auto gnb = m_gnb->GetPosition();
    auto device = link.mobility->GetPosition();
    auto pattern = [](Ptr<const PhasedArrayModel> antenna, const Angles& angles) {
        auto [vertical, horizontal] = antenna->GetElementFieldPattern(angles);
        return vertical * vertical + horizontal * horizontal;
    };
    auto elements = pattern(m_gnbAntenna, Angles(device, gnb)) * pattern(link.antenna, Angles(gnb, device));
    auto arrays = CountElements(m_gnbAntenna) * CountElements(link.antenna); // beams towards each other
    auto gain = power * elements * arrays / GetNoiseMw(isUplink);
    bool isPair = m_maxRank == 2 && m_gnbAntenna->GetNumPols() == 2 && link.antenna->GetNumPols() == 2;
    auto layer = isPair ? gain : 0;
    std::fill(link.gains[isUplink].begin(), link.gains[isUplink].end(), NrPrbGain{gain, layer, layer, 0});
}

void
NrChannel::ChooseBeams(Link& link)
{
    const auto& h = link.matrix->m_channel; // device's element, gNB's element, cluster
    auto gnbElements = CountElements(m_gnbAntenna);
    auto deviceElements = CountElements(link.antenna);
    auto clusters = h.GetNumPages();
    auto deviceRows = link.antenna->GetNumElems();
    auto polarizations = m_gnbAntenna->GetNumPols();
    // One polarization's elements of the gNB, for each cluster, device's element, polarization.
    std::vector<Complex> rows;
    rows.reserve(clusters * deviceRows * polarizations * gnbElements);
    for (size_t cluster = 0; cluster < clusters; cluster++)
    {
        for (size_t u = 0; u < deviceRows; u++)
        {
            for (size_t s = 0; s < size_t{polarizations} * gnbElements; s++)
            {
                rows.push_back(h(u, s, cluster));
            }
        }
    }
    auto receive = [&rows, gnbElements](size_t row, const Beam& beam) {
        Complex sum = 0;
        for (size_t s = 0; s < gnbElements; s++)
        {
            sum += Multiply(rows[row * gnbElements + s], beam[s]);
        }
        return sum;
    };
    // First the gNB's beam, by what all elements of the device get of it; then the device's, given that one.
    Beam best;
    double most = -1;
    for (auto& beam : MakeBeams(m_gnbAntenna))
    {
        double power = 0;
        for (size_t row = 0; row < clusters * deviceRows * polarizations; row++)
        {
            power += std::norm(receive(row, beam));
        }
        if (power > most * (1 + 1e-9)) // else the first of equals
        {
            most = power;
            best = std::move(beam);
        }
    }
    // The gNB's beams, at each of the device's elements.
    std::vector<std::vector<std::array<Complex, 2>>> behind(clusters);
    for (size_t cluster = 0; cluster < clusters; cluster++)
    {
        behind[cluster].resize(deviceRows);
        for (size_t u = 0; u < deviceRows; u++)
        {
            for (size_t polarization = 0; polarization < polarizations; polarization++)
            {
                behind[cluster][u][polarization] =
                    receive((cluster * deviceRows + u) * polarizations + polarization, best);
            }
        }
    }
    most = -1;
    for (const auto& beam : MakeBeams(link.antenna))
    {
        std::vector<Ports> ports(clusters);
        double power = 0;
        for (size_t cluster = 0; cluster < clusters; cluster++)
        {
            for (size_t u = 0; u < deviceRows; u++)
            {
                for (size_t port : {0, 1})
                {
                    ports[cluster][u / deviceElements][port] +=
                        Multiply(behind[cluster][u][port], beam[u % deviceElements]);
                }
            }
            for (const auto& row : ports[cluster])
            {
                power += std::norm(row[0]) + std::norm(row[1]);
            }
        }
        if (power > most * (1 + 1e-9))
        {
            most = power;
            link.clusters = std::move(ports);
        }
    }
}

void
NrChannel::UpdateFading(Link& link, bool isUplink, double power, int64_t period)
{
    auto frequency = isUplink ? m_uplinkFrequency : m_frequency;
    if (link.channelPeriod != period || link.channelFrequency != frequency)
    {
        link.channelPeriod = period;
        link.channelFrequency = frequency;
        UpdateChannel(link, frequency, period * m_updatePeriod.GetSeconds());
    }
    Combine(link, isUplink, power / GetNoiseMw(isUplink));
}

Vector
NrChannel::GetWay(Ptr<MobilityModel> mobility, const Vector& from, double time)
{
    auto velocity = mobility->GetVelocity();
    auto scaled = [&velocity](double t) { return Vector(velocity.x * t, velocity.y * t, velocity.z * t); };
    if (DynamicCast<DopplerMobilityModel>(mobility))
    {
        return scaled(time); // it stays where it is, and all around it moves
    }
    return mobility->GetPosition() - scaled(Simulator::Now().GetSeconds() - time) - from;
}

void
NrChannel::UpdateChannel(Link& link, double frequency, double time)
{
    auto place = link.mobility->GetPosition();
    auto gnbPlace = m_gnb->GetPosition();
    if (!link.matrix || place != link.askedAt || gnbPlace != link.gnbAskedAt) // asking costs, even if nothing is new
    {
        link.askedAt = place;
        link.gnbAskedAt = gnbPlace;
        auto matrix = link.fading->GetChannel(m_gnb, link.mobility, m_gnbAntenna, link.antenna);
        if (matrix != link.matrix)
        {
            link.matrix = matrix;
            link.drawnAt = place;
            link.gnbDrawnAt = gnbPlace;
            ChooseBeams(link);
        }
    }
    auto params = link.fading->GetParams(m_gnb, link.mobility);
    auto stepHz = SUBCARRIERS * m_subcarrierSpacing;
    auto firstHz = frequency - m_frequency - stepHz * (m_prbs - 1) / 2;
    auto gnbWay = GetWay(m_gnb, link.gnbDrawnAt, time);
    auto deviceWay = GetWay(link.mobility, link.drawnAt, time);
    link.channel.assign(m_prbs, Ports{});
    for (size_t cluster = 0; cluster < link.clusters.size(); cluster++)
    {
        // TR 38.901 equation 7.5-22's last factor, for both ends, by the way they went (ns-3 has the angles in
        // degrees).
        auto radians = [&params, cluster](size_t angle) { return DegreesToRadians(params->m_angle[angle][cluster]); };
        auto project = [](const Vector& way, double azimuth, double zenith) {
            return std::sin(zenith) * (std::cos(azimuth) * way.x + std::sin(azimuth) * way.y) +
                   std::cos(zenith) * way.z;
        };
        auto nearer =
            project(deviceWay,
                    radians(MatrixBasedChannelModel::AOA_INDEX),
                    radians(MatrixBasedChannelModel::ZOA_INDEX)) +
            project(gnbWay, radians(MatrixBasedChannelModel::AOD_INDEX), radians(MatrixBasedChannelModel::ZOD_INDEX));
        auto delay = params->m_delay[cluster];
        auto phasor = Turn(nearer * frequency / SPEED_OF_LIGHT - firstHz * delay);
        auto step = Turn(-stepHz * delay);
        const auto& ports = link.clusters[cluster];
        for (auto& prb : link.channel)
        {
            for (size_t u : {0, 1})
            {
                for (size_t s : {0, 1})
                {
                    prb[u][s] += Multiply(ports[u][s], phasor);
                }
            }
            phasor = Multiply(phasor, step);
        }
    }
}

void
NrChannel::Combine(Link& link, bool isUplink, double scale)
{
    auto sender = isUplink ? link.antenna : m_gnbAntenna;
    auto receiver = isUplink ? m_gnbAntenna : link.antenna;
    bool hasTwoPorts = sender->GetNumPols() == 2;
    bool isPair = m_maxRank == 2 && hasTwoPorts && receiver->GetNumPols() == 2;

    // Of the channel from the sender's two ports, vectors a and b: (|a|^2 + |b|^2) / 2, (|a|^2 - |b|^2) / 2, a^H b.
    struct Products
    {
        double mean;
        double difference;
        Complex inner;
    };

    std::vector<Products> products(m_prbs);
    Complex whole = 0;
    double disturbance = 0; // of two layers, more without a turn than with a quarter's
    for (size_t prb = 0; prb < m_prbs; prb++)
    {
        const auto& ports = link.channel[prb];
        auto a0 = ports[0][0];
        auto a1 = isUplink ? ports[0][1] : ports[1][0];
        auto b0 = isUplink ? ports[1][0] : ports[0][1];
        auto b1 = ports[1][1];
        auto a = std::norm(a0) + std::norm(a1);
        auto b = std::norm(b0) + std::norm(b1);
        auto inner = Multiply(std::conj(a0), b0) + Multiply(std::conj(a1), b1);
        products[prb] = {(a + b) / 2, (a - b) / 2, inner};
        whole += inner;
        disturbance += inner.imag() * inner.imag() - inner.real() * inner.real();
    }
    // One layer: of the precoders of TS 38.214 table 5.2.2.2.1-1, (1, t) / sqrt(2), the one by which most power comes.
    constexpr std::array<Complex, 4> TURNS{Complex(1, 0), Complex(0, 1), Complex(-1, 0), Complex(0, -1)};
    auto turn = *std::max_element(TURNS.begin(), TURNS.end(), [whole](Complex x, Complex y) {
        return (x * whole).real() < (y * whole).real();
    });
    // Two layers, (1, t) and (1, -t): of its two the one whose layers disturb each other less.
    auto pairTurn = TURNS[disturbance > 0 ? 1 : 0];
    for (size_t prb = 0; prb < m_prbs; prb++)
    {
        const auto& [mean, difference, inner] = products[prb];
        auto& gain = link.gains[isUplink][prb];
        gain = {2 * scale * mean, 0, 0, 0}; // of the one port that there is
        if (hasTwoPorts)
        {
            gain.single = scale * (mean + (turn * inner).real());
        }
        if (isPair)
        {
            auto turned = pairTurn * inner;
            gain.first = scale * (mean + turned.real());
            gain.second = scale * (mean - turned.real());
            gain.crossed = scale * scale * (difference * difference + turned.imag() * turned.imag());
        }
    }
}

} // namespace ns3::cosim
