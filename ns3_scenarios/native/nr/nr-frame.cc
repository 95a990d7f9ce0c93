// SPDX-License-Identifier: GPL-2.0-only
#include "nr-frame.h"

#include "ns3/abort.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

constexpr int64_t SUBFRAME_NS = 1'000'000;
constexpr uint32_t NUMEROLOGIES = 4;

} // namespace

NrFrame::NrFrame()
    : NrFrame(NrFrameSettings())
{
}

NrFrame::NrFrame(const NrFrameSettings& settings)
    : m_settings(settings)
{
    const auto& pattern = m_settings.pattern;
    auto units = m_settings.unitSymbols;
    bool isFdd = pattern.find('F') != std::string::npos;
    NS_ABORT_MSG_IF(m_settings.numerology >= NUMEROLOGIES || (units != SYMBOLS && units != HALF) ||
                        m_settings.pdcchSymbols + 1 >= units || m_settings.pucchSymbols + 1 >= units ||
                        pattern.find_first_not_of(isFdd ? "F" : "DSU") != std::string::npos ||
                        (!isFdd && (pattern.find('U') == std::string::npos || pattern.find('D') == std::string::npos)),
                    "NrFrame: numerology " << m_settings.numerology << ", pattern " << pattern);
    NS_ABORT_MSG_IF(pattern.find('S') != std::string::npos &&
                        (m_settings.specialPuschSymbols > m_settings.specialUplinkSymbols ||
                         m_settings.specialDownlinkSymbols + m_settings.specialUplinkSymbols > SYMBOLS),
                    "NrFrame: symbols of special slots");
    for (auto kind : pattern)
    {
        for (uint32_t from = 0; from < SYMBOLS; from += units)
        {
            m_slots.push_back(MakeSlot(kind, from));
        }
    }
}

NrFrame::Slot
NrFrame::MakeSlot(char kind, uint32_t from) const
{
    auto symbols = GetSymbols();
    auto upTo = [from, symbols](uint32_t symbol) { return std::clamp(symbol, from, from + symbols) - from; };
    if (kind == 'S')
    {
        auto begin = SYMBOLS - m_settings.specialUplinkSymbols;
        auto end = begin + m_settings.specialPuschSymbols;
        return {upTo(m_settings.specialDownlinkSymbols), upTo(begin), upTo(end), false};
    }
    Slot slot;
    slot.downlinkEnd = kind == 'U' ? 0 : symbols;
    slot.hasPucch = kind != 'D';
    slot.puschEnd = slot.hasPucch ? symbols - m_settings.pucchSymbols : 0;
    return slot;
}

const NrFrame::Slot&
NrFrame::Get(int64_t slot) const
{
    return m_slots[slot % m_slots.size()];
}

uint32_t
NrFrame::GetSymbols() const
{
    return m_settings.unitSymbols;
}

uint32_t
NrFrame::GetParts() const
{
    return SYMBOLS / m_settings.unitSymbols;
}

int64_t
NrFrame::GetSlotNs() const
{
    return (SUBFRAME_NS >> m_settings.numerology) / GetParts();
}

uint32_t
NrFrame::GetPeriod() const
{
    return m_slots.size();
}

int64_t
NrFrame::GetStartNs(int64_t slot) const
{
    return slot * GetSlotNs();
}

int64_t
NrFrame::GetSymbolsNs(int64_t symbols) const
{
    return GetSlotNs() * symbols / GetSymbols();
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

bool
NrFrame::HasPdcch(int64_t slot) const
{
    return GetPdschEnd(slot) >= m_settings.pdcchSymbols;
}

uint32_t
NrFrame::GetPdschEnd(int64_t slot) const
{
    return Get(slot).downlinkEnd;
}

uint32_t
NrFrame::GetPdschSymbols(int64_t slot) const
{
    auto end = GetPdschEnd(slot);
    return end > m_settings.pdcchSymbols + 1 ? end - m_settings.pdcchSymbols : 0;
}

uint32_t
NrFrame::GetPuschBegin(int64_t slot) const
{
    return Get(slot).puschBegin;
}

uint32_t
NrFrame::GetPuschEnd(int64_t slot) const
{
    return Get(slot).puschEnd;
}

uint32_t
NrFrame::GetPuschSymbols(int64_t slot) const
{
    auto symbols = GetPuschEnd(slot) - GetPuschBegin(slot);
    return symbols > 1 ? symbols : 0;
}

bool
NrFrame::HasPucch(int64_t slot) const
{
    return Get(slot).hasPucch;
}

int64_t
NrFrame::GetPucchSlotFrom(int64_t ns) const
{
    auto slot = ns / GetSlotNs();
    while (!HasPucch(slot) || GetSymbolNs(slot, GetPuschEnd(slot)) < ns)
    {
        slot++;
    }
    return slot;
}

uint32_t
NrFrame::GetNumerology() const
{
    return m_settings.numerology;
}

int64_t
NrFrame::GetPdcchEndNs(int64_t slot) const
{
    return GetSymbolNs(slot, m_settings.pdcchSymbols);
}

} // namespace ns3::cosim
