# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of links: Mahimahi packet-delivery traces, and CSV of rate, delay and loss over time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bridge.network import NS_PER_S

EXAMPLE = Path(__file__).parent / "example-trace.csv"
OPPORTUNITY_BITS = 8 * 1500
NS_PER_MS = 1_000_000
MOST_RATE_BPS = 10**13
MOST_TIME_S = 10**8
MOST_DELAY_S = 10
MOST_POOL = 10**9
MOST_OTHERS = 255

REQUIRED = ("time_s", "rate_bps")
COLUMNS = {
    "time_s": MOST_TIME_S,
    "rate_bps": MOST_RATE_BPS,
    "delay_s": MOST_DELAY_S,
    "loss": 1,
    "pool": MOST_POOL,
    "others": MOST_OTHERS,
}
"""What a CSV may have, and the most that each may be."""
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
class Trace:
    """What one direction of a link could carry; it repeats after `period_ns`, which is where the last row ends."""

    rows: tuple[Row, ...]
    period_ns: int


class TraceError(ValueError):
    """A recording that cannot be read. The message begins with `FILE:LINE`, or with FILE alone."""


def read(path: Path) -> Trace:
    """Read a recording, told apart by its first line: a CSV begins with the names of its columns.

    Raises `TraceError`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    told = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if not told:
        raise TraceError(f"{path}: there is nothing in it")
    if told[0][1][0].isdigit():
        return _mahimahi(path, numbered)
    return _csv(path, told)


def _mahimahi(path: Path, lines: Iterable[tuple[int, str]]) -> Trace:
    times_ms: list[int] = []
    for number, line in lines:
        if not (line.isascii() and line.isdigit() and len(line) < 12):
            raise TraceError(f"{path}:{number}: {line!r} is not a whole number of milliseconds")
        if times_ms and int(line) < times_ms[-1]:
            raise TraceError(f"{path}:{number}: {line} ms lies before the {times_ms[-1]} ms of the line before")
        times_ms.append(int(line))
    period_ms = times_ms[-1]
    if period_ms == 0:
        raise TraceError(f"{path}:{len(times_ms)}: the last time is how long the trace lasts, and cannot be 0 ms")
    bursts = {0: 0}
    for time_ms in times_ms:  # the end of one round is the beginning of the next
        bursts[time_ms % period_ms] = bursts.get(time_ms % period_ms, 0) + OPPORTUNITY_BITS
    rows = tuple(Row(time_ms * NS_PER_MS, bits, 0, None, 0.0) for time_ms, bits in sorted(bursts.items()))
    return Trace(rows, period_ms * NS_PER_MS)


def _csv(path: Path, lines: list[tuple[int, str]]) -> Trace:
    (number, header), *rest = lines
    names = [name.strip() for name in header.split(",")]
    if len({*names}) < len(names) or not {*REQUIRED} <= {*names} <= {*COLUMNS}:
        may = "".join(f"[,{name}]" for name in COLUMNS if name not in REQUIRED)
        wanted = f"neither a time in ms, as in a Mahimahi trace, nor the header {','.join(REQUIRED)}{may}"
        raise TraceError(f"{path}:{number}: {wanted}")
    rows: list[Row] = []
    for number, line in rest:
        found = dict(zip(names, _figures(f"{path}:{number}", names, line), strict=True))
        begin_ns = round(found["time_s"] * NS_PER_S)
        if not rows and begin_ns != 0:
            raise TraceError(f"{path}:{number}: the first time_s is {found['time_s']:g}, and has to be 0")
        if rows and begin_ns <= rows[-1].begin_ns:
            raise TraceError(f"{path}:{number}: time_s {found['time_s']:g} is not later than in the line before")
        delay_ns = round(found["delay_s"] * NS_PER_S) if "delay_s" in found else None
        shared = (round(found["pool"]) if "pool" in found else None, round(found.get("others", 0)))
        rows.append(Row(begin_ns, 0, round(found["rate_bps"]), delay_ns, found.get("loss", 0.0), *shared))
    if not any(row.rate_bps for row in rows):
        raise TraceError(f"{path}:{number}: no row up to here has a rate_bps above 0")
    lasted_ns = [after.begin_ns - row.begin_ns for row, after in pairwise(rows)]
    return Trace(tuple(rows), rows[-1].begin_ns + (lasted_ns[-1] if lasted_ns else NS_PER_S))


def _figures(place: str, names: list[str], line: str) -> Iterable[float]:
    values = line.split(",")
    if len(values) != len(names):
        raise TraceError(f"{place}: {len(values)} values for {len(names)} columns")
    for name, text in zip(names, values, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= COLUMNS[name]:
            raise TraceError(f"{place}: {name} {text.strip()!r} is not a number from 0 to {COLUMNS[name]:g}")
        if name in WHOLE and value % 1:
            raise TraceError(f"{place}: {name} {text.strip()!r} is not a whole number")
        yield value
