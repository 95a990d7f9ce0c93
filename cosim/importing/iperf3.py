# SPDX-License-Identifier: Apache-2.0
"""What `iperf3 --json` and `--json-stream` report: the intervals of a test, with their own beginnings and ends."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from bridge.csv_rows import FileRefused

from .links import Link
from .rates import Interval, Series

SUMS = {"sum": False, "sum_bidir_reverse": True}
"""Where an interval's figures are, and whether they are those of the way back in a test of both."""

_BLANK = re.compile(r"\s*")


def read(file: Path) -> Link:
    """The device's link, where the device is the client: what it sends is the uplink. Raises `FileRefused`."""
    test, intervals = _report(file)
    reverse = bool(test.get("reverse"))
    found: dict[str, list[Interval]] = {"down": [], "up": []}
    skipped: Counter[str] = Counter()
    for number, interval in enumerate(intervals, 1):
        for name, back in SUMS.items():
            if name not in interval:
                continue
            try:
                figures = interval[name]
                omitted = figures.get("omitted", False)
                one = Interval(float(figures["start"]), float(figures["end"]), float(figures["bits_per_second"]))
            except (KeyError, TypeError, ValueError, AttributeError):
                raise FileRefused(f"{file}: interval {number}: {name} lacks start, end or bits_per_second") from None
            way = found["down" if reverse != back else "up"]
            if omitted:
                skipped["omitted, as the test was told to"] += 1
            elif not 0 <= one.begin_s < one.end_s or (way and one.begin_s < way[-1].end_s - 1e-3) or one.rate_bps < 0:
                raise FileRefused(
                    f"{file}: interval {number}: {one.begin_s} to {one.end_s} s does not follow the one before"
                )
            else:
                way.append(one)
    made = {way: Series(told, Counter(skipped)) for way, told in found.items() if any(one.rate_bps for one in told)}
    if not made:
        raise FileRefused(f"{file}: no interval in which anything arrived")
    return Link(file.stem, made.get("down"), made.get("up"))


def _report(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What was tested, and the intervals."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused(f"{file}: cannot be read: not text in UTF-8") from None
    except OSError as error:
        raise FileRefused(f"{file}: cannot be read: {error.strerror}") from None
    events = _events(file, text)
    if not all(isinstance(event, dict) for event in events):
        raise FileRefused(f"{file}: not a report of iperf3 --json")
    if any("event" in event for event in events):
        by_kind = [(event.get("event"), event.get("data")) for event in events]
        begun = next((data for kind, data in by_kind if kind == "start"), None)
        report = {"start": begun, "intervals": [data for kind, data in by_kind if kind == "interval"]}
        report["error"] = next((data for kind, data in by_kind if kind == "error"), None)
    else:
        (report,) = events
    intervals = report.get("intervals")
    if not isinstance(intervals, list) or not intervals or not all(isinstance(one, dict) for one in intervals):
        raise FileRefused(f"{file}: {report.get('error') or 'no intervals; is it a report of iperf3 --json?'}")
    start = report.get("start")
    test = start.get("test_start") if isinstance(start, dict) else None
    return test if isinstance(test, dict) else {}, intervals


def _events(file: Path, text: str) -> list[Any]:
    """The one object of --json, or those of --json-stream, one after the other."""
    decoder, events, at = json.JSONDecoder(), [], 0
    while (at := _BLANK.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        try:
            event, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise FileRefused(f"{file}:{error.lineno}: not JSON: {error.msg}") from None
        events.append(event)
    if not events:
        raise FileRefused(f"{file}: there is nothing in it")
    return events
