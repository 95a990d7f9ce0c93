// SPDX-License-Identifier: GPL-2.0-only
#include "nr-timing.h"

#include <algorithm>
#include <array>

namespace ns3::cosim
{

namespace
{

// In symbols, by numerology, of a device with processing capability 1 and no further DMRS.
constexpr std::array<int64_t, 4> DECODING{8, 10, 17, 20};     // N1, TS 38.214 table 5.3-1
constexpr std::array<int64_t, 4> PREPARATION{10, 12, 23, 36}; // N2, TS 38.214 table 6.4-1
constexpr int64_t DATA_IN_FIRST_SYMBOL = 1;                   // d2,1: DMRS lies behind it (mapping type A)
constexpr std::array<int64_t, 4> MESSAGE_3_SLOTS{2, 3, 4, 6}; // Delta, TS 38.214 table 6.1.2.1.1-5
constexpr int64_t MESSAGE_3_NS = 500'000;                     // beside decoding and preparation, TS 38.213 clause 8.3
constexpr int64_t SETTLING_PERIODS = 20;                      // of the pattern, until HARQ is in its stride

} // namespace

NrTiming::NrTiming(const NrFrame& frame, const NrTimingSettings& settings)
    : m_frame(frame),
      m_settings(settings)
{
    auto decoding = DECODING[frame.GetNumerology()];
    auto preparation = PREPARATION[frame.GetNumerology()] + DATA_IN_FIRST_SYMBOL;
    auto fill = [](int64_t& symbols, int64_t specified) { symbols = symbols < 0 ? specified : symbols; };
    fill(m_settings.decodingSymbols, decoding);
    fill(m_settings.preparationSymbols, preparation);
    fill(m_settings.gnbDecodingSymbols, decoding);
    fill(m_settings.gnbLeadSymbols, decoding);
    auto parts = frame.GetParts();
    m_settings.leastK1 *= parts;
    m_settings.leastK2 *= parts;
    m_settings.requestPeriod *= m_settings.requestPeriod > 1 ? parts : 1; // 1 is every one
    m_settings.requestOffset *= parts;
}

int64_t
NrTiming::GetDownlinkReadyNs(int64_t slot) const
{
    return m_frame.GetStartNs(slot) - m_frame.GetSymbolsNs(m_settings.gnbLeadSymbols);
}

int64_t
NrTiming::GetUplinkReadyNs(int64_t slot) const
{
    auto needed = m_frame.GetSymbolsNs(m_settings.preparationSymbols) + m_settings.timingAdvanceNs;
    return m_frame.GetSymbolNs(slot, m_frame.GetPuschBegin(slot)) - needed;
}

int64_t
NrTiming::GetDecodedNs(bool isUplink, int64_t slot) const
{
    auto end = isUplink ? m_frame.GetPuschEnd(slot) : m_frame.GetPdschEnd(slot);
    auto symbols = isUplink ? m_settings.gnbDecodingSymbols : m_settings.decodingSymbols;
    if (!isUplink && m_frame.GetParts() > 1)
    {
        symbols += m_frame.GetSymbols() - end; // d1,1 of fewer than 7 symbols (TS 38.214 clause 5.3, mapping type B)
    }
    return m_frame.GetSymbolNs(slot, end) + m_frame.GetSymbolsNs(symbols);
}

int64_t
NrTiming::GetAnswerSlot(int64_t slot) const
{
    auto readyNs = GetDecodedNs(false, slot) + m_settings.timingAdvanceNs;
    return m_frame.GetPucchSlotFrom(std::max(readyNs, m_frame.GetStartNs(slot + m_settings.leastK1)));
}

int64_t
NrTiming::GetFirstKnownSlot(int64_t receivedNs) const
{
    return m_frame.GetSlotFrom(receivedNs + m_frame.GetSymbolsNs(m_settings.gnbLeadSymbols));
}

int64_t
NrTiming::GetKnownSlot(bool isUplink, int64_t slot) const
{
    return isUplink ? GetFirstKnownSlot(GetDecodedNs(true, slot)) : GetRequestKnownSlot(GetAnswerSlot(slot));
}

bool
NrTiming::HasOccasion(int64_t slot, uint32_t period, uint32_t offset) const
{
    auto before = slot - 1; // the uplink slot
    while (before >= 0 && !m_frame.HasPucch(before))
    {
        before--;
    }
    auto count = [period, offset](int64_t until) {
        auto from = until - offset;
        return from < 0 ? -1 : from / period;
    };
    return m_frame.HasPucch(slot) && count(slot) > count(before);
}

bool
NrTiming::HasRequest(int64_t slot) const
{
    return HasOccasion(slot, m_settings.requestPeriod, m_settings.requestOffset);
}

int64_t
NrTiming::GetRequestKnownSlot(int64_t slot) const
{
    return GetFirstKnownSlot(m_frame.GetStartNs(slot + 1) + m_frame.GetSymbolsNs(m_settings.gnbDecodingSymbols));
}

int64_t
NrTiming::GetPdschSlotFrom(int64_t slot) const
{
    while (m_frame.GetPdschSymbols(slot) == 0)
    {
        slot++;
    }
    return slot;
}

int64_t
NrTiming::GetPdschEndNs(int64_t slot) const
{
    return m_frame.GetSymbolNs(slot, m_frame.GetPdschEnd(slot));
}

int64_t
NrTiming::GetMessage3Slot(int64_t responseSlot) const
{
    auto symbols = m_settings.decodingSymbols + m_settings.preparationSymbols;
    auto readyNs = GetPdschEndNs(responseSlot) + m_frame.GetSymbolsNs(symbols) + MESSAGE_3_NS;
    auto slot = responseSlot + m_settings.leastK2 + MESSAGE_3_SLOTS[m_frame.GetNumerology()] * m_frame.GetParts();
    while (!m_frame.HasPucch(slot) || m_frame.GetStartNs(slot) - m_settings.timingAdvanceNs < readyNs)
    {
        slot++;
    }
    return slot;
}

int64_t
NrTiming::GetGrantedSlotFrom(int64_t ns) const
{
    auto slot = m_frame.GetSlotFrom(ns);
    while (!m_frame.HasPucch(slot) || m_frame.GetStartNs(GetGrantSlot(slot)) < ns)
    {
        slot++;
    }
    return slot;
}

int64_t
NrTiming::GetGrantSlot(int64_t uplinkSlot) const
{
    auto slot = uplinkSlot - m_settings.leastK2;
    while (!m_frame.HasPdcch(slot) || m_frame.GetPdcchEndNs(slot) > GetUplinkReadyNs(uplinkSlot))
    {
        slot--;
    }
    return slot;
}

std::vector<std::vector<int64_t>>
NrTiming::GetGrantOffsets() const
{
    int64_t period = m_frame.GetPeriod();
    std::vector<std::vector<int64_t>> found(period);
    auto far = (m_settings.leastK2 + m_settings.preparationSymbols) / period + 8; // from the first slot
    for (auto slot = far * period; slot < (far + 1) * period; slot++)
    {
        if (m_frame.GetPuschSymbols(slot) > 0)
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

std::vector<double>
NrTiming::GetUse(bool isUplink, uint32_t processes) const
{
    int64_t period = m_frame.GetPeriod();
    std::vector<double> found(period, 0);
    std::vector<int64_t> freeFrom(processes, 0);
    for (int64_t slot = 2 * SETTLING_PERIODS * period; slot < 4 * SETTLING_PERIODS * period; slot++)
    {
        auto next = std::min_element(freeFrom.begin(), freeFrom.end());
        bool isThere = (isUplink ? m_frame.GetPuschSymbols(slot) : m_frame.GetPdschSymbols(slot)) > 0;
        if (isThere && *next <= (isUplink ? GetGrantSlot(slot) : slot))
        {
            *next = GetKnownSlot(isUplink, slot);
            found[slot % period] += slot >= 3 * SETTLING_PERIODS * period ? 1.0 / SETTLING_PERIODS : 0;
        }
    }
    return found;
}

int64_t
NrTiming::GetLongestRoundNs() const
{
    auto symbols = m_settings.decodingSymbols + m_settings.preparationSymbols + 2 * m_settings.gnbDecodingSymbols +
                   2 * m_settings.gnbLeadSymbols;
    int64_t slots = 4 * m_frame.GetPeriod() + m_settings.leastK1 + m_settings.leastK2;
    return slots * m_frame.GetSlotNs() + m_frame.GetSymbolsNs(symbols) + 2 * m_settings.timingAdvanceNs;
}

} // namespace ns3::cosim
