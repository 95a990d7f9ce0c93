// SPDX-License-Identifier: GPL-2.0-only
#include "nr-drx.h"

#include <algorithm>

namespace ns3::cosim
{

namespace
{

constexpr int64_t SUBFRAME_LENGTH_NS = 1'000'000;
constexpr int64_t SUBFRAMES = 10'240;   // of 1024 frames, after which their numbers begin again
constexpr uint32_t OFFSET_STEP_MS = 61; // prime to all cycles

} // namespace

NrDrx::NrDrx(const NrFrame& frame, const NrDrxSettings& settings, uint32_t device, uint32_t processes)
    : m_frame(frame),
      m_settings(settings),
      m_offsetMs(GetOffsetMs(device, settings.cycleMs)),
      m_retransmission{std::vector<Timer>(processes), std::vector<Timer>(processes)}
{
}

uint32_t
NrDrx::GetOffsetMs(uint32_t device, uint32_t cycleMs)
{
    return device * OFFSET_STEP_MS % cycleMs;
}

bool
NrDrx::IsOnDuration(int64_t ns) const
{
    int64_t cycle = m_settings.cycleMs;
    auto began = ns / SUBFRAME_LENGTH_NS / SUBFRAMES * SUBFRAMES; // the subframe that is number 0
    if (ns / SUBFRAME_LENGTH_NS - began < m_offsetMs)
    {
        began -= SUBFRAMES;
    }
    auto last = std::min(ns / SUBFRAME_LENGTH_NS, began + SUBFRAMES - 1);
    auto start = last - (last - began - m_offsetMs) % cycle;
    return start >= 0 && ns - start * SUBFRAME_LENGTH_NS < m_settings.onDuration.GetNanoSeconds();
}

bool
NrDrx::IsActive(int64_t slot) const
{
    auto ns = m_frame.GetStartNs(slot);
    auto isRunning = [ns](const Timer& timer) { return timer.fromNs <= ns && ns < timer.untilNs; };
    return ns < m_activeUntilNs || IsOnDuration(ns) ||
           std::any_of(m_retransmission[false].begin(), m_retransmission[false].end(), isRunning) ||
           std::any_of(m_retransmission[true].begin(), m_retransmission[true].end(), isRunning);
}

void
NrDrx::Learn(bool isUplink, uint32_t process, int64_t slot, bool isNew)
{
    m_retransmission[isUplink][process] = {};
    if (isNew)
    {
        Begin(slot);
    }
}

void
NrDrx::Begin(int64_t slot)
{
    m_activeUntilNs = m_frame.GetPdcchEndNs(slot) + m_settings.inactivity.GetNanoSeconds();
}

void
NrDrx::Answer(uint32_t process, int64_t slot, bool isDecoded)
{
    if (!isDecoded)
    {
        Expect(false, process, m_frame.GetStartNs(slot + 1));
    }
}

void
NrDrx::Send(uint32_t process, int64_t slot)
{
    Expect(true, process, m_frame.GetSymbolNs(slot, m_frame.GetPuschEnd(slot)));
}

void
NrDrx::Expect(bool isUplink, uint32_t process, int64_t sentNs)
{
    auto fromNs = sentNs + m_frame.GetSymbolsNs(m_settings.rttSymbols);
    auto slots = m_settings.retransmissionSlots * m_frame.GetParts();
    m_retransmission[isUplink][process] = {fromNs, fromNs + m_frame.GetSlotNs() * slots};
}

} // namespace ns3::cosim
