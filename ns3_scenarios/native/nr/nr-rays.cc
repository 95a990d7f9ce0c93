// SPDX-License-Identifier: GPL-2.0-only
#include "nr-rays.h"

#include "wide.h"

#include "ns3/angles.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ns3::cosim
{

namespace
{

constexpr double SPEED_OF_LIGHT_MPS = 299792458;
constexpr double NS3_SPEED_OF_LIGHT = 3.0e8; // in ns-3's phase of the direct ray
constexpr int SERIES = 8;                    // terms of a sine and a cosine, for an error below 1e-12

Vector
GetDirection(double azimuth, double zenith)
{
    return {std::sin(zenith) * std::cos(azimuth), std::sin(zenith) * std::sin(azimuth), std::cos(zenith)};
}

double
GetProduct(const Vector& a, const Vector& b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

/// What an array's beam makes of a ray in this direction; its polarizations' elements are in the same places.
std::complex<double>
GetArrayFactor(const NrEnd& end, const Vector& direction)
{
    std::complex<double> sum = 0;
    for (size_t i = 0; i < end.beam.size(); i++)
    {
        auto turns = GetProduct(direction, end.antenna->GetElementLocation(i)); // which is in wavelengths
        sum += end.beam[i] * std::polar(1.0, 2 * std::numbers::pi * turns);
    }
    return sum;
}

/// The cluster's part, from 0 to 2, that ns-3 adds a ray to (TR 38.901 table 7.5-5).
size_t
GetPart(size_t ray)
{
    if (ray >= 13 && ray <= 16)
    {
        return 2;
    }
    return (ray >= 9 && ray <= 12) || ray == 17 || ray == 18 ? 1 : 0;
}

/// Polarizations of TR 38.901 equation 7.5-22: theta from theta, from phi, phi from theta, from phi.
using Polarizations = std::array<std::complex<double>, 4>;

/// A ray behind both beams.
NrPorts
GetPorts(const NrEnd& gnb,
         const Angles& departure,
         const NrEnd& device,
         const Angles& arrival,
         const Polarizations& polarizations,
         double amplitude)
{
    auto factor = amplitude * GetArrayFactor(gnb, GetDirection(departure.GetAzimuth(), departure.GetInclination())) *
                  GetArrayFactor(device, GetDirection(arrival.GetAzimuth(), arrival.GetInclination()));
    NrPorts ports{};
    for (uint8_t u = 0; u < device.antenna->GetNumPols(); u++)
    {
        auto [devicePhi, deviceTheta] = device.antenna->GetElementFieldPattern(arrival, u);
        for (uint8_t s = 0; s < gnb.antenna->GetNumPols(); s++)
        {
            auto [gnbPhi, gnbTheta] = gnb.antenna->GetElementFieldPattern(departure, s);
            auto sum = polarizations[0] * deviceTheta * gnbTheta + polarizations[1] * deviceTheta * gnbPhi +
                       polarizations[2] * devicePhi * gnbTheta + polarizations[3] * devicePhi * gnbPhi;
            ports[u * 2 + s] = sum * factor;
        }
    }
    return ports;
}

/// Of some rays.
template <size_t N>
using Each = std::array<double, N>;

/// Cosine and sine of several turns, without a branch, so that the compiler computes some at once.
template <size_t N>
[[gnu::always_inline]] inline void
TurnAll(const Each<N>& turns, Each<N>& cosine, Each<N>& sine)
{
    constexpr double ROUNDING = 0x1.8p52; // added and subtracted it leaves the nearest integer
    Each<N> half;                         // of each angle, a quarter turn at most
    Each<N> square;
    Each<N> s;
    Each<N> c;
    for (size_t i = 0; i < N; i++)
    {
        half[i] = std::numbers::pi * (turns[i] - ((turns[i] + ROUNDING) - ROUNDING));
        square[i] = half[i] * half[i];
        s[i] = 1;
        c[i] = 1;
    }
    for (int term = SERIES; term > 0; term--)
    {
        auto sineStep = 1.0 / (2 * term * (2 * term + 1));
        auto cosineStep = 1.0 / (2 * term * (2 * term - 1));
        for (size_t i = 0; i < N; i++)
        {
            s[i] = 1 - s[i] * (square[i] * sineStep);
            c[i] = 1 - c[i] * (square[i] * cosineStep);
        }
    }
    for (size_t i = 0; i < N; i++)
    {
        s[i] *= half[i];
        cosine[i] = 1 - 2 * s[i] * s[i];
        sine[i] = 2 * s[i] * c[i];
    }
}

/// To a tap's sum the rays from `begin` to before `end`, turned.
[[gnu::always_inline]] inline void
AddRays(const NrCoefficients* rays, const double* cosine, const double* sine, size_t count, NrCoefficients& sum)
{
    for (size_t i = 0; i < count; i++)
    {
        for (size_t port = 0; port < NR_PORTS; port++)
        {
            sum.real[port] += rays[i].real[port] * cosine[i] - rays[i].imaginary[port] * sine[i];
            sum.imaginary[port] += rays[i].real[port] * sine[i] + rays[i].imaginary[port] * cosine[i];
        }
    }
}

} // namespace

void
NrRays::Draw(const MovingChannelModel::ThreeGppChannelParams& drawn,
             double frequency,
             const NrEnd& gnb,
             const NrEnd& device)
{
    m_delays = drawn.m_delay;
    m_ends.clear();
    m_rays.clear();
    m_directions.clear();
    auto sight = drawn.m_losCondition == ChannelCondition::LOS;
    auto ricean = sight ? std::pow(10, drawn.m_K_factor / 10) : 0;
    auto add = [this, &drawn, &gnb, &device, ricean](size_t cluster, size_t ray) {
        Angles departure(drawn.m_rayAodRadian[cluster][ray], drawn.m_rayZodRadian[cluster][ray]);
        Angles arrival(drawn.m_rayAoaRadian[cluster][ray], drawn.m_rayZoaRadian[cluster][ray]);
        auto crossed = 1 / std::sqrt(drawn.m_crossPolarizationPowerRatios[cluster][ray]);
        const auto& phases = drawn.m_clusterPhase[cluster][ray];
        Polarizations polarizations{std::polar(1.0, phases[0]),
                                    std::polar(crossed, phases[1]),
                                    std::polar(crossed, phases[2]),
                                    std::polar(1.0, phases[3])};
        auto amplitude = std::sqrt(drawn.m_clusterPower[cluster] / drawn.m_clusterPhase[cluster].size() / (ricean + 1));
        Add(GetDirection(departure.GetAzimuth(), departure.GetInclination()),
            GetDirection(arrival.GetAzimuth(), arrival.GetInclination()),
            GetPorts(gnb, departure, device, arrival, polarizations, amplitude));
    };
    std::vector<size_t> parted; // clusters of several taps
    for (size_t cluster = 0; cluster < drawn.m_reducedClusterNumber; cluster++)
    {
        if (cluster == 0 && sight)
        {
            Angles departure(device.place, gnb.place);
            Angles arrival(gnb.place, device.place);
            auto phase =
                -2 * std::numbers::pi * CalculateDistance(gnb.place, device.place) * frequency / NS3_SPEED_OF_LIGHT;
            auto direct = std::polar(1.0, phase);
            Add(GetDirection(departure.GetAzimuth(), departure.GetInclination()),
                GetDirection(arrival.GetAzimuth(), arrival.GetInclination()),
                GetPorts(gnb, departure, device, arrival, {direct, 0, 0, -direct}, std::sqrt(ricean / (ricean + 1))));
        }
        bool isParted = cluster == drawn.m_cluster1st || cluster == drawn.m_cluster2nd;
        for (size_t ray = 0; ray < drawn.m_clusterPhase[cluster].size(); ray++)
        {
            if (!isParted || GetPart(ray) == 0)
            {
                add(cluster, ray);
            }
        }
        m_ends.push_back(m_rays.size());
        if (isParted)
        {
            parted.push_back(cluster);
        }
    }
    for (auto cluster : parted)
    {
        for (size_t part : {1, 2})
        {
            for (size_t ray = 0; ray < drawn.m_clusterPhase[cluster].size(); ray++)
            {
                if (GetPart(ray) == part)
                {
                    add(cluster, ray);
                }
            }
            m_ends.push_back(m_rays.size());
        }
    }
}

const std::vector<double>&
NrRays::GetDelays() const
{
    return m_delays;
}

void
NrRays::Add(const Vector& departure, const Vector& arrival, const NrPorts& ports)
{
    auto index = m_rays.size() % TOGETHER;
    if (index == 0)
    {
        m_directions.emplace_back();
    }
    auto& [device, gnb] = m_directions.back();
    device[0][index] = arrival.x;
    device[1][index] = arrival.y;
    device[2][index] = arrival.z;
    gnb[0][index] = departure.x;
    gnb[1][index] = departure.y;
    gnb[2][index] = departure.z;
    auto& ray = m_rays.emplace_back();
    for (size_t port = 0; port < NR_PORTS; port++)
    {
        ray.real[port] = ports[port].real();
        ray.imaginary[port] = ports[port].imag();
    }
}

COSIM_WIDE void
NrRays::Sum(const Vector& gnbWay, const Vector& deviceWay, double frequency, std::vector<NrCoefficients>& taps) const
{
    taps.assign(m_ends.size(), {});
    auto perMetre = frequency / SPEED_OF_LIGHT_MPS;
    size_t tap = 0;
    NrCoefficients sum{};
    for (size_t pack = 0; pack < m_directions.size(); pack++)
    {
        const auto& [device, gnb] = m_directions[pack];
        Each<TOGETHER> turns;
        for (size_t i = 0; i < TOGETHER; i++)
        {
            turns[i] =
                perMetre * (deviceWay.x * device[0][i] + deviceWay.y * device[1][i] + deviceWay.z * device[2][i] +
                            gnbWay.x * gnb[0][i] + gnbWay.y * gnb[1][i] + gnbWay.z * gnb[2][i]);
        }
        Each<TOGETHER> cosine;
        Each<TOGETHER> sine;
        TurnAll(turns, cosine, sine);
        auto begin = pack * TOGETHER;
        auto end = std::min(begin + TOGETHER, m_rays.size());
        for (auto ray = begin; ray < end;)
        {
            auto last = std::min(end, m_ends[tap]);
            AddRays(&m_rays[ray], &cosine[ray - begin], &sine[ray - begin], last - ray, sum);
            ray = last;
            if (ray == m_ends[tap])
            {
                taps[tap++] = sum;
                sum = {};
            }
        }
    }
}

} // namespace ns3::cosim
