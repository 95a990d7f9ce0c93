// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_RANDOM_ACCESS_H
#define COSIM_NR_RANDOM_ACCESS_H

#include "nr-frame.h"
#include "nr-timing.h"

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/random-variable-stream.h"

#include <cstdint>
#include <functional>
#include <map>
#include <set>

namespace ns3::cosim
{

/// Of a cell's random access, as TS 38.331 has it in RACH-ConfigCommon.
struct NrRandomAccessSettings
{
    uint32_t period{20};    ///< slots between two occasions for preambles; of the carrier's numerology, no mini-slots
    uint32_t offset{0};     ///< the first of them; each is in the first uplink slot from there on
    uint32_t preambles{64}; ///< for access with contention
    Time responseWindow;    ///< ra-ResponseWindow
    Time contention;        ///< ra-ContentionResolutionTimer
    Time backoff;           ///< at most; what the response tells (TS 38.321 table 7.2-1)
};

/// What a device does in random access.
enum class NrAccessStep : uint8_t
{
    PREAMBLE, ///< it sends one
    UNHEARD,  ///< no response has come to it
    COLLIDED  ///< another device has sent the same one, and neither message 3 was understood
};

/**
 * Random access of a cell in four steps (TS 38.321 clause 5.1; the restatement is ours): devices wait for an occasion,
 * where each sends a preamble drawn at random. All that are heard are answered, in one response. Those that have sent
 * the same preamble send their message 3 at once, and wait in vain for message 4 until contention is resolved against
 * them; each then draws how long it backs off, and tries again, as often as it takes.
 *
 * A preamble fills its slot (or mini-slot), and is heard if the device is in range: there is no ramping of power. What
 * is sent takes time, and neither PRBs nor elements of control from others.
 */
class NrRandomAccess
{
  public:
    /// Whether a device is in range now.
    using IsHeard = std::function<bool(uint32_t device)>;
    /// Message 3, in this slot, is the only one of its kind: its sender is known.
    using Found = std::function<void(uint32_t device, int64_t message3Slot)>;
    /// Returns whether the device goes on.
    using Tell = std::function<bool(NrAccessStep step, uint32_t device)>;

    NrRandomAccess(const NrFrame& frame,
                   const NrTiming& timing,
                   const NrRandomAccessSettings& settings,
                   IsHeard isHeard,
                   Found found,
                   Tell tell);
    ~NrRandomAccess();
    NrRandomAccess(const NrRandomAccess&) = delete;
    NrRandomAccess& operator=(const NrRandomAccess&) = delete;

    int64_t AssignStreams(int64_t stream);

    /// The device begins now; `found` is called when its preamble is sent that nobody else sends.
    void Begin(uint32_t device);

    /// The slot of the first occasion that begins at this time or later.
    int64_t GetPreambleSlot(int64_t fromNs) const;

    /// The slot that has the response to preambles of a slot.
    int64_t GetResponseSlot(int64_t preambleSlot) const;

  private:
    void Send(int64_t slot);
    void Again(NrAccessStep step, uint32_t device);

    NrFrame m_frame;
    NrTiming m_timing;
    NrRandomAccessSettings m_settings;
    IsHeard m_isHeard;
    Found m_found;
    Tell m_tell;
    Ptr<UniformRandomVariable> m_draw;
    std::map<int64_t, std::set<uint32_t>> m_waiting; // by slot
    std::map<int64_t, EventId> m_occasions;          // likewise
    std::map<uint32_t, EventId> m_again;
};

} // namespace ns3::cosim

#endif
