# SPDX-License-Identifier: GPL-2.0-only
"""Random access without a cell, in a process that has ns-3."""

from collections.abc import Sequence
from typing import NamedTuple

from ns3_scenarios.wheel import loader

RUNS = """
#ifndef ACCESS_RUNS
#define ACCESS_RUNS
struct AccessRuns
{
    using Row = std::vector<int64_t>; // ns, kind (3: alone), device, and slot of message 3 in the last case
    std::vector<Row> rows;

    void Play(ns3::cosim::NrRandomAccessSettings settings, const std::vector<int64_t>& beginNs, int64_t unheardUntilNs,
              int64_t stream)
    {
        using namespace ns3;
        using namespace ns3::cosim;
        rows.clear();
        NrFrame frame(NrFrameSettings{
            .numerology = 1, .pattern = "DDDSU", .specialDownlinkSymbols = 10, .pdcchSymbols = 2, .pucchSymbols = 1});
        auto now = [] { return Simulator::Now().GetNanoSeconds(); };
        NrRandomAccess access(
            frame, NrTiming(frame, {}), settings,
            [&](uint32_t) { return now() >= unheardUntilNs; },
            [&](uint32_t device, int64_t slot) { rows.push_back({now(), 3, device, slot}); },
            [&](NrAccessStep step, uint32_t device) {
                rows.push_back({now(), static_cast<int64_t>(step), device});
                return true;
            });
        access.AssignStreams(stream);
        for (uint32_t device = 0; device < beginNs.size(); device++)
        {
            Simulator::Schedule(NanoSeconds(beginNs[device]), [&access, device] { access.Begin(device); });
        }
        Simulator::Run();
        Simulator::Destroy();
    }
};
#endif
"""

PREAMBLE, UNHEARD, COLLIDED, ALONE = range(4)


class Row(NamedTuple):
    """`message_3`: its slot, of a device that is alone."""

    time_ns: int
    kind: int
    device: int
    message_3: int = -1


def accessed(
    begin_ns: Sequence[int],
    streams: Sequence[int],
    *,
    preambles: int,
    backoff_ms: int = 20,
    period_slots: int = 20,
    unheard_until_ns: int = 0,
) -> list[list[Row]]:
    """What devices that begin then do on DDDSU at 30 kHz, drawn from each of these streams; windows of 10 ms, timers of
    64 ms."""
    import cppyy

    ns = loader.load(("spectrum",), ("nr-random-access.h",))
    cppyy.cppdef(RUNS)
    settings = ns.cosim.NrRandomAccessSettings()
    settings.period, settings.preambles = period_slots, preambles
    settings.responseWindow, settings.contention = ns.MilliSeconds(10), ns.MilliSeconds(64)
    settings.backoff = ns.MilliSeconds(backoff_ms)
    runs, found = cppyy.gbl.AccessRuns(), []
    for stream in streams:
        runs.Play(settings, cppyy.gbl.std.vector["int64_t"](begin_ns), unheard_until_ns, stream)
        found.append([Row(*(int(figure) for figure in row)) for row in runs.rows])
    return found
