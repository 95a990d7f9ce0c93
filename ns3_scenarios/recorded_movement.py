# SPDX-License-Identifier: GPL-2.0-only
"""Recorded movement: files that say where each device is at what virtual time.

What is read becomes a path for each device: points that are passed at given times, straight and at constant speed in
between. Before the first a device stands there, after the last it stays.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path as File

from bridge.network import NS_PER_S, RequestError

Point = tuple[float, float, float]
Path = list[tuple[int, Point]]  # virtual times in ns that rise, and x, y, z in m

FIELD = "radio.movement.file"
LATEST_S = 3e9  # with the longest way behind it, within the 63 bits of virtual time
FARTHEST_M = 1e6
SLOWEST_MPS = 0.001

COLUMNS = ("time_s", "device", "x_m", "y_m")
HEIGHT = "z_m"

_NODE = r"\$node_\((?P<node>\d{1,9})\)"
_AT = re.compile(rf"""\$ns_\s+at\s+(?P<time>\S+)\s+"{_NODE}\s+(?P<words>[^"]*)"\s*;?""")
_INITIAL = re.compile(rf"{_NODE}\s+(?P<words>.*)")
_NO_MOVEMENT = re.compile(r"#.*|\$god_.*|\$ns_\s+at\s+\S+\s+\"\$god_.*")  # comments, and setdest's route lengths
_AXES = {"X_": 0, "Y_": 1, "Z_": 2}


def read_csv(file: str, names: Sequence[str], places_m: Sequence[Point]) -> list[Path]:
    """The path of each device from CSV with the columns time_s, device (index or name), x_m, y_m and perhaps z_m.

    Without z_m a device keeps the height of its place. One without a row has an empty path. Raises `RequestError`
    naming `radio.movement.file`, the file and the line.
    """
    devices = {name: i for i, name in enumerate(names)} | {str(i): i for i in range(len(names))}
    paths: list[Path] = [[] for _ in names]
    rows = csv.reader(_lines(file), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        if sorted(header) not in (sorted(COLUMNS), sorted((*COLUMNS, HEIGHT))):
            raise _fault(file, 1, f"the header is not {','.join(COLUMNS)} with or without {HEIGHT}")
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise _fault(file, rows.line_num, f"{len(row)} values for {len(header)} columns")
            values = {name: value.strip() for name, value in zip(header, row, strict=True)}
            device = devices.get(values["device"])
            if device is None:
                raise _unknown_device(file, rows.line_num, values["device"], names)
            time_ns = _time_ns(file, rows.line_num, values["time_s"])
            x, y, z = (
                _figure(file, rows.line_num, name, values[name], FARTHEST_M) if name in values else places_m[device][2]
                for name in ("x_m", "y_m", HEIGHT)
            )
            path = paths[device]
            if path and time_ns <= path[-1][0]:
                raise _fault(file, rows.line_num, f"time_s is not after that of device {values['device']}'s row before")
            path.append((time_ns, (x, y, z)))
    except csv.Error as error:
        raise _fault(file, rows.line_num, f"not CSV: {error}") from None
    if not any(paths):
        raise _fault(file, rows.line_num, "no device has a row")
    return paths


def read_ns2(file: str, places_m: Sequence[Point]) -> list[Path]:
    """The path of each device from a movement trace of ns-2.

    A device begins at its place unless the trace says where; heights in the trace are above that of its place. It
    ends a way early if it is told another destination on the way, and stops if it is told speed 0 or set elsewhere.
    Raises `RequestError` naming `radio.movement.file`, the file and the line.
    """
    walks = [_Walk(place) for place in places_m]
    number = 0
    for number, text in enumerate(_lines(file), 1):
        line = text.strip()
        if not line or _NO_MOVEMENT.fullmatch(line):
            continue
        match = _AT.fullmatch(line) or _INITIAL.fullmatch(line)
        if match is None:
            raise _fault(file, number, "neither a movement of $node_(i) nor a comment")
        device = int(match["node"])
        if device >= len(walks):
            raise _unknown_device(file, number, match["node"], [f"$node_({i})" for i in range(len(walks))])
        scheduled = "time" in match.groupdict()
        time_ns = _time_ns(file, number, match["time"]) if scheduled else 0
        if time_ns < walks[device].told_ns:
            raise _fault(file, number, f"earlier than the line of $node_({device}) before")
        match match["words"].split():
            case ["set", axis, value] if axis in _AXES:
                walks[device].jump(time_ns, _AXES[axis], _figure(file, number, axis, value, FARTHEST_M))
            case ["setdest", x, y, speed] if scheduled:
                x_m, y_m = (_figure(file, number, name, value, FARTHEST_M) for name, value in (("x", x), ("y", y)))
                speed_mps = _figure(file, number, "speed", speed, math.inf)
                if speed_mps < SLOWEST_MPS and speed_mps != 0:
                    raise _fault(file, number, f"speed is neither 0 nor at least {SLOWEST_MPS:g}: {speed}")
                walks[device].go(time_ns, x_m, y_m, speed_mps)
            case _:
                raise _fault(file, number, "neither set X_|Y_|Z_ VALUE nor, at a time, setdest X Y SPEED")
    if not any(walk.moves for walk in walks):
        raise _fault(file, max(number, 1), "no line moves a device")
    return [walk.path() for walk in walks]


class _Walk:
    """A device on its way through a trace of ns-2. Two points at one time are a jump."""

    def __init__(self, place: Point):
        self.told_ns = 0
        self.moves = False
        self._ground_m = place[2]
        self._points: Path = [(0, place)]

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

    def path(self) -> Path:
        """The points with times that rise: a jump takes a nanosecond."""
        path: Path = []
        for time_ns, point in self._points:
            path.append((max(time_ns, path[-1][0] + 1) if path else time_ns, point))
        return path

    def _stop(self, time_ns: int) -> Point:
        """Where the device is at this time, at which whatever it was told before ends."""
        self.told_ns, self.moves = time_ns, True
        end_ns, end = self._points[-1]
        if end_ns > time_ns:
            begin_ns, begin = self._points[-2]
            done = (time_ns - begin_ns) / (end_ns - begin_ns)
            x, y, z = (a + done * (b - a) for a, b in zip(begin, end, strict=True))
            end = (x, y, z)
            self._points.pop()
        if self._points[-1][0] < time_ns:
            self._points.append((time_ns, end))
        return self._points[-1][1]


def _lines(file: str) -> Iterator[str]:
    path = File(file)
    try:
        if not path.is_file():
            raise RequestError(FIELD, f"{file} does not exist on the host where the ns-3 side runs")
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(FIELD, f"{file} cannot be read: {error}") from None


def _time_ns(file: str, line: int, text: str) -> int:
    time_s = _figure(file, line, "time", text, LATEST_S)
    if time_s < 0:
        raise _fault(file, line, f"time is negative: {text}")
    return round(time_s * NS_PER_S)


def _figure(file: str, line: int, name: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _fault(file, line, f"{name} is not a number: {text}") from None
    if not math.isfinite(value) or abs(value) > most:
        raise _fault(file, line, f"{name} is out of range: {text}")
    return value


def _unknown_device(file: str, line: int, device: str, names: Sequence[str]) -> RequestError:
    known = f"is only {names[0]}" if len(names) == 1 else f"are {len(names)} from {names[0]} to {names[-1]}"
    return _fault(file, line, f"no device {device}; there {known}")


def _fault(file: str, line: int, reason: str) -> RequestError:
    return RequestError(FIELD, f"{file}:{line}: {reason}")
