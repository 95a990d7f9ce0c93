// SPDX-License-Identifier: GPL-2.0-only
#include "nr-random-access.h"

#include "ns3/simulator.h"

#include <utility>

namespace ns3::cosim
{

NrRandomAccess::NrRandomAccess(const NrFrame& frame,
                               const NrTiming& timing,
                               const NrRandomAccessSettings& settings,
                               IsHeard isHeard,
                               Found found,
                               Tell tell)
    : m_frame(frame),
      m_timing(timing),
      m_settings(settings),
      m_isHeard(std::move(isHeard)),
      m_found(std::move(found)),
      m_tell(std::move(tell)),
      m_draw(CreateObject<UniformRandomVariable>())
{
    m_settings.period *= frame.GetParts();
    m_settings.offset *= frame.GetParts();
}

NrRandomAccess::~NrRandomAccess()
{
    for (auto& [slot, event] : m_occasions)
    {
        event.Cancel();
    }
    for (auto& [device, event] : m_again)
    {
        event.Cancel();
    }
}

int64_t
NrRandomAccess::AssignStreams(int64_t stream)
{
    m_draw->SetStream(stream);
    return 1;
}

int64_t
NrRandomAccess::GetPreambleSlot(int64_t fromNs) const
{
    auto slot = m_frame.GetSlotFrom(fromNs);
    while (!m_timing.HasOccasion(slot, m_settings.period, m_settings.offset))
    {
        slot++;
    }
    return slot;
}

int64_t
NrRandomAccess::GetResponseSlot(int64_t preambleSlot) const
{
    return m_timing.GetPdschSlotFrom(m_timing.GetRequestKnownSlot(preambleSlot));
}

void
NrRandomAccess::Begin(uint32_t device)
{
    auto now = Simulator::Now().GetNanoSeconds();
    auto slot = GetPreambleSlot(now);
    auto& waiting = m_waiting[slot];
    if (waiting.empty())
    {
        auto wait = NanoSeconds(m_frame.GetStartNs(slot) - now);
        m_occasions[slot] = Simulator::Schedule(wait, &NrRandomAccess::Send, this, slot);
    }
    waiting.insert(device);
}

void
NrRandomAccess::Send(int64_t slot)
{
    auto devices = std::move(m_waiting[slot]);
    m_waiting.erase(slot);
    m_occasions.erase(slot);
    std::map<uint32_t, std::vector<uint32_t>> heard; // by preamble
    for (auto device : devices)
    {
        m_tell(NrAccessStep::PREAMBLE, device);
        auto preamble = m_draw->GetInteger(0, m_settings.preambles - 1);
        if (m_isHeard(device))
        {
            heard[preamble].push_back(device);
            continue;
        }
        // The window begins with the first PDCCH behind the preamble (clause 5.1.4).
        auto first = slot + 1;
        while (!m_frame.HasPdcch(first))
        {
            first++;
        }
        auto end = NanoSeconds(m_frame.GetStartNs(first)) + m_settings.responseWindow;
        m_again[device] =
            Simulator::Schedule(end - Simulator::Now(), &NrRandomAccess::Again, this, NrAccessStep::UNHEARD, device);
    }
    auto message3Slot = m_timing.GetMessage3Slot(GetResponseSlot(slot));
    for (const auto& [preamble, senders] : heard)
    {
        if (senders.size() == 1)
        {
            m_found(senders.front(), message3Slot);
            continue;
        }
        // The timer runs from the end of message 3 on (clause 5.1.5).
        auto end =
            NanoSeconds(m_frame.GetSymbolNs(message3Slot, m_frame.GetPuschEnd(message3Slot))) + m_settings.contention;
        for (auto device : senders)
        {
            auto backoff = NanoSeconds(static_cast<int64_t>(m_draw->GetValue(0, m_settings.backoff.GetNanoSeconds())));
            m_again[device] = Simulator::Schedule(end + backoff - Simulator::Now(),
                                                  &NrRandomAccess::Again,
                                                  this,
                                                  NrAccessStep::COLLIDED,
                                                  device);
        }
    }
}

void
NrRandomAccess::Again(NrAccessStep step, uint32_t device)
{
    m_again.erase(device);
    if (m_tell(step, device))
    {
        Begin(device);
    }
}

} // namespace ns3::cosim
