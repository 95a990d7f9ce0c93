// SPDX-License-Identifier: GPL-2.0-only
#include "nr-channel.h"

#include "decibel.h"
#include "doppler-mobility.h"
#include "lanes.h"
#include "line-of-sight.h"
#include "nr-beams.h"
#include "wide.h"

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

using Complex = std::complex<double>;

/// std::complex's own product looks for infinities, which costs several times as much.
Complex
Multiply(Complex a, Complex b)
{
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

/// The same for each of the ports.
[[gnu::always_inline]] inline void
Multiply(const NrCoefficients& a, Complex b, NrCoefficients& product)
{
    static_assert(NR_PORTS == LANES);
    Lanes x;
    Lanes y;
    Load(a.real.data(), x);
    Load(a.imaginary.data(), y);
    Store(x * b.real() - y * b.imag(), product.real.data());
    Store(x * b.imag() + y * b.real(), product.imaginary.data());
}

Complex
Turn(double turns)
{
    return std::polar(1.0, 2 * std::numbers::pi * (turns - std::floor(turns)));
}

/// The four products of taps x + iy and turns c + is, summed over the taps: from a block's middle (x + iy)(c + is)
/// upwards and (x + iy)(c - is) downwards are made of the same.
struct Sums
{
    Lanes xc{};
    Lanes ys{};
    Lanes xs{};
    Lanes yc{};

    [[gnu::always_inline]] void Add(double x, double y, const double* cosine, const double* sine)
    {
        Lanes c;
        Lanes s;
        Load(cosine, c);
        Load(sine, s);
        xc += x * c;
        ys += y * s;
        xs += x * s;
        yc += y * c;
    }

    /// To the PRBs from this one of the block's upper half on, and to those as far below the middle; or in place of
    /// what is there.
    template <typename Prbs>
    [[gnu::always_inline]] void AddTo(size_t first, bool isReplacing, Prbs& real, Prbs& imaginary) const
    {
        auto middle = real.size() / 2;
        auto add = [isReplacing](double& prb, double what) { prb = isReplacing ? what : prb + what; };
        for (size_t i = 0; i < LANES; i++)
        {
            add(real[middle + first + i], xc[i] - ys[i]);
            add(imaginary[middle + first + i], xs[i] + yc[i]);
            add(real[middle - 1 - first - i], xc[i] + ys[i]);
            add(imaginary[middle - 1 - first - i], yc[i] - xs[i]);
        }
    }
};

/// Of the channel from the sender's two ports, vectors a and b: (|a|^2 + |b|^2) / 2, (|a|^2 - |b|^2) / 2, a^H b; of one
/// PRB, or of some in lanes.
template <typename Number>
struct Products
{
    Number mean;
    Number difference;
    Number real;
    Number imaginary;
};

/// Of one PRB of a block, or of those from there on.
template <typename Number, typename Block>
[[gnu::always_inline]] inline Products<Number>
GetProducts(const Block& block, uint32_t prb, bool isUplink)
{
    size_t other = isUplink ? 1 : 2; // of port a, at the receiver's second
    auto get = [prb](const auto& ports, size_t port) {
        Number number;
        std::memcpy(&number, &ports[port][prb], sizeof(number));
        return number;
    };
    auto a0x = get(block.real, 0);
    auto a0y = get(block.imaginary, 0);
    auto a1x = get(block.real, other);
    auto a1y = get(block.imaginary, other);
    auto b0x = get(block.real, 3 - other);
    auto b0y = get(block.imaginary, 3 - other);
    auto b1x = get(block.real, 3);
    auto b1y = get(block.imaginary, 3);
    auto a = (a0x * a0x + a0y * a0y) + (a1x * a1x + a1y * a1y);
    auto b = (b0x * b0x + b0y * b0y) + (b1x * b1x + b1y * b1y);
    return {(a + b) / 2,
            (a - b) / 2,
            (a0x * b0x + a0y * b0y) + (a1x * b1x + a1y * b1y),
            (a0x * b0y - a0y * b0x) + (a1x * b1y - a1y * b1x)};
}

/// The like of NrPrbGain, of one PRB or of some.
template <typename Number>
struct Gains
{
    Number single;
    Number first;
    Number second;
    Number crossed;
};

/// What precoders make of the products of a PRB.
class Precoded
{
  public:
    Precoded(const NrPrecoder& precoder, double scale, bool hasTwo, bool isPair)
        : m_scale(scale),
          m_single(hasTwo ? TURNS[precoder.turn] : Complex(0, 0)),
          m_pair(TURNS[precoder.pairTurn]),
          m_isOne(!hasTwo),
          m_isPair(isPair)
    {
    }

    template <typename Number>
    [[gnu::always_inline]] Gains<Number> Get(const Products<Number>& products) const
    {
        auto single = products.real * m_single.real() - products.imaginary * m_single.imag();
        auto real = products.real * m_pair.real() - products.imaginary * m_pair.imag();
        auto imaginary = products.real * m_pair.imag() + products.imaginary * m_pair.real();
        auto mean = products.mean;
        auto pair = m_isPair ? m_scale : 0;
        return {m_scale * (m_isOne ? 2 * mean : mean + single),
                pair * (mean + real),
                pair * (mean - real),
                pair * pair * (products.difference * products.difference + imaginary * imaginary)};
    }

  private:
    static constexpr std::array<Complex, 4> TURNS{Complex(1, 0), Complex(0, 1), Complex(-1, 0), Complex(0, -1)};

    double m_scale;
    Complex m_single;
    Complex m_pair;
    bool m_isOne; // port that there is
    bool m_isPair;
};

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
                          "Layers at most; two need two polarizations at both ends, and more also arrays that can be "
                          "halved.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NrChannel::m_maxRank),
                          MakeUintegerChecker<uint32_t>(1, NR_MANY_PORTS));
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
    if (m_fading == "none")
    {
        return m_links.size() - 1;
    }
    std::vector<Ptr<ChannelConditionModel>> conditions{m_condition};
    if (DynamicCast<MovingLineOfSight>(m_condition))
    {
        conditions = {CreateObject<AlwaysLosChannelConditionModel>(), CreateObject<NeverLosChannelConditionModel>()};
    }
    for (const auto& condition : conditions)
    {
        // A model for each link, so that what one draws is nothing to the others.
        auto model = CreateObject<MovingChannelModel>();
        model->SetAttribute("Frequency", DoubleValue(m_frequency));
        model->SetAttribute("Scenario", StringValue(m_fading));
        model->SetAttribute("ChannelConditionModel", PointerValue(condition));
        link.drawings.emplace_back().model = model;
    }
    return m_links.size() - 1;
}

