# SPDX-License-Identifier: Apache-2.0
"""A run as a trace that Perfetto and chrome://tracing open: the Trace Event Format's JSON, virtual time as its time.

Each variant is a process. Its tracks from above: tokens, layers, the base station's computing, then downlink, computing
and uplink of each device; beside them counters of its SINR, rate and queue, and marks where it was handed over, cut
off, or an answer did not come in time. Where requests arrived, passes stand in the place of tokens, and each request
has a track below the devices, with its queueing and its part in each pass; a counter tells how many wait and run.
"""

import gzip
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from bridge.network import NS_PER_S
from cosim.folders import made, replaced, told
from cosim.reporting.cases import Case, load
from cosim.reporting.columns import PHASES, STATUSES
from cosim.reporting.figures.exchange import PARTS, parts_ms
from cosim.reporting.figures.links import marks
from cosim.results.queue import queue_of

Event = dict[str, Any]

TOKENS, LAYERS, STATION, FIRST_DEVICE = 1, 2, 3, 4
"""Numbers of tracks; a device has one for each of its parts."""
COUNTERS = {
    "SINR in dB": {"down": "downlink_sinr_db", "up": "uplink_sinr_db"},
    "rate in Mbit/s": {"down": "downlink_rate_bps", "up": "uplink_rate_bps"},
    "queue in bytes": {"down": "rlc_queue_bytes", "up": "bsr_bytes"},
}
NAME = "timeline.json"
_PASS = ("exchange", "begin_s", "end_s")


def write(run: Path, file: Path | None = None) -> Path:
    """Write the trace of a run, by default as `timeline.json` in its folder; gzipped if the name ends so.

    Raises `RequestError` naming RUN, or --out for what cannot be written; then there is no half of it.
    """
    cases = load([run]).cases
    path = file or (run if run.is_dir() else run.parent) / NAME
    with made(path.parent, "--out"), told(path, "--out"), replaced(path) as raw:
        _write(cases, raw, packed=path.suffix == ".gz")
    return path


def _write(cases: list[Case], raw: IO[bytes], *, packed: bool) -> None:
    out: IO[bytes] = gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) if packed else raw  # type: ignore[assignment]
    out.write(b'{"displayTimeUnit": "ns", "traceEvents": [\n')
    separator = b""
    for case in cases:
        for event in events(case):
            out.write(separator + json.dumps(event, separators=(",", ":"), allow_nan=False).encode())
            separator = b",\n"
    out.write(b"\n]}\n")
    if packed:
        out.close()


def events(case: Case) -> Iterator[Event]:
    """The events of a variant, in the order in which its tracks are shown."""
    yield from _names(case)
    if case.is_shared:
        yield from _passes(case)
        yield from _requests(case)
    else:
        yield from _tokens(case)
    yield from _layers(case)
    yield from _transfers(case)
    yield from _counters(case)
    for time_s, device, kind in marks(case):
        track = FIRST_DEVICE + device * len(PARTS)
        yield _event(case, "i", track, f"{case.devices[device]} {kind}", time_s) | {"s": "p"}


def _names(case: Case) -> Iterator[Event]:
    tracks = {TOKENS: "passes" if case.is_shared else "tokens", LAYERS: "layers", STATION: "base station"}
    for device, name in enumerate(case.devices):
        for part, what in enumerate(PARTS):
            tracks[FIRST_DEVICE + device * len(PARTS) + part] = f"{name} {what}"
    tracks |= {_track(case, request): f"request {request:.0f}" for request in _known(case)}
    yield _described(case, 0, "process_name", {"name": f"{case.variant}: {case.policy} ({case.network})"})
    yield _described(case, 0, "process_sort_index", {"sort_index": case.variant})
    for track, name in tracks.items():
        yield _described(case, track, "thread_name", {"name": name})
        yield _described(case, track, "thread_sort_index", {"sort_index": track})


def _tokens(case: Case) -> Iterator[Event]:
    tokens = case.tokens
    for request, position, begin_s, end_s in zip(
        *(tokens[name].tolist() for name in ("request", "position", "begin_s", "end_s")), strict=True
    ):
        what = {"request": int(request), "position": int(position)}
        yield _span(case, TOKENS, f"request {request:.0f}, token {position:.0f}", begin_s, end_s, what)


def _passes(case: Case) -> Iterator[Event]:
    rows = case.pass_rows
    counts, phases = Counter(rows["exchange"].tolist()), defaultdict(set)
    for exchange, phase in zip(rows["exchange"].tolist(), rows["phase"].astype(int).tolist(), strict=True):
        phases[exchange].add(PHASES[phase])
    for exchange, begin_s, end_s in zip(*(case.passes[name].tolist() for name in _PASS), strict=True):
        requests = f"{counts[exchange]} request{'s' * (counts[exchange] > 1)}"
        what = {"exchange": int(exchange), "requests": counts[exchange]}
        yield _span(
            case, TOKENS, f"{' and '.join(sorted(phases[exchange], reverse=True))} of {requests}", begin_s, end_s, what
        )


