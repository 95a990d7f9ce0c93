// SPDX-License-Identifier: GPL-2.0-only
#include "nr-frame.h"

#include "ns3/abort.h"

namespace ns3::cosim
{

namespace
{

constexpr int64_t SUBFRAME_NS = 1'000'000;
constexpr uint32_t NUMEROLOGIES = 4;

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
        numerology >= NUMEROLOGIES || pdcchSymbols + 1 >= SYMBOLS || pucchSymbols + 1 >= SYMBOLS ||
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
NrFrame::GetSymbolsNs(int64_t symbols) const
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
NrFrame::GetPucchSlotFrom(int64_t ns) const
{
    auto slot = ns / GetSlotNs();
    while (!HasUplink(slot) || GetSymbolNs(slot, GetPuschSymbols()) < ns)
    {
        slot++;
    }
    return slot;
}

uint32_t
NrFrame::GetNumerology() const
{
    return m_numerology;
}

int64_t
NrFrame::GetPdcchEndNs(int64_t slot) const
{
    return GetSymbolNs(slot, m_pdcchSymbols);
}

} // namespace ns3::cosim
