// SPDX-License-Identifier: GPL-2.0-only
#include "nr-frame.h"

#include "ns3/abort.h"

#include <algorithm>
#include <array>

namespace ns3::cosim
{

namespace
{

constexpr int64_t SUBFRAME_NS = 1'000'000;
// In symbols, by numerology, of a device with processing capability 1 and no further DMRS.
constexpr std::array<uint32_t, 4> DECODING{8, 10, 17, 20};     // TS 38.214 table 5.3-1
constexpr std::array<uint32_t, 4> PREPARATION{10, 12, 23, 36}; // TS 38.214 table 6.4-1

} // namespace

NrFrame::NrFrame(uint32_t numerology,
                 std::string pattern,
                 uint32_t specialDownlinkSymbols,
                 uint32_t pdcchSymbols,
                 uint32_t pucchSymbols)
    : m_numerology(numerology),
      m_pattern(std::move(pattern)),
      m_specialDownlinkSymbols(specialDownlinkSymbols),
      m_pdcchSymbols(pdcchSymbols),
      m_pucchSymbols(pucchSymbols)
{
    bool isFdd = m_pattern.find('F') != std::string::npos;
    NS_ABORT_MSG_IF(
        numerology >= DECODING.size() || pdcchSymbols + 1 >= SYMBOLS || pucchSymbols + 1 >= SYMBOLS ||
            m_pattern.find_first_not_of(isFdd ? "F" : "DSU") != std::string::npos ||
            (!isFdd && (m_pattern.find('U') == std::string::npos || m_pattern.find('D') == std::string::npos)),
        "NrFrame: numerology " << numerology << ", pattern " << m_pattern);
}

int64_t
NrFrame::GetSlotNs() const
{
    return SUBFRAME_NS >> m_numerology;
}

uint32_t
NrFrame::GetPeriod() const
{
    return m_pattern.size();
}

int64_t
NrFrame::GetStartNs(int64_t slot) const
{
    return slot * GetSlotNs();
}

int64_t
NrFrame::GetSymbolsNs(uint32_t symbols) const
{
    return GetSlotNs() * symbols / SYMBOLS;
}

int64_t
NrFrame::GetSymbolNs(int64_t slot, uint32_t symbol) const
{
    return GetStartNs(slot) + GetSymbolsNs(symbol);
}

int64_t
NrFrame::GetSlotFrom(int64_t ns) const
{
    return (ns + GetSlotNs() - 1) / GetSlotNs();
}

char
NrFrame::GetKind(int64_t slot) const
{
    return m_pattern[slot % m_pattern.size()];
}

bool
NrFrame::HasDownlink(int64_t slot) const
{
    return GetKind(slot) != 'U';
}

bool
NrFrame::HasUplink(int64_t slot) const
{
    return GetKind(slot) == 'U' || GetKind(slot) == 'F';
}

bool
NrFrame::HasPdcch(int64_t slot) const
{
    return HasDownlink(slot) && GetPdschEnd(slot) >= m_pdcchSymbols;
}

uint32_t
NrFrame::GetPdschEnd(int64_t slot) const
{
    return GetKind(slot) == 'S' ? m_specialDownlinkSymbols : SYMBOLS;
}

uint32_t
NrFrame::GetPdschSymbols(int64_t slot) const
{
    auto end = HasDownlink(slot) ? GetPdschEnd(slot) : 0;
    return end > m_pdcchSymbols + 1 ? end - m_pdcchSymbols : 0;
}

uint32_t
NrFrame::GetPuschSymbols() const
{
    return SYMBOLS - m_pucchSymbols;
}

int64_t
NrFrame::GetGrantSlot(int64_t uplinkSlot) const
{
    auto slot = uplinkSlot;
    while (!HasPdcch(slot) || GetSymbolNs(slot, m_pdcchSymbols + PREPARATION[m_numerology]) > GetStartNs(uplinkSlot))
    {
        slot--;
    }
    return slot;
}

std::vector<std::vector<int64_t>>
NrFrame::GetGrantOffsets() const
{
    auto period = GetPeriod();
    std::vector<std::vector<int64_t>> found(period);
    for (uint32_t i = 0; i < period; i++)
    {
        int64_t slot = 8 * period + i; // far enough from the first
        if (HasUplink(slot))
        {
            auto grantSlot = GetGrantSlot(slot);
            found[grantSlot % period].push_back(slot - grantSlot);
        }
    }
    for (auto& offsets : found)
    {
        std::sort(offsets.begin(), offsets.end());
    }
    return found;
}

int64_t
NrFrame::GetPucchSlotFrom(int64_t ns) const
{
    auto slot = ns / GetSlotNs();
    while (!HasUplink(slot) || GetSymbolNs(slot, GetPuschSymbols()) < ns)
    {
        slot++;
    }
    return slot;
}

int64_t
NrFrame::GetDecodingNs() const
{
    return GetSymbolsNs(DECODING[m_numerology]);
}

int64_t
NrFrame::GetPreparationNs() const
{
    return GetSymbolsNs(PREPARATION[m_numerology]);
}

} // namespace ns3::cosim
