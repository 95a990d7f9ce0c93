# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of links: Mahimahi packet-delivery traces, and CSV of rate, delay and loss over time."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bridge import csv_rows
from bridge.csv_rows import FileRefused
from bridge.network import NS_PER_S

EXAMPLE = Path(__file__).parent / "example-trace.csv"
OPPORTUNITY_BITS = 8 * 1500
NS_PER_MS = 1_000_000
MOST_RATE_BPS = 10**13
MOST_TIME_S = 10**8
MOST_DELAY_S = 10
MOST_POOL = 10**9
MOST_OTHERS = 255

REQUIRED, OPTIONAL = ("time_s", "rate_bps"), ("delay_s", "loss", "pool", "others")
COLUMNS = {
    "time_s": MOST_TIME_S,
    "rate_bps": MOST_RATE_BPS,
    "delay_s": MOST_DELAY_S,
    "loss": 1,
    "pool": MOST_POOL,
    "others": MOST_OTHERS,
}
"""What a CSV tells, and the most that each may be."""
WHOLE = ("pool", "others")
"""The columns of whole numbers."""


class Row(NamedTuple):
    """From `begin_ns` on: at once `burst_bits` may cross, then `rate_bps`; crossing packets have `delay_ns` and `loss`.

    `delay_ns` is None where the recording says nothing of it. What crosses is shared with all links of the same `pool`
    (None: with none) that have packets waiting then, and with so many `others`.
    """

    begin_ns: int
    burst_bits: int
    rate_bps: int
    delay_ns: int | None
    loss: float
    pool: int | None = None
    others: int = 0


@dataclass(frozen=True)
class LinkTrace:
    """What one direction of a link could carry; it repeats after `period_ns`, which is where the last row ends."""

    rows: tuple[Row, ...]
    period_ns: int


def read(path: Path) -> LinkTrace:
    """Read a recording, told apart by its first line: a CSV begins with the names of its columns.

    Raises `FileRefused`.
    """
    numbered = list(csv_rows.lines(path))
    first = next((line.strip() for _, line in numbered if line.strip() and not line.lstrip().startswith("#")), "")
    return _mahimahi(path, numbered) if first[:1].isdigit() else _csv(path, numbered)


def _mahimahi(path: Path, lines: Iterable[tuple[int, str]]) -> LinkTrace:
    times_ms: list[int] = []
    for number, text in lines:
        line = text.strip()
        if not (line.isascii() and line.isdigit() and len(line) < 12):
            raise FileRefused(f"{path}:{number}: {line!r} is not a whole number of milliseconds")
        if times_ms and int(line) < times_ms[-1]:
            raise FileRefused(f"{path}:{number}: {line} ms lies before the {times_ms[-1]} ms of the line before")
        times_ms.append(int(line))
    period_ms = times_ms[-1]
    if period_ms == 0:
        raise FileRefused(f"{path}:{len(times_ms)}: the last time is how long the trace lasts, and cannot be 0 ms")
    bursts = {0: 0}
    for time_ms in times_ms:  # the end of one round is the beginning of the next
        bursts[time_ms % period_ms] = bursts.get(time_ms % period_ms, 0) + OPPORTUNITY_BITS
    rows = tuple(Row(time_ms * NS_PER_MS, bits, 0, None, 0.0) for time_ms, bits in sorted(bursts.items()))
    return LinkTrace(rows, period_ms * NS_PER_MS)


def _csv(path: Path, lines: Iterable[tuple[int, str]]) -> LinkTrace:
    rows: list[Row] = []
    place = str(path)
    for row in csv_rows.parsed(path, lines, REQUIRED, OPTIONAL):
        place = row.place
        found = {name: row.figure(name, 0, COLUMNS[name]) for name in row.values}
        for name in WHOLE:
            if found.get(name, 0) % 1:
                raise FileRefused(f"{place}: {name} {row.values[name]!r} is not a whole number")
        begin_ns = round(found["time_s"] * NS_PER_S)
        if not rows and begin_ns != 0:
            raise FileRefused(f"{place}: the first time_s is {found['time_s']:.10g}, and has to be 0")
        if rows and begin_ns <= rows[-1].begin_ns:
            raise FileRefused(f"{place}: time_s {found['time_s']:g} is not later than in the row before")
        delay_ns = round(found["delay_s"] * NS_PER_S) if "delay_s" in found else None
        shared = (round(found["pool"]) if "pool" in found else None, round(found.get("others", 0)))
        rows.append(Row(begin_ns, 0, round(found["rate_bps"]), delay_ns, found.get("loss", 0.0), *shared))
    if not any(row.rate_bps for row in rows):
        raise FileRefused(f"{place}: no row up to here has a rate_bps above 0")
    lasted_ns = [after.begin_ns - row.begin_ns for row, after in pairwise(rows)]
    return LinkTrace(tuple(rows), rows[-1].begin_ns + (lasted_ns[-1] if lasted_ns else NS_PER_S))