def _requests(case: Case) -> Iterator[Event]:
    """Queueing and the part in each pass of each request, and how many wait and run."""
    requests, rows = case.requests, case.pass_rows
    for request, arrival_s, admitted_s, end_s in zip(
        *(requests[name].tolist() for name in ("request", "arrival_s", "admitted_s", "end_s")), strict=True
    ):
        until_s = end_s if math.isnan(admitted_s) else admitted_s
        yield _span(case, _track(case, request), "queueing", arrival_s, until_s, {"request": int(request)})
    at = np.searchsorted(case.passes["exchange"], rows["exchange"])
    times_s = (case.passes[name][at].tolist() for name in ("begin_s", "end_s"))
    columns = (rows[name].astype(int).tolist() for name in ("exchange", "request", "phase", "position", "tokens"))
    for exchange, request, phase, position, tokens, begin_s, end_s in zip(*columns, *times_s, strict=True):
        what = {"exchange": exchange, "request": request, "position": position, "tokens": tokens}
        yield _span(case, _track(case, request), PHASES[phase], begin_s, end_s, what)
    queue = queue_of(*(requests[name] for name in ("arrival_s", "admitted_s", "end_s")))
    for time_s, waiting, running in zip(
        queue.time_s.tolist(), queue.waiting.tolist(), queue.running.tolist(), strict=True
    ):
        yield _event(case, "C", 0, "requests", time_s) | {"args": {"waiting": waiting, "running": running}}


def _known(case: Case) -> list[float]:
    """Requests that are over, and those that were in a pass before the run was stopped."""
    return list(np.union1d(case.requests["request"], case.pass_rows["request"]).tolist())


def _track(case: Case, request: float) -> int:
    """The track of a request."""
    return FIRST_DEVICE + len(case.devices) * len(PARTS) + int(request)


def _layers(case: Case) -> Iterator[Event]:
    names = ("exchange", "request", "position", "phase", "layer", "tokens", "bs_s", "depart_s", "end_s")
    last = [None if np.isnan(device) else case.devices[int(device)] for device in case.ended_by]
    for number, request, position, phase, layer, tokens, bs_s, depart_s, end_s, who in zip(
        *(case.exchanges[name].tolist() for name in names), last, strict=True
    ):
        what = {
            "exchange": int(number),
            "request": int(request),
            "position": int(position),
            "phase": PHASES[int(phase)],
            "tokens": int(tokens),
            "ended by": who or "none",
        }
        if bs_s > 0:
            yield _span(case, STATION, "attention, gate", depart_s - bs_s, depart_s, {"exchange": int(number)})
        yield _span(case, LAYERS, f"layer {layer:.0f}", depart_s, end_s, what)


def _transfers(case: Case) -> Iterator[Event]:
    at = case.transfers["at"].astype(int)
    depart_s, end_s = case.exchanges["depart_s"][at], case.exchanges["end_s"][at]
    edges_s = (depart_s + parts_ms(case.transfers, depart_s, end_s) / 1e3).T.tolist()
    columns = (case.transfers[name].astype(int).tolist() for name in ("device", "exchange", "tokens", "status"))
    sizes = (case.transfers[name].astype(int).tolist() for name in ("downlink_bytes", "uplink_bytes"))
    for device, number, tokens, status, down, up, edges, ended_s in zip(
        *columns, *sizes, edges_s, end_s.tolist(), strict=True
    ):
        track = FIRST_DEVICE + device * len(PARTS)
        what = {"exchange": number, "tokens": tokens, "status": STATUSES[status]}
        for part, size in enumerate(({"bytes": down}, {}, {"bytes": up})):
            if edges[part + 1] == edges[part + 1] and edges[part] == edges[part]:  # neither is NaN
                yield _span(case, track + part, PARTS[part], edges[part], edges[part + 1], what | size)
        if status:
            yield _event(case, "i", track, f"{case.devices[device]} {STATUSES[status]}", ended_s) | {"s": "t"}


def _counters(case: Case) -> Iterator[Event]:
    links = case.links
    time_s = case.exchanges["end_s"][links["at"].astype(int)]
    for name, ways in COUNTERS.items():
        scale = 1e-6 if "Mbit" in name else 1.0
        columns = {way: (scale * links[column]).tolist() for way, column in ways.items()}
        for device, own in enumerate(case.devices):
            before: dict[str, float] | None = None
            for row in np.flatnonzero(links["device"] == device).tolist():
                now = {way: values[row] for way, values in columns.items() if values[row] == values[row]}
                if now and now != before:
                    yield _event(case, "C", 0, f"{own} {name}", time_s[row]) | {"args": now}
                before = now


def _span(case: Case, track: int, name: str, begin_s: float, end_s: float, what: Event) -> Event:
    event = _event(case, "X", track, name, begin_s)
    return event | {"dur": round(_us(end_s) - event["ts"], 3), "args": what}


def _event(case: Case, phase: str, track: int, name: str, time_s: float) -> Event:
    return {"ph": phase, "pid": case.variant, "tid": track, "name": name, "ts": _us(time_s)}


def _described(case: Case, track: int, name: str, what: Event) -> Event:
    return {"ph": "M", "pid": case.variant, "tid": track, "name": name, "ts": 0, "args": what}


def _us(time_s: float) -> float:
    """Whole nanoseconds, in µs."""
    return round(time_s * NS_PER_S) / 1e3
