# SPDX-License-Identifier: Apache-2.0
"""Tables of measurements, CSV by the names of its columns."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from bridge import csv_rows
from bridge.csv_rows import FileRefused, Row

from . import rates, stamps
from .datasets import BITS, Columns
from .links import Link
from .rates import Sample, Series

NOTHING = {"", "-", "na", "n/a", "nan", "null", "none"}
UNAVAILABLE = 2**31 - 1
"""What Android reports for what it did not measure (`CellInfo.UNAVAILABLE`)."""
_FASTEST_BPS = 1e13


def read(file: Path, columns: Columns, hold_s: float | None) -> Link:
    """The link of a table. `columns` has a time, a unit, and one direction at least. Raises `FileRefused`."""
    assert columns.time is not None
    ways = {way: name for way, name in (("down", columns.down), ("up", columns.up)) if name is not None}
    asked = [columns.time, *ways.values(), *columns.only, *([columns.counter] if columns.counter else [])]
    samples: dict[str, list[Sample]] = {way: [] for way in ways}
    skipped: dict[str, Counter[str]] = {way: Counter() for way in ways}
    everywhere: Counter[str] = Counter()
    rows = timed(chosen(csv_rows.rows(file, [*dict.fromkeys(asked)]), columns.only, everywhere), columns, everywhere)
    uncounted = False
    for time_s, row in rows:
        counted = columns.counter is None or row.values[columns.counter] not in ("0", *NOTHING)
        reason = "" if counted and not uncounted else f"no {columns.counter}, here or in the row before"
        uncounted = not counted
        for way, name in ways.items():
            passed_over = reason or _unmeasured(row, name)
            if passed_over:
                skipped[way][passed_over] += 1
            else:
                samples[way].append(Sample(time_s, _bits(row, name, columns.unit)))
    made = {way: series(file, name, samples[way], columns, hold_s) for way, name in ways.items()}
    for way, one in made.items():
        one.skipped += everywhere + skipped[way]
    return Link(file.stem, made.get("down"), made.get("up"))


def series(file: Path, name: str, samples: list[Sample], columns: Columns, hold_s: float | None) -> Series:
    """The rate over time that rows give. Raises `FileRefused` where nothing can be made of them."""
    counts = columns.unit == "bytes"
    merged = rates.merged(samples, counts)
    if len(merged) < 2:
        raise FileRefused(f"{file}: {name} has {len(merged)} time stamps with a value; two are the least")
    found = Series(rates.intervals(merged, hold_s, columns.at_end, counts))
    if not any(round(interval.rate_bps) for interval in found.intervals):
        raise FileRefused(f"{file}: {name} is never above 0, and such a link cannot be played")
    alike = len(samples) - len(merged)
    if alike:
        found.skipped[f"time stamp of the row before; {'added to it' if counts else 'the mean of both holds'}"] = alike
    return found


def chosen(rows: Iterable[Row], only: dict[str, str], skipped: Counter[str]) -> Iterator[Row]:
    """The rows that have these values in these columns."""
    for row in rows:
        other = next((name for name, value in only.items() if row.values[name] != value), None)
        if other is None:
            yield row
        else:
            skipped[f"{other} is not {only[other]}"] += 1


def timed(rows: Iterable[Row], columns: Columns, skipped: Counter[str]) -> Iterator[tuple[float, Row]]:
    """Rows with their times in s, which do not fall; those without a time are passed over. Raises `FileRefused`."""
    assert columns.time is not None
    clock, name, last_s = None, "", -float("inf")
    for row in rows:
        text = row.values[columns.time]
        if text.lower() in NOTHING:
            skipped[f"no {columns.time}"] += 1
            continue
        if clock is None:
            name, clock = stamps.find(text, columns.time_format, f"{row.place}: {columns.time}")
        try:
            time_s = clock(text)
        except ValueError:
            raise FileRefused(
                f"{row.place}: {columns.time} {text!r} is no time as {name}, which the first one is"
            ) from None
        if not time_s >= last_s:
            reason = "goes back; where a file holds several runs, choose one with --only COLUMN=VALUE"
            raise FileRefused(f"{row.place}: {columns.time} {text} {reason}")
        last_s = time_s
        yield time_s, row


def _unmeasured(row: Row, name: str) -> str:
    """Why a cell says nothing, "" if it does."""
    text = row.values[name]
    if text.lower() in NOTHING:
        return f"{name} is {text or 'empty'}"
    figure = row.figure(name, -float("inf"), float("inf"))
    if figure < 0:
        return f"{name} is below 0"
    return f"{name} is {UNAVAILABLE}" if figure == UNAVAILABLE else ""


def _bits(row: Row, name: str, unit: str | None) -> float:
    assert unit is not None
    return row.figure(name, 0, _FASTEST_BPS / BITS[unit]) * BITS[unit]
