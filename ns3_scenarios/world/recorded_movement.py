# SPDX-License-Identifier: GPL-2.0-only
"""Recorded movement: files that say where each device is at what virtual time.

What is read becomes a track for each device: points that are passed at given times, straight and at constant speed in
between. Before the first a device stands there, after the last it stays.
"""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from bridge import csv_rows
from bridge.csv_rows import EPOCH_S, FileRefused
from bridge.network import NS_PER_S, RequestError

Point = tuple[float, float, float]
Track = list[tuple[int, Point]]  # virtual times in ns that rise, and x, y, z in m

FIELD = "radio.movement"
LATEST_S = 3e9  # with the longest way behind it, within the 63 bits of virtual time
FARTHEST_M = 1e6
SLOWEST_MPS, FASTEST_MPS = 0.001, 1e9

COLUMNS = ("time_s", "device", "x_m", "y_m")
HEIGHT = "z_m"

_NODE = r"\$node_\((?P<node>\d{1,9})\)"
_AT = re.compile(rf"""\$ns_?\s+at\s+(?P<time>\S+)\s+"{_NODE}\s+(?P<words>[^"]*)\"""")
_INITIAL = re.compile(rf"{_NODE}\s+(?P<words>.*)")
_NO_MOVEMENT = re.compile(r"#.*|set\s+god_\s.*|\$god_\s.*|\$ns_?\s+at\s+\S+\s+\"\$god_\s.*")  # setdest's route lengths
_COMMENT = re.compile(r";\s*#.*")
_AXES = {"X_": 0, "Y_": 1, "Z_": 2}

Origin = Annotated[float, Meta(ge=-1e8, le=1e8)]