int64_t
NrChannel::AssignStreams(int64_t stream)
{
    int64_t used = 0;
    for (auto& link : m_links)
    {
        for (auto& drawing : link.drawings)
        {
            used += drawing.model->AssignStreams(stream + used);
        }
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

NrPrecoder
NrChannel::GetPrecoder(uint32_t device, bool isUplink) const
{
    return m_links[device].precoders[isUplink];
}

int64_t
NrChannel::GetPeriod() const
{
    return Simulator::Now().GetNanoSeconds() / m_updatePeriod.GetNanoSeconds();
}

double
NrChannel::GetPathGain(uint32_t device)
{
    return GetPower(m_links[device]);
}

void
NrChannel::Settle(uint32_t device)
{
    m_loss->CalcRxPower(0, m_gnb, m_links[device].mobility);
}

double
NrChannel::GetPower(Link& link)
{
    if (auto period = GetPeriod(); link.powerPeriod != period)
    {
        link.powerPeriod = period;
        link.power = FromDb(m_loss->CalcRxPower(0, m_gnb, link.mobility));
    }
    return link.power;
}

double
NrChannel::GetScale(Link& link, bool isUplink)
{
    return GetPower(link) / GetNoiseMw(isUplink);
}

const std::vector<NrPrbGain>&
NrChannel::Get(uint32_t device, bool isUplink)
{
    auto& link = m_links[device];
    if (auto period = GetPeriod(); link.period[isUplink] != period)
    {
        link.period[isUplink] = period;
        auto scale = GetScale(link, isUplink);
        if (!link.drawings.empty() && CountParts() > 1)
        {
            MeasureMany(link, isUplink);
        }
        else if (!link.drawings.empty())
        {
            Measure(link, isUplink, scale);
        }
        else
        {
            link.gains[isUplink].assign(m_prbs, GetFlatGain(link, scale));
        }
    }
    return link.gains[isUplink];
}

void
NrChannel::AddGains(uint32_t device,
                    bool isUplink,
                    const NrPrecoder& precoder,
                    uint32_t begin,
                    uint32_t end,
                    std::vector<NrPrbGain>& gains,
                    std::vector<NrManyGain>* many)
{
    auto& link = m_links[device];
    auto scale = GetScale(link, isUplink);
    if (link.drawings.empty())
    {
        gains.insert(gains.end(), end - begin, GetFlatGain(link, scale));
        return;
    }
    if (CountParts() > 1)
    {
        AddManyGains(link, isUplink, precoder, begin, end, gains, many);
        return;
    }
    auto& response = Update(link, isUplink);
    Precoded precoded(precoder, scale, HasTwo(link, isUplink), IsPair(link));
    for (auto prb = begin; prb < end; prb++)
    {
        const auto& block = GetBlock(link, response, prb / BLOCK_PRBS);
        auto gain = precoded.Get(GetProducts<double>(block, prb % BLOCK_PRBS, isUplink));
        gains.push_back({gain.single, gain.first, gain.second, gain.crossed});
    }
}

bool
NrChannel::HasTwo(const Link& link, bool isUplink) const
{
    return (isUplink ? link.antenna : m_gnbAntenna)->GetNumPols() == 2;
}

bool
NrChannel::IsPair(const Link& link) const
{
    return m_maxRank >= 2 && m_gnbAntenna->GetNumPols() == 2 && link.antenna->GetNumPols() == 2;
}

NrPrbGain
NrChannel::GetFlatGain(const Link& link, double scale) const
{
    auto gnb = m_gnb->GetPosition();
    auto device = link.mobility->GetPosition();
    auto pattern = [](Ptr<const PhasedArrayModel> antenna, const Angles& angles) {
        auto [vertical, horizontal] = antenna->GetElementFieldPattern(angles);
        return vertical * vertical + horizontal * horizontal;
    };
    auto elements = pattern(m_gnbAntenna, Angles(device, gnb)) * pattern(link.antenna, Angles(gnb, device));
    auto arrays = CountElements(m_gnbAntenna) * CountElements(link.antenna); // beams towards each other
    auto gain = scale * elements * arrays;
    auto layer = IsPair(link) ? gain : 0;
    return {gain, layer, layer, 0};
}

void
NrChannel::Draw(const Link& link, Drawing& drawing) const
{
    if (drawing.drawn && !drawing.model->IsOutdated(m_gnb, link.mobility))
    {
        return;
    }
    auto place = link.mobility->GetPosition();
    auto gnbPlace = m_gnb->GetPosition();
    auto matrix = drawing.model->GetChannel(m_gnb, link.mobility, m_gnbAntenna, link.antenna);
    auto drawn = drawing.model->GetDrawn(m_gnb, link.mobility);
    if (drawn == drawing.drawn)
    {
        return;
    }
    drawing.drawn = drawn;
    drawing.drawnAt = place;
    drawing.gnbDrawnAt = gnbPlace;
    auto parts = CountParts();
    auto beams = ChooseBeams(matrix->m_channel, m_gnbAntenna, link.antenna, parts);
    drawing.rays.resize(CountPairs());
    for (uint32_t pair = 0; pair < drawing.rays.size(); pair++)
    {
        drawing.rays[pair].Draw(*drawn,
                                m_frequency,
                                {m_gnbAntenna, gnbPlace, Extend(m_gnbAntenna, beams.gnb, parts, pair % parts)},
                                {link.antenna, place, Extend(link.antenna, beams.device, parts, pair / parts)});
    }
    const auto& delays = drawing.rays.front().GetDelays();
    auto prbHz = SUBCARRIERS * m_subcarrierSpacing;
    drawing.turns.resize(delays.size());
    for (size_t tap = 0; tap < delays.size(); tap++)
    {
        for (uint32_t prb = 0; prb < BLOCK_PRBS / 2; prb++)
        {
            auto turn = Turn(-(prb + 0.5) * prbHz * delays[tap]);
            drawing.turns[tap].real[prb] = turn.real();
            drawing.turns[tap].imaginary[prb] = turn.imag();
        }
    }
    drawing.blockTurns.clear();
    for (uint32_t prb = 0; prb < m_prbs; prb += BLOCK_PRBS)
    {
        for (auto delay : delays)
        {
            drawing.blockTurns.push_back(Turn(-(prb + BLOCK_PRBS / 2.0 - m_prbs / 2.0) * prbHz * delay));
        }
    }
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

NrChannel::Response&
NrChannel::Update(Link& link, bool isUplink)
{
    auto frequency = isUplink ? m_uplinkFrequency : m_frequency;
    auto& response = link.responses[frequency == m_frequency ? 0 : 1];
    auto period = GetPeriod();
    if (response.period == period)
    {
        return response;
    }
    response.period = period;
    auto pairs = CountPairs();
    response.blocks.resize((m_prbs + BLOCK_PRBS - 1) / BLOCK_PRBS * pairs);
    response.taps.resize(link.drawings.size() * pairs);
    auto lineOfSight = DynamicCast<MovingLineOfSight>(m_condition);
    auto sight = lineOfSight ? lineOfSight->GetShare(m_gnb, link.mobility) : 1;
    for (size_t i = 0; i < link.drawings.size(); i++)
    {
        auto share = i == 0 ? sight : 1 - sight;
        auto& drawing = link.drawings[i];
        Vector gnbWay;
        Vector deviceWay;
        if (share > 0)
        {
            Draw(link, drawing);
            auto time = period * m_updatePeriod.GetSeconds();
            gnbWay = GetWay(m_gnb, drawing.gnbDrawnAt, time);
            deviceWay = GetWay(link.mobility, drawing.drawnAt, time);
        }
        for (uint32_t pair = 0; pair < pairs; pair++)
        {
            auto& taps = response.taps[i * pairs + pair];
            taps.clear();
            if (share == 0)
            {
                continue;
            }
            const auto& rays = drawing.rays[pair];
            rays.Sum(gnbWay, deviceWay, frequency, taps);
            if (share == 1 && frequency == m_frequency)
            {
                continue;
            }
            for (size_t tap = 0; tap < taps.size(); tap++)
            {
                auto turn = Turn((m_frequency - frequency) * rays.GetDelays()[tap]);
                Multiply(NrCoefficients(taps[tap]), std::sqrt(share) * turn, taps[tap]);
            }
        }
    }
    return response;
}

const NrChannel::Block&
NrChannel::GetBlock(const Link& link, Response& response, uint32_t block, uint32_t pair) const
{
    auto pairs = CountPairs();
    auto& found = response.blocks[block * pairs + pair];
    if (found.period != response.period)
    {
        bool isFirst = true;
        for (size_t i = 0; i < link.drawings.size(); i++)
        {
            if (const auto& taps = response.taps[i * pairs + pair]; !taps.empty())
            {
                AddTaps(link.drawings[i], taps, block, isFirst, found);
                isFirst = false;
            }
        }
        found.period = response.period;
    }
    return found;
}

COSIM_WIDE void
NrChannel::AddTaps(const Drawing& drawing,
                   const std::vector<NrCoefficients>& taps,
                   uint32_t block,
                   bool isFirst,
                   Block& sum) const
{
    static_assert(BLOCK_PRBS == 4 * LANES);
    m_sent.resize(taps.size());
    for (size_t tap = 0; tap < taps.size(); tap++)
    {
        Multiply(taps[tap], drawing.blockTurns[block * taps.size() + tap], m_sent[tap]);
    }
    for (size_t port = 0; port < NR_PORTS; port++)
    {
        Sums inner;
        Sums outer;
        for (size_t tap = 0; tap < taps.size(); tap++)
        {
            auto x = m_sent[tap].real[port];
            auto y = m_sent[tap].imaginary[port];
            const auto& [cosine, sine] = drawing.turns[tap];
            inner.Add(x, y, &cosine[0], &sine[0]);
            outer.Add(x, y, &cosine[LANES], &sine[LANES]);
        }
        inner.AddTo(0, isFirst, sum.real[port], sum.imaginary[port]);
        outer.AddTo(LANES, isFirst, sum.real[port], sum.imaginary[port]);
    }
}

COSIM_WIDE void
NrChannel::Measure(Link& link, bool isUplink, double scale)
{
    auto& response = Update(link, isUplink);
    m_products.resize(response.blocks.size());
    // Over all PRBs: the sum of the inner products, and what two layers disturb each other more without a turn than
    // with a quarter's.
    Lanes real{};
    Lanes imaginary{};
    Lanes disturbance{};
    for (uint32_t begin = 0; begin < m_prbs; begin += BLOCK_PRBS)
    {
        const auto& block = GetBlock(link, response, begin / BLOCK_PRBS);
        auto& kept = m_products[begin / BLOCK_PRBS];
        for (uint32_t i = 0; i < BLOCK_PRBS; i += LANES)
        {
            auto [mean, difference, x, y] = GetProducts<Lanes>(block, i, isUplink);
            Store(mean, &kept.mean[i]);
            Store(difference, &kept.difference[i]);
            for (uint32_t lane = std::clamp(m_prbs, begin + i, begin + i + LANES) - begin - i; lane < LANES; lane++)
            {
                x[lane] = 0; // beyond the carrier
                y[lane] = 0;
            }
            Store(x, &kept.real[i]);
            Store(y, &kept.imaginary[i]);
            real += x;
            imaginary += y;
            disturbance += y * y - x * x;
        }
    }
    // One layer: the precoder by which most power comes. Two: the one whose layers disturb each other less.
    auto sum = [](const Lanes& lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); };
    const std::array<double, 4> power{sum(real), -sum(imaginary), -sum(real), sum(imaginary)};
    auto& precoder = link.precoders[isUplink];
    precoder.turn = std::max_element(power.begin(), power.end()) - power.begin();
    precoder.pairTurn = sum(disturbance) > 0 ? 1 : 0;
    Precoded precoded(precoder, scale, HasTwo(link, isUplink), IsPair(link));
    auto& gains = link.gains[isUplink];
    gains.resize(m_prbs);
    for (uint32_t prb = 0; prb < m_prbs; prb += LANES)
    {
        const auto& block = m_products[prb / BLOCK_PRBS];
        auto i = prb % BLOCK_PRBS;
        Products<Lanes> products;
        Load(&block.mean[i], products.mean);
        Load(&block.difference[i], products.difference);
        Load(&block.real[i], products.real);
        Load(&block.imaginary[i], products.imaginary);
        auto found = precoded.Get(products);
        for (uint32_t lane = 0; lane < std::min(LANES, m_prbs - prb); lane++)
        {
            gains[prb + lane] = {found.single[lane], found.first[lane], found.second[lane], found.crossed[lane]};
        }
    }
}

} // namespace ns3::cosim
