// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beams.h"

#include "ns3/abort.h"

#include <array>
#include <cmath>
#include <numbers>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t OVERSAMPLING = 2;

/// The first of the beams with most power, up to rounding.
template <typename GetPower>
const NrBeam&
GetStrongest(const std::vector<NrBeam>& beams, GetPower getPower)
{
    const NrBeam* best = nullptr;
    double most = -1;
    for (const auto& beam : beams)
    {
        if (auto power = getPower(beam); power > most * (1 + 1e-9))
        {
            most = power;
            best = &beam;
        }
    }
    return *best;
}

/// What a beam gets of its elements' coefficients, which lie one after the other.
std::complex<double>
Combine(const std::complex<double>* elements, const NrBeam& beam)
{
    double real = 0; // std::complex's own product looks for infinities, which costs several times as much
    double imaginary = 0;
    for (size_t i = 0; i < beam.size(); i++)
    {
        real += elements[i].real() * beam[i].real() - elements[i].imag() * beam[i].imag();
        imaginary += elements[i].real() * beam[i].imag() + elements[i].imag() * beam[i].real();
    }
    return {real, imaginary};
}

} // namespace

uint32_t
CountElements(Ptr<const PhasedArrayModel> antenna)
{
    return antenna->GetNumElems() / antenna->GetNumPols();
}

std::vector<uint32_t>
GetPartElements(Ptr<const PhasedArrayModel> antenna, uint32_t parts, uint32_t part)
{
    auto columns = antenna->GetNumColumns();
    bool isOfColumns = columns % parts == 0;
    NS_ABORT_MSG_IF(!isOfColumns && antenna->GetNumRows() % parts,
                    "GetPartElements: " << parts << " parts of an array");
    std::vector<uint32_t> found;
    for (uint32_t i = 0; i < CountElements(antenna); i++)
    {
        auto place = isOfColumns ? i % columns * parts / columns : i / columns * parts / antenna->GetNumRows();
        if (place == part)
        {
            found.push_back(i);
        }
    }
    return found;
}

NrBeam
Extend(Ptr<const PhasedArrayModel> antenna, const NrBeam& beam, uint32_t parts, uint32_t part)
{
    NrBeam found(CountElements(antenna));
    auto elements = GetPartElements(antenna, parts, part);
    for (size_t i = 0; i < elements.size(); i++)
    {
        found[elements[i]] = beam[i];
    }
    return found;
}

std::vector<NrBeam>
MakeBeams(uint32_t rows, uint32_t columns)
{
    std::vector<NrBeam> beams;
    for (uint32_t v = 0; v < (rows > 1 ? rows * OVERSAMPLING : 1); v++)
    {
        for (uint32_t h = 0; h < (columns > 1 ? columns * OVERSAMPLING : 1); h++)
        {
            NrBeam beam;
            for (uint32_t i = 0; i < rows * columns; i++)
            {
                auto row = i / columns;
                auto column = i % columns;
                auto turns = static_cast<double>(row * v) / (rows * OVERSAMPLING) +
                             static_cast<double>(column * h) / (columns * OVERSAMPLING);
                auto angle = 2 * std::numbers::pi * (turns - std::floor(turns));
                beam.push_back(std::polar(1 / std::sqrt(rows * columns), angle));
            }
            beams.push_back(std::move(beam));
        }
    }
    return beams;
}

NrBeamPair
ChooseBeams(const MatrixBasedChannelModel::Complex3DVector& channel,
            Ptr<const PhasedArrayModel> gnb,
            Ptr<const PhasedArrayModel> device,
            uint32_t parts)
{
    auto make = [parts](Ptr<const PhasedArrayModel> antenna) {
        bool isOfColumns = antenna->GetNumColumns() % parts == 0;
        return isOfColumns ? MakeBeams(antenna->GetNumRows(), antenna->GetNumColumns() / parts)
                           : MakeBeams(antenna->GetNumRows() / parts, antenna->GetNumColumns());
    };
    auto sum = [](const std::vector<std::complex<double>>& coefficients, const NrBeam& beam) {
        double power = 0;
        for (size_t i = 0; i < coefficients.size(); i += beam.size())
        {
            power += std::norm(Combine(&coefficients[i], beam));
        }
        return power;
    };
    std::vector<std::vector<uint32_t>> gnbParts;
    std::vector<std::vector<uint32_t>> deviceParts;
    for (uint32_t part = 0; part < parts; part++)
    {
        gnbParts.push_back(GetPartElements(gnb, parts, part));
        deviceParts.push_back(GetPartElements(device, parts, part));
    }
    // Elements of a part of one polarization of the gNB, for each cluster, its polarization, and the device's element.
    std::vector<std::complex<double>> rows;
    rows.reserve(channel.GetNumPages() * channel.GetNumRows() * channel.GetNumCols());
    for (size_t cluster = 0; cluster < channel.GetNumPages(); cluster++)
    {
        for (size_t first = 0; first < channel.GetNumCols(); first += CountElements(gnb))
        {
            for (const auto& elements : gnbParts)
            {
                for (size_t u = 0; u < channel.GetNumRows(); u++)
                {
                    for (auto s : elements)
                    {
                        rows.push_back(channel(u, first + s, cluster));
                    }
                }
            }
        }
    }
    auto gnbBeams = make(gnb);
    NrBeamPair pair;
    pair.gnb = GetStrongest(gnbBeams, [&](const NrBeam& beam) { return sum(rows, beam); });
    // Behind it, of a part of one polarization of the device for each cluster and the polarizations of both.
    std::vector<std::complex<double>> behind;
    auto size = pair.gnb.size();
    for (size_t begin = 0; begin < rows.size(); begin += CountElements(device) * size)
    {
        for (const auto& elements : deviceParts)
        {
            for (auto u : elements)
            {
                behind.push_back(Combine(&rows[begin + u * size], pair.gnb));
            }
        }
    }
    auto deviceBeams = make(device);
    pair.device = GetStrongest(deviceBeams, [&](const NrBeam& beam) { return sum(behind, beam); });
    return pair;
}

} // namespace ns3::cosim
