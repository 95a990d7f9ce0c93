// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_FRAME_H
#define COSIM_NR_FRAME_H

#include <cstdint>
#include <string>
#include <vector>

namespace ns3::cosim
{

/// What an NR carrier's slots are.
struct NrFrameSettings
{
    uint32_t numerology{0};             ///< subcarrier spacing 15 kHz * 2^numerology, 0 to 3
    std::string pattern{"F"};           ///< repeated: D downlink, U uplink, S special, or F for FDD, both at once
    uint32_t specialDownlinkSymbols{0}; ///< of a special slot, at its beginning
    uint32_t specialUplinkSymbols{0};   ///< and at its end,
    uint32_t specialPuschSymbols{0}; ///< of which so many carry PUSCH, from the first on; the others are for sounding
    uint32_t pdcchSymbols{0};        ///< at the beginning of each slot with downlink
    uint32_t pucchSymbols{0};        ///< at the end of each uplink slot
    uint32_t unitSymbols{14};        ///< that are scheduled together: a slot, or 7, which is half of it
};

/**
 * Slots and symbols of an NR carrier (TS 38.211 clause 4.3), and which of them carry what. Symbols are of equal length:
 * the longer cyclic prefix of one symbol in 0.5 ms is spread over all.
 *
 * With mini-slots each half of a slot is scheduled as if it were a slot, with a PDCCH, a PUCCH and blocks of its own:
 * PDSCH and PUSCH of mapping type B (TS 38.214 tables 5.1.2.1-1 and 6.1.2.1-1), PUCCH in sub-slots of 7 symbols (TS
 * 38.213 clause 9). What is called a slot here, and by all that counts slots by this, is then such a half.
 */
class NrFrame
{
  public:
    static constexpr uint32_t SYMBOLS = 14; ///< of a whole slot
    static constexpr uint32_t HALF = 7;     ///< of a mini-slot

    NrFrame();
    explicit NrFrame(const NrFrameSettings& settings);

    int64_t GetSlotNs() const;

    /// Symbols of a slot, or of a mini-slot.
    uint32_t GetSymbols() const;

    /// Mini-slots of a slot, or 1.
    uint32_t GetParts() const;

    uint32_t GetPeriod() const;

    /// When a slot begins.
    int64_t GetStartNs(int64_t slot) const;

    /// When a symbol of a slot begins; a symbol that the slot does not have lies in a later one.
    int64_t GetSymbolNs(int64_t slot, uint32_t symbol) const;

    /// The first slot that begins at this time or later.
    int64_t GetSlotFrom(int64_t ns) const;

    /// Whether the slot's symbols for downlink hold the PDCCH.
    bool HasPdcch(int64_t slot) const;

    /// Symbols for PDSCH and its DMRS behind the PDCCH; 0 if there is no room for both.
    uint32_t GetPdschSymbols(int64_t slot) const;

    /// The symbol at which a slot's PDSCH has ended.
    uint32_t GetPdschEnd(int64_t slot) const;

    /// Symbols for PUSCH and its DMRS: those before the PUCCH, or some of a special slot; 0 if there is no room for
    /// both.
    uint32_t GetPuschSymbols(int64_t slot) const;

    /// The symbol at which a slot's PUSCH begins, and that at which it has ended.
    uint32_t GetPuschBegin(int64_t slot) const;
    uint32_t GetPuschEnd(int64_t slot) const;

    /// Whether it is an uplink slot, which ends with the PUCCH.
    bool HasPucch(int64_t slot) const;

    /// The first uplink slot whose PUCCH begins at this time or later.
    int64_t GetPucchSlotFrom(int64_t ns) const;

    uint32_t GetNumerology() const;

    /// So many symbols last.
    int64_t GetSymbolsNs(int64_t symbols) const;

    /// When a slot's PDCCH has ended.
    int64_t GetPdcchEndNs(int64_t slot) const;

  private:
    /// Symbols are counted from the slot's first.
    struct Slot
    {
        uint32_t downlinkEnd{0};
        uint32_t puschBegin{0};
        uint32_t puschEnd{0};
        bool hasPucch{false};
    };

    /// The part of a slot of this kind from a symbol on.
    Slot MakeSlot(char kind, uint32_t from) const;

    const Slot& Get(int64_t slot) const;

    NrFrameSettings m_settings;
    std::vector<Slot> m_slots; // of the pattern
};

} // namespace ns3::cosim

#endif