class Recording(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A recording of movement, and how it lies in the scenario.

    `nodes`: who in the recording the devices are, one after the other, each as the recording calls it; all else in it
    is passed over, and devices beyond the last one stay where the scenario places them.
    `origin_m`: x, y in the recording of what is x = y = 0 in the scenario.
    `begin_s`: time in the recording at which virtual time begins; below 0, the recording begins later.
    """

    file: str
    nodes: tuple[str | int, ...] = ()
    origin_m: tuple[Origin, Origin] = (0.0, 0.0)
    begin_s: Annotated[float, Meta(ge=-LATEST_S, le=LATEST_S)] = 0.0

    def __post_init__(self) -> None:
        told = [str(node) for node in self.nodes]
        twice = next((node for node in told if told.count(node) > 1), None)
        if twice is not None:
            raise RequestError("nodes", f"{twice} stands there twice; each device is one of its own")


def read_csv(recording: Recording, names: Sequence[str], places_m: Sequence[Point]) -> list[Track]:
    """The track of each device from CSV with the columns time_s, device, x_m, y_m and perhaps z_m.

    `device` is one of `recording.nodes`, or without them a device's index or name. Without z_m a device keeps the
    height of its place. One without a row has an empty track. Raises `RequestError` naming `radio.movement` and what of
    it, with file and line.
    """
    try:
        tracks = _csv_tracks(recording, names, places_m)
    except FileRefused as error:
        raise RequestError(f"{FIELD}.file", str(error)) from None
    begins_ns = [track[0][0] for track in tracks if track]
    return _from_begin(recording, tracks, begins_ns)


def _csv_tracks(recording: Recording, names: Sequence[str], places_m: Sequence[Point]) -> list[Track]:
    file, (origin_x, origin_y) = Path(recording.file), recording.origin_m
    devices = _devices(recording, [*enumerate(names), *enumerate(map(str, range(len(names))))], len(names))
    tracks: list[Track] = [[] for _ in names]
    for row in csv_rows.rows(_existing(file), COLUMNS, (HEIGHT,)):
        told = row.values["device"]
        device = devices.get(told)
        if device is None:
            if recording.nodes:
                continue
            raise _unknown_device(row.place, told, names)
        time_ns = _time_ns(row.place, "time_s", row.values["time_s"])
        x_m = _length_m(row.place, "x_m", row.values["x_m"], origin_x)
        y_m = _length_m(row.place, "y_m", row.values["y_m"], origin_y)
        z_m = row.figure(HEIGHT, -FARTHEST_M, FARTHEST_M) if HEIGHT in row.values else places_m[device][2]
        track = tracks[device]
        if track and time_ns <= track[-1][0]:
            raise FileRefused(f"{row.place}: time_s is not after that of device {told}'s row before")
        track.append((time_ns, (x_m, y_m, z_m)))
    if not any(tracks):
        raise FileRefused(f"{file}: no device has a row")
    _all_found(recording, [bool(track) for track in tracks])
    return tracks


def read_ns2(recording: Recording, places_m: Sequence[Point]) -> list[Track]:
    """The track of each device from a movement trace of ns-2: `$node_(i)` is device i, or the i-th of the nodes.

    A device begins at its place unless the trace says where; heights in the trace are above that of its place. It
    ends a way early if it is told another destination on the way, and stops if it is told speed 0 or set elsewhere.
    Raises `RequestError` naming `radio.movement` and what of it, with file and line.
    """
    try:
        walks = _ns2_walks(recording, places_m)
    except FileRefused as error:
        raise RequestError(f"{FIELD}.file", str(error)) from None
    begins_ns = [walk.begins_ns for walk in walks if walk.begins_ns is not None]
    return _from_begin(recording, [walk.track() for walk in walks], begins_ns)


def _ns2_walks(recording: Recording, places_m: Sequence[Point]) -> "list[_Walk]":
    file, origin_m = Path(recording.file), (*recording.origin_m, 0.0)
    devices = _devices(recording, enumerate(map(str, range(len(places_m)))), len(places_m))
    walks = [_Walk(place) for place in places_m]
    for number, text in csv_rows.lines(_existing(file)):
        place, line = f"{file}:{number}", _COMMENT.sub("", text).strip().rstrip("; \t")
        if not line or _NO_MOVEMENT.fullmatch(line):
            continue
        match = _AT.fullmatch(line) or _INITIAL.fullmatch(line)
        if match is None:
            raise FileRefused(f"{place}: neither a movement of $node_(i) nor a comment")
        device = devices.get(str(int(match["node"])))
        if device is None:
            if recording.nodes:
                continue
            raise _unknown_device(place, match["node"], [f"$node_({i})" for i in range(len(walks))])
        scheduled = "time" in match.groupdict()
        time_ns = _time_ns(place, "time", match["time"]) if scheduled else 0
        if time_ns < walks[device].told_ns:
            raise FileRefused(f"{place}: earlier than the line of $node_({match['node']}) before")
        if scheduled and walks[device].begins_ns is None:
            walks[device].begins_ns = time_ns
        match match["words"].split():
            case ["set", axis, value] if axis in _AXES:
                number_of_axis = _AXES[axis]
                walks[device].jump(time_ns, number_of_axis, _length_m(place, axis, value, origin_m[number_of_axis]))
            case ["setdest", x, y, speed] if scheduled:
                x_m, y_m = (
                    _length_m(place, name, told, at)
                    for name, told, at in zip("xy", (x, y), recording.origin_m, strict=True)
                )
                speed_mps = csv_rows.figure(place, "speed", speed, 0, FASTEST_MPS)
                if speed_mps < SLOWEST_MPS and speed_mps != 0:
                    raise FileRefused(f"{place}: speed is neither 0 nor at least {SLOWEST_MPS:g}: {speed}")
                walks[device].go(time_ns, x_m, y_m, speed_mps)
            case _:
                raise FileRefused(f"{place}: neither set X_|Y_|Z_ VALUE nor, at a time, setdest X Y SPEED")
    if not any(walk.moves for walk in walks):
        raise FileRefused(f"{file}: no line moves a device")
    _all_found(recording, [walk.moves for walk in walks])
    return walks


class _Walk:
    """A device on its way through a trace of ns-2. Two points at one time are a jump."""

    def __init__(self, place: Point):
        self.told_ns = 0
        self.moves = False
        self.begins_ns: int | None = None  # the first time at which the trace schedules something
        self._ground_m = place[2]
        self._points: Track = [(0, place)]

    def jump(self, time_ns: int, axis: int, value_m: float) -> None:
        here = list(self._stop(time_ns))
        here[axis] = value_m + (self._ground_m if axis == _AXES["Z_"] else 0)
        if time_ns == 0 or (self._points[-2:-1] and self._points[-2][0] == time_ns):
            self._points.pop()
        self._points.append((time_ns, (here[0], here[1], here[2])))

    def go(self, time_ns: int, x_m: float, y_m: float, speed_mps: float) -> None:
        x, y, z = self._stop(time_ns)
        distance_m = math.hypot(x_m - x, y_m - y)
        if speed_mps > 0 and distance_m > 0:
            takes_ns = max(round(distance_m / speed_mps * NS_PER_S), 1)
            self._points.append((time_ns + takes_ns, (x_m, y_m, z)))

    def track(self) -> Track:
        """The points with times that rise: a jump takes a nanosecond."""
        track: Track = []
        for time_ns, point in self._points:
            track.append((max(time_ns, track[-1][0] + 1) if track else time_ns, point))
        return track

    def _stop(self, time_ns: int) -> Point:
        """Where the device is at this time, at which whatever it was told before ends."""
        self.told_ns, self.moves = time_ns, True
        end_ns, end = self._points[-1]
        if end_ns > time_ns:
            end = between(self._points[-2], self._points[-1], time_ns)
            self._points.pop()
        if self._points[-1][0] < time_ns:
            self._points.append((time_ns, end))
        return self._points[-1][1]


def _from_begin(recording: Recording, tracks: list[Track], begins_ns: Sequence[int]) -> list[Track]:
    """The tracks by virtual time, from 0 on: what the recording has before is cut off on the way."""
    begin_ns = round(recording.begin_s * NS_PER_S)
    first_ns = min(begins_ns, default=0)
    if first_ns - begin_ns >= EPOCH_S * NS_PER_S:
        first_s = first_ns // NS_PER_S
        reason = f"{recording.file} has times of the epoch, from {first_s} s on; with {first_s} it begins at virtual 0"
        raise RequestError(f"{FIELD}.begin_s", reason)
    latest_ns = max((track[-1][0] for track in tracks if track), default=0)
    if latest_ns < begin_ns:
        reason = f"{recording.begin_s:.10g} is after the end of {recording.file}, {latest_ns / NS_PER_S:.10g} s"
        raise RequestError(f"{FIELD}.begin_s", reason)
    return [_cut([(time_ns - begin_ns, point) for time_ns, point in track]) for track in tracks]


def _cut(track: Track) -> Track:
    later = [known for known in track if known[0] >= 0]
    earlier = track[: len(track) - len(later)]
    if not earlier or (later and later[0][0] == 0):
        return later
    return [(0, between(earlier[-1], later[0], 0) if later else earlier[-1][1]), *later]


def between(begin: tuple[int, Point], end: tuple[int, Point], time_ns: int) -> Point:
    """Where who goes straight from one point to another is at a time in between."""
    done = (time_ns - begin[0]) / (end[0] - begin[0])
    x, y, z = (a + done * (b - a) for a, b in zip(begin[1], end[1], strict=True))
    return x, y, z


def _devices(recording: Recording, own: Iterable[tuple[int, str]], devices: int) -> dict[str, int]:
    """Which device is who in the recording: what the scenario itself calls them, or the chosen nodes."""
    if len(recording.nodes) > devices:
        raise RequestError(f"{FIELD}.nodes", f"{len(recording.nodes)} nodes for {devices} devices")
    if recording.nodes:
        return {str(node): i for i, node in enumerate(recording.nodes)}
    return {name: i for i, name in own}


def _all_found(recording: Recording, found: Sequence[bool]) -> None:
    lacking = next((node for node, there in zip(recording.nodes, found, strict=False) if not there), None)
    if lacking is not None:
        raise RequestError(f"{FIELD}.nodes", f"{recording.file} does not move {lacking}")


def _existing(file: Path) -> Path:
    if not file.exists():
        raise FileRefused(f"{file} does not exist on the host where the ns-3 side runs")
    return file


def _time_ns(place: str, name: str, text: str) -> int:
    return round(csv_rows.figure(place, name, text, 0, LATEST_S) * NS_PER_S)


def _length_m(place: str, name: str, text: str, origin_m: float) -> float:
    """How far from the origin, along an axis."""
    return csv_rows.figure(place, name, text, origin_m - FARTHEST_M, origin_m + FARTHEST_M) - origin_m


def _unknown_device(place: str, device: str, names: Sequence[str]) -> FileRefused:
    known = f"is only {names[0]}" if len(names) == 1 else f"are {len(names)} from {names[0]} to {names[-1]}"
    return FileRefused(f"{place}: no device {device}; there {known} (radio.movement.nodes chooses others)")
