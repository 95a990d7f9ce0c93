// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_FRAME_H
#define COSIM_NR_FRAME_H

#include <cstdint>
#include <string>

namespace ns3::cosim
{

/**
 * Slots and symbols of an NR carrier (TS 38.211 clause 4.3), and which of them carry what. Symbols are of equal length:
 * the longer cyclic prefix of one symbol in 0.5 ms is spread over all.
 */
class NrFrame
{
  public:
    static constexpr uint32_t SYMBOLS = 14;

    NrFrame() = default;

    /**
     * @param numerology subcarrier spacing 15 kHz * 2^numerology, 0 to 3
     * @param pattern of slots, repeated: D downlink, U uplink, S special, or F for FDD, both at once
     * @param specialDownlinkSymbols of a special slot, counted from its beginning
     * @param pdcchSymbols at the beginning of each slot with downlink
     * @param pucchSymbols at the end of each uplink slot
     */
    NrFrame(uint32_t numerology,
            std::string pattern,
            uint32_t specialDownlinkSymbols,
            uint32_t pdcchSymbols,
            uint32_t pucchSymbols);

    int64_t GetSlotNs() const;
    uint32_t GetPeriod() const;

    /// When a slot begins.
    int64_t GetStartNs(int64_t slot) const;

    /// When a symbol of a slot begins; a symbol that the slot does not have lies in a later one.
    int64_t GetSymbolNs(int64_t slot, uint32_t symbol) const;

    /// The first slot that begins at this time or later.
    int64_t GetSlotFrom(int64_t ns) const;

    bool HasDownlink(int64_t slot) const;
    bool HasUplink(int64_t slot) const;

    /// Whether the slot's symbols for downlink hold the PDCCH.
    bool HasPdcch(int64_t slot) const;

    /// Symbols for PDSCH and its DMRS behind the PDCCH; 0 if there is no room for both.
    uint32_t GetPdschSymbols(int64_t slot) const;

    /// The symbol at which a slot's PDSCH has ended.
    uint32_t GetPdschEnd(int64_t slot) const;

    /// Symbols for PUSCH and its DMRS, before the PUCCH.
    uint32_t GetPuschSymbols() const;

    /// The first uplink slot whose PUCCH begins at this time or later.
    int64_t GetPucchSlotFrom(int64_t ns) const;

    uint32_t GetNumerology() const;

    /// So many symbols last.
    int64_t GetSymbolsNs(int64_t symbols) const;

    /// When a slot's PDCCH has ended.
    int64_t GetPdcchEndNs(int64_t slot) const;

  private:
    char GetKind(int64_t slot) const;

    uint32_t m_numerology{0};
    std::string m_pattern{"F"};
    uint32_t m_specialDownlinkSymbols{0};
    uint32_t m_pdcchSymbols{0};
    uint32_t m_pucchSymbols{0};
};

} // namespace ns3::cosim

#endif
