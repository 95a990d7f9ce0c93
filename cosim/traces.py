# SPDX-License-Identifier: Apache-2.0
"""Rate traces out of a run's channel record, as CSV and for Mahimahi: what each device could have had alone.

`docs/recorded.md` describes both formats, and the `recorded` scenario plays them.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bridge.network import CHANNEL_ROW, NS_PER_S, RequestError
from cosim.channel_row import DIRECTIONS
from cosim.folders import filled
from cosim.journal import Journal

NS_PER_MS = 1_000_000
OPPORTUNITY_BITS = 8 * 1500


class Step(NamedTuple):
    """From `begin_ns` on, counted from the beginning of the trace, so much could cross."""

    begin_ns: int
    rate_bps: float


def export(run: Path, folder: Path, variant: int = 1) -> list[Path]:
    """Write `NAME.down.csv`, `NAME.down`, `NAME.up.csv` and `NAME.up` for each device of a variant.

    They begin when the network was ready and end with the last exchange. A direction in which nothing could ever cross
    has no files, since neither format can say so. Raises `RequestError` naming RUN where nothing is recorded, or
    FOLDER if it holds something already or cannot be written.
    """
    with closing(Journal.open(run)) as journal:
        info = journal.network_info(variant)
        if info is None:
            raise RequestError("RUN", f"{run} has no variant {variant}")
        ((end_ns,),) = journal.rows("SELECT max(end_ns) FROM exchanges WHERE variant = ?", variant)
        rows = journal.rows("SELECT rows FROM channel WHERE variant = ? ORDER BY exchange", variant)
    lines = steps(b"".join(row for (row,) in rows), len(info.devices), info.now_ns)
    if not any(any(line) for line in lines):
        raise RequestError("RUN", f"the {info.scenario} scenario of {run} keeps no channel record")
    paths = []
    with filled(folder):
        for name, ways in zip(info.devices, lines, strict=True):
            for direction, line in zip(DIRECTIONS, ways, strict=True):
                if any(step.rate_bps for step in line):
                    for suffix, text in (
                        (".csv", csv(line, end_ns - info.now_ns)),
                        ("", mahimahi(line, end_ns - info.now_ns)),
                    ):
                        paths.append(folder / f"{name}.{direction}{suffix}")
                        paths[-1].write_text(text, encoding="utf-8")
    return paths


def steps(channel: bytes, devices: int, begin_ns: int) -> list[tuple[list[Step], list[Step]]]:
    """For each device, down and up, the capacity in a channel record as a step function; not connected is 0."""
    found: list[tuple[list[Step], list[Step]]] = [([], []) for _ in range(devices)]
    for time_ns, device, direction, _, _, capacity_bps, _ in CHANNEL_ROW.iter_unpack(channel):
        line, rate_bps = found[device][direction], max(capacity_bps, 0.0)
        if not line or line[-1].rate_bps != rate_bps:
            line.append(Step(time_ns - begin_ns, rate_bps))
    return found


def csv(line: Sequence[Step], end_ns: int) -> str:
    """A CSV of `time_s` and `rate_bps`, whose last row lasts, as the format has it, as long as the one before it."""
    known = [step for step in line if step.begin_ns < end_ns]
    last = known[-1]
    halved = [*known, Step((last.begin_ns + end_ns) // 2, last.rate_bps)]
    told = [f"{step.begin_ns / NS_PER_S:.9f},{step.rate_bps:.0f}" for step in halved]
    return "\n".join(["time_s,rate_bps", *told, ""])


def mahimahi(line: Sequence[Step], end_ns: int) -> str:
    """The milliseconds by the end of which each further packet of 1500 bytes could have crossed.

    The last is the end of the trace, as the format has it, whether a packet could have crossed by then or not.
    """
    begins_ns = np.array([step.begin_ns for step in line] + [end_ns], dtype=np.float64)
    rates_bps = np.array([step.rate_bps for step in line])
    crossed = np.concatenate([[0.0], np.cumsum(rates_bps * np.diff(begins_ns) / NS_PER_S)])  # bits by each begin
    wanted = np.arange(1, crossed[-1] // OPPORTUNITY_BITS + 1) * OPPORTUNITY_BITS
    within = np.searchsorted(crossed, wanted) - 1
    at_ns = begins_ns[within] + (wanted - crossed[within]) / rates_bps[within] * NS_PER_S
    period_ms = max(-(-end_ns // NS_PER_MS), 1)
    times_ms = np.clip(np.ceil(np.round(at_ns) / NS_PER_MS), 1, period_ms).astype(int).tolist()
    if not times_ms or times_ms[-1] < period_ms:
        times_ms.append(period_ms)
    return "".join(f"{time_ms}\n" for time_ms in times_ms)
