// SPDX-License-Identifier: GPL-2.0-only
#include "nr-rrc.h"

#include "nr-cell.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <utility>

namespace ns3::cosim
{

namespace
{

constexpr int64_t RADIO_FRAME_NS = 10'000'000;
constexpr uint32_t IDENTITIES = 1024;      // TS 38.304 clause 7.1
constexpr uint32_t IDENTITY_STEP = 397;    // odd: 1024 devices have 1024 identities
constexpr int64_t SETUP_NS = 10'000'000;   // TS 38.331 table 12.1-1: RRC setup; RRC resume; RRC reconfiguration
constexpr int64_t SECURITY_NS = 5'000'000; // and initial AS security activation

} // namespace

NrConnectionSetup::NrConnectionSetup(const NrTiming& timing, int64_t message3Slot, bool isSuspended, Time core)
{
    // Message 4 resolves contention, and is RRCResume or RRCSetup.
    Exchange(timing, timing.GetPdschSlotFrom(timing.GetKnownSlot(true, message3Slot)), SETUP_NS);
    if (isSuspended)
    {
        return;
    }
    // The core has the gNB set up the context: SecurityModeCommand, and then RRCReconfiguration with the bearer.
    auto toldNs = timing.GetDecodedNs(true, m_completeSlot) + core.GetNanoSeconds();
    auto slot = timing.GetPdschSlotFrom(m_completeSlot);
    while (timing.GetDownlinkReadyNs(slot) < toldNs)
    {
        slot = timing.GetPdschSlotFrom(slot + 1);
    }
    Exchange(timing, slot, SECURITY_NS);
    Exchange(timing, timing.GetPdschSlotFrom(GetConnectedSlot()), SETUP_NS);
}

void
NrConnectionSetup::Exchange(const NrTiming& timing, int64_t slot, int64_t processingNs)
{
    m_completeSlot = timing.GetGrantedSlotFrom(timing.GetPdschEndNs(slot) + processingNs);
    m_connectedSlot = timing.GetKnownSlot(true, m_completeSlot);
}

int64_t
NrConnectionSetup::GetCompleteSlot() const
{
    return m_completeSlot;
}

int64_t
NrConnectionSetup::GetConnectedSlot() const
{
    return m_connectedSlot;
}

NrConnections::NrConnections(NrCell& cell,
                             const NrFrame& frame,
                             const NrTiming& timing,
                             const NrConnectionSettings& settings,
                             Tell tell)
    : m_cell(cell),
      m_frame(frame),
      m_timing(timing),
      m_settings(settings),
      m_tell(std::move(tell)),
      m_devices(cell.CountDevices()),
      m_access(
          frame,
          timing,
          settings.access,
          [this](uint32_t device) { return m_cell.IsInRange(device); },
          [this](uint32_t device, int64_t slot) { SetUp(device, slot); },
          [this](NrAccessStep step, uint32_t device) { return LearnStep(step, device); })
{
}

NrConnections::~NrConnections()
{
    for (auto& device : m_devices)
    {
        device.next.Cancel();
    }
}

int64_t
NrConnections::AssignStreams(int64_t stream)
{
    return m_access.AssignStreams(stream);
}

bool
NrConnections::IsReleased(uint32_t device) const
{
    return m_devices[device].state != State::CONNECTED;
}

bool
NrConnections::HasData(uint32_t device) const
{
    return m_cell.GetState(device, false).queueBytes > 0 || m_cell.GetState(device, true).queueBytes > 0;
}

void
NrConnections::Say(NrConnectionTrace::Kind kind, uint32_t device) const
{
    m_tell({kind, Simulator::Now().GetNanoSeconds(), device});
}

void
NrConnections::Watch(uint32_t index)
{
    auto& device = m_devices[index];
    device.next.Cancel();
    device.state = State::CONNECTED;
    device.connectedNs = Simulator::Now().GetNanoSeconds();
    device.next = Simulator::Schedule(m_settings.inactivity, &NrConnections::CheckActivity, this, index);
}

void
NrConnections::CheckActivity(uint32_t index)
{
    auto& device = m_devices[index];
    if (!m_cell.IsServed(index))
    {
        return; // it has left the cell, or is about to
    }
    auto now = Simulator::Now().GetNanoSeconds();
    auto untilNs = std::max(m_cell.GetLastActiveNs(index), device.connectedNs) + m_settings.inactivity.GetNanoSeconds();
    bool isIdle = !HasData(index) && m_cell.IsSettled(index) && m_cell.IsConnected(index);
    if (now < untilNs || !isIdle)
    {
        auto later = now < untilNs ? NanoSeconds(untilNs - now) : m_settings.inactivity;
        device.next = Simulator::Schedule(later, &NrConnections::CheckActivity, this, index);
        return;
    }
    m_cell.ReleaseConnection(index);
    device.state = State::RELEASED;
    Say(NrConnectionTrace::Kind::RELEASED, index);
}

void
NrConnections::Ask(uint32_t index, bool isUplink)
{
    auto& device = m_devices[index];
    if (device.state == State::CONNECTED || device.state == State::ACCESSING)
    {
        return;
    }
    if (isUplink)
    {
        device.next.Cancel();
        Access(index);
    }
    else if (device.state == State::RELEASED)
    {
        Page(index);
    }
}

uint32_t
NrConnections::GetIdentity(uint32_t device)
{
    return device * IDENTITY_STEP % IDENTITIES;
}

int64_t
NrConnections::GetPagingSlot(uint32_t device, int64_t nowNs) const
{
    // N = T and Ns = 1: each frame has one occasion, and each device one frame of the cycle, without an offset.
    auto cycle = static_cast<int64_t>(m_settings.pagingFrames);
    auto frame = nowNs / RADIO_FRAME_NS;
    frame += (GetIdentity(device) % cycle - frame % cycle + cycle) % cycle;
    auto slotIn = [this](int64_t in) { return m_timing.GetPdschSlotFrom(m_frame.GetSlotFrom(in * RADIO_FRAME_NS)); };
    while (m_timing.GetDownlinkReadyNs(slotIn(frame)) < nowNs)
    {
        frame += cycle;
    }
    return slotIn(frame);
}

void
NrConnections::Page(uint32_t index)
{
    auto now = Simulator::Now().GetNanoSeconds();
    auto slot = GetPagingSlot(index, now);
    m_devices[index].state = State::PAGED;
    m_devices[index].next =
        Simulator::Schedule(NanoSeconds(m_frame.GetStartNs(slot) - now), &NrConnections::SendPage, this, index, slot);
}

void
NrConnections::SendPage(uint32_t index, int64_t slot)
{
    if (!HasData(index))
    {
        m_devices[index].state = State::RELEASED;
        Say(NrConnectionTrace::Kind::GIVEN_UP, index);
        return;
    }
    Say(NrConnectionTrace::Kind::PAGED, index);
    if (!m_cell.IsInRange(index))
    {
        Page(index);
        return;
    }
    auto heard = NanoSeconds(m_timing.GetDecodedNs(false, slot)) - Simulator::Now();
    m_devices[index].next = Simulator::Schedule(heard, &NrConnections::Access, this, index);
}

void
NrConnections::Access(uint32_t index)
{
    m_devices[index].state = State::CONNECTED; // nothing of this cell's, if it finds another one
    m_cell.Camp(index)->BeginAccess(index);
}

void
NrConnections::BeginAccess(uint32_t index)
{
    m_devices[index].next.Cancel();
    m_devices[index].state = State::ACCESSING;
    m_access.Begin(index);
}

bool
NrConnections::LearnStep(NrAccessStep step, uint32_t index)
{
    using Kind = NrConnectionTrace::Kind;
    Say(step == NrAccessStep::PREAMBLE ? Kind::PREAMBLE
                                       : (step == NrAccessStep::UNHEARD ? Kind::UNHEARD : Kind::COLLIDED),
        index);
    if (step == NrAccessStep::PREAMBLE || HasData(index))
    {
        return true;
    }
    m_devices[index].state = State::RELEASED;
    Say(Kind::GIVEN_UP, index);
    return false;
}

void
NrConnections::SetUp(uint32_t index, int64_t message3Slot)
{
    NrConnectionSetup setup(m_timing, message3Slot, m_settings.isSuspended, m_settings.core);
    auto later = NanoSeconds(m_frame.GetStartNs(setup.GetConnectedSlot())) - Simulator::Now();
    m_devices[index].next = Simulator::Schedule(later, &NrConnections::Connect, this, index, setup.GetCompleteSlot());
}

void
NrConnections::Connect(uint32_t index, int64_t completeSlot)
{
    m_cell.Connect(index, completeSlot);
    Say(NrConnectionTrace::Kind::CONNECTED, index);
}

} // namespace ns3::cosim
