# SPDX-License-Identifier: Apache-2.0
"""Tables of positions, CSV with latitudes and longitudes in degrees by the names of its columns."""

from collections import Counter
from pathlib import Path

from bridge import csv_rows
from bridge.csv_rows import FileRefused

from .datasets import Columns
from .measurements import NOTHING, chosen, timed
from .tracks import Track


def read(file: Path, columns: Columns, device: str | None) -> list[Track]:
    """The track of a table, or one for each of those in the column `device`, with x and y in degrees.

    Raises `FileRefused`.
    """
    latitude, longitude = columns.latitude, columns.longitude
    assert columns.time is not None
    assert latitude is not None
    assert longitude is not None
    skipped: Counter[str] = Counter()
    asked = dict.fromkeys([columns.time, latitude, longitude, *columns.only, *([device] if device else [])])
    tracks: dict[str, Track] = {}
    rows = chosen(csv_rows.rows(file, [*asked]), columns.only, skipped)
    for time_s, row in timed(rows, columns, skipped):
        name = row.values[device] if device else file.stem
        track = tracks.setdefault(name, Track(name, []))
        empty = next((one for one in (latitude, longitude) if row.values[one].lower() in NOTHING), None)
        if empty is not None:
            track.skipped[f"{empty} is {row.values[empty] or 'empty'}"] += 1
        elif track.points and time_s == track.points[-1][0]:
            track.skipped["time stamp of the row before"] += 1
        else:
            track.points.append((time_s, row.figure(longitude, -180, 180), row.figure(latitude, -90, 90)))
    found = [track for track in tracks.values() if track.points]
    if not found:
        raise FileRefused(f"{file}: no row with a position")
    found[0].skipped += skipped
    return found
