# SPDX-License-Identifier: Apache-2.0
"""Who was where when, in a folder: movement that devices follow, and their coming and going as life."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bridge.network import RequestError

from .folder import quoted, told_of, write

MOST_DEVICES = 1000
Point = tuple[float, float, float]  # time in s, x and y in m


@dataclass
class Track:
    """One who moved. `gone_s`: from when until when it was not there; None is for good."""

    name: str
    points: list[Point]
    gone_s: list[tuple[float, float | None]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def told(self, begin_s: float) -> list[str]:
        """For the preview."""
        (first_s, *_), (last_s, *_) = self.points[0], self.points[-1]
        way_m = sum(_distance_m(one, after) for one, after in pairwise(self.points))
        speeds = sorted(_distance_m(one, after) / (after[0] - one[0]) for one, after in pairwise(self.points))
        pace = (
            f"; least {speeds[0]:.3g}, median {speeds[len(speeds) // 2]:.3g}, greatest {speeds[-1]:.3g} m/s"
            if speeds
            else ""
        )
        there = (
            f"{len(self.points)} points from {first_s - begin_s:.10g} to {last_s - begin_s:.10g} s, {way_m:.5g} m{pace}"
        )
        return [there, *(f"skipped {count}: {reason}" for reason, count in self.skipped.items())]


def begin_s(tracks: Sequence[Track]) -> float:
    """When the first of them is first seen."""
    return min(track.points[0][0] for track in tracks)


def middle_m(tracks: Sequence[Track]) -> tuple[float, float]:
    """Of the rectangle in which all of it is."""
    axes = [[point[axis] for track in tracks for point in track.points] for axis in (1, 2)]
    x_m, y_m = (round((min(values) + max(values)) / 2, 3) for values in axes)
    return x_m, y_m


def refuse_too_many(tracks: Sequence[Track]) -> None:
    """Raises `RequestError` for more than could be devices."""
    if len(tracks) > MOST_DEVICES:
        raise RequestError("FILE", f"{len(tracks)} who move, of {MOST_DEVICES} devices at most; choose some of them")


def tell(tracks: Sequence[Track], origin_m: tuple[float, float]) -> list[str]:
    """For the preview."""
    first_s = begin_s(tracks)
    lines = [line for track in tracks for line in told_of(track.name, track.told(first_s))]
    x_m, y_m = origin_m
    far_m = max(_distance_m((0, x_m, y_m), point) for track in tracks for point in track.points)
    return [*lines, f"the BS stands at x = {x_m:.10g}, y = {y_m:.10g} m, up to {far_m:.4g} m away"]


def write_tracks(tracks: Sequence[Track], origin_m: tuple[float, float], folder: Path) -> Path:
    """Write `movement.csv` and `radio.toml`. Raises `RequestError` naming OUT."""
    first_s = begin_s(tracks)
    rows = [
        f"{time_s:.9g},{_cell(track.name)},{x_m:.3f},{y_m:.3f}"
        if time_s < 1e6
        else f"{time_s:.6f},{_cell(track.name)},{x_m:.3f},{y_m:.3f}"
        for track in tracks
        for time_s, x_m, y_m in track.points
    ]
    nodes = ", ".join(_text(track.name) for track in tracks)
    lines = ["[radio]", 'scenario = "lte"', f"devices = {len(tracks)}", "", "[radio.movement]", 'kind = "csv"']
    lines += [f"file = {quoted(folder / 'movement.csv')}", f"nodes = [{nodes}]"]
    lines += [f"origin_m = [{origin_m[0]!r}, {origin_m[1]!r}]", f"begin_s = {first_s!r}"]
    for device, track in enumerate(tracks):
        gone = [_interval(begin, until, first_s) for begin, until in track.gone_s]
        if gone:
            lines += ["", "[[radio.life]]", 'kind = "absence"', f"devices = [{device}]  # {track.name}"]
            lines += [f"intervals_s = [{', '.join(gone)}]"]
    return write(folder, {"movement.csv": "\n".join(["time_s,device,x_m,y_m", *rows, ""])}, "\n".join([*lines, ""]))


def _interval(begin: float, until: float | None, first_s: float) -> str:
    ends = [round(begin - first_s, 9)] + ([] if until is None else [round(until - first_s, 9)])
    return f"[{', '.join(map(repr, ends))}]"


def _distance_m(one: Point, other: Point) -> float:
    return float(((one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2) ** 0.5)


def _cell(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(mark in name for mark in ',;"\t# ') else name


def _text(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
