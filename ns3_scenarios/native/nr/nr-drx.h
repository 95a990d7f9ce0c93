// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_DRX_H
#define COSIM_NR_DRX_H

#include "nr-frame.h"

#include "ns3/nstime.h"

#include <array>
#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// Discontinuous reception, as TS 38.331 has it in DRX-Config.
struct NrDrxSettings
{
    bool isOn{false};
    Time onDuration;                 ///< drx-onDurationTimer
    Time inactivity;                 ///< drx-InactivityTimer
    uint32_t cycleMs{160};           ///< drx-LongCycle
    uint32_t rttSymbols{56};         ///< drx-HARQ-RTT-TimerDL and -UL
    uint32_t retransmissionSlots{8}; ///< drx-RetransmissionTimerDL and -UL
};

/**
 * When a device listens to the PDCCH (TS 38.321 clause 5.7; the restatement is ours): at the beginning of each cycle,
 * for some time after it was told of a new transmission, and when it may be told of a retransmission; but for what it
 * asks for itself, which its scheduling requests say. There is the long cycle only, and no command that ends its Active
 * Time.
 *
 * Devices begin their cycles in different subframes, 61 apart modulo the cycle: ours.
 */
class NrDrx
{
  public:
    NrDrx(const NrFrame& frame, const NrDrxSettings& settings, uint32_t device, uint32_t processes);

    /// The subframe of the cycle in which it begins: drx-StartOffset.
    static uint32_t GetOffsetMs(uint32_t device, uint32_t cycleMs);

    /// Whether a slot's PDCCH begins in Active Time, scheduling requests left out of it.
    bool IsActive(int64_t slot) const;

    /// A slot's PDCCH has told of a transmission of a HARQ process, down or up.
    void Learn(bool isUplink, uint32_t process, int64_t slot, bool isNew);

    /// The process's answer goes out in this slot.
    void Answer(uint32_t process, int64_t slot, bool isDecoded);

    /// The process's PUSCH goes out in this slot.
    void Send(uint32_t process, int64_t slot);

    /// It is the cell's from this slot on, and was not before.
    void Begin(int64_t slot);

  private:
    struct Timer
    {
        int64_t fromNs{0};
        int64_t untilNs{0};
    };

    bool IsOnDuration(int64_t ns) const;
    void Expect(bool isUplink, uint32_t process, int64_t sentNs);

    NrFrame m_frame;
    NrDrxSettings m_settings;
    int64_t m_offsetMs{0};
    int64_t m_activeUntilNs{0};                         // drx-InactivityTimer
    std::array<std::vector<Timer>, 2> m_retransmission; // by process, down and up
};

} // namespace ns3::cosim

#endif
