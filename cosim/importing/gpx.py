# SPDX-License-Identifier: Apache-2.0
"""Tracks of GPX, each one device."""

import re
from pathlib import Path

import gpxpy

from bridge.csv_rows import FileRefused

from .tracks import Track


def read(file: Path) -> list[Track]:
    """The tracks of a file, with x and y in degrees of longitude and latitude. Raises `FileRefused`."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        tracks = gpxpy.parse(text).tracks
    except UnicodeDecodeError:
        raise FileRefused(f"{file}: cannot be read: not text in UTF-8") from None
    except OSError as error:
        raise FileRefused(f"{file}: cannot be read: {error.strerror}") from None
    except gpxpy.gpx.GPXException as error:
        line = re.search(r"line (\d+)", str(error))
        raise FileRefused(f"{file}{':' + line[1] if line else ''}: not GPX: {error}") from None
    lines = iter(
        [number for number, line in enumerate(text.splitlines(), 1) for _ in re.finditer(r"<(?:\w+:)?trkpt\b", line)]
    )
    found = []
    for number, track in enumerate(tracks, 1):
        name = file.stem if len(tracks) == 1 else track.name or f"{file.stem}{number}"
        one = Track(name, [])
        for point in (point for segment in track.segments for point in segment.points):
            place = f"{file}:{next(lines)}"
            if point.time is None:
                raise FileRefused(f"{place}: a point without a time")
            time_s = point.time.timestamp()
            if one.points and time_s < one.points[-1][0]:
                raise FileRefused(f"{place}: time {point.time} goes back")
            if one.points and time_s == one.points[-1][0]:
                one.skipped["time of the point before"] += 1
                continue
            one.points.append((time_s, point.longitude, point.latitude))
        if one.points:
            found.append(one)
    if not found:
        raise FileRefused(f"{file}: no track in it that has points; routes and waypoints have no times")
    return found
