// SPDX-License-Identifier: GPL-2.0-only
#include "nr-many-ports.h"

#include "ns3/abort.h"

#include <cmath>
#include <numbers>

namespace ns3::cosim
{

namespace
{

constexpr uint32_t BEAMS = 8; // N1 O1, of two ports of one polarization
constexpr uint32_t OTHER = 4; // O1: from a beam to the one that is orthogonal to it

using Column = NrManyPrecoder::value_type;

/// A beam on the ports of the first polarization, and so many quarters of a turn farther on those of the second.
Column
MakeColumn(uint32_t beam, uint32_t quarters)
{
    auto turn = [](uint32_t part, uint32_t of) { return std::polar(0.5, 2 * std::numbers::pi * part / of); };
    Column column;
    for (uint32_t port = 0; port < 2; port++)
    {
        column[port] = turn(port * beam % BEAMS, BEAMS);
        column[2 + port] = 2.0 * column[port] * turn(quarters % 4, 4);
    }
    return column;
}

std::vector<NrManyPrecoder>
MakeCodebook(uint32_t layers)
{
    std::vector<NrManyPrecoder> found;
    for (uint32_t beam = 0; beam < BEAMS; beam++)
    {
        auto other = beam + OTHER;
        for (uint32_t quarters = 0; quarters < (layers == 1 ? 4 : 2); quarters++)
        {
            auto a = MakeColumn(beam, quarters);
            auto b = MakeColumn(other, quarters);
            auto oppositeA = MakeColumn(beam, quarters + 2);
            auto oppositeB = MakeColumn(other, quarters + 2);
            if (layers == 1)
            {
                found.push_back({a});
            }
            else if (layers == 2)
            {
                found.push_back({a, oppositeA});
                found.push_back({a, oppositeB});
            }
            else if (layers == 3)
            {
                found.push_back({a, b, oppositeA});
            }
            else
            {
                found.push_back({a, b, oppositeA, oppositeB});
            }
        }
    }
    return found;
}

} // namespace

const std::vector<NrManyPrecoder>&
GetNrCodebook(uint32_t layers)
{
    static const std::array<std::vector<NrManyPrecoder>, NR_MANY_PORTS> CODEBOOKS{MakeCodebook(1),
                                                                                  MakeCodebook(2),
                                                                                  MakeCodebook(3),
                                                                                  MakeCodebook(4)};
    NS_ABORT_MSG_IF(layers < 1 || layers > CODEBOOKS.size(), "GetNrCodebook: " << layers << " layers");
    return CODEBOOKS[layers - 1];
}

} // namespace ns3::cosim
