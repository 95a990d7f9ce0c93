# SPDX-License-Identifier: Apache-2.0
"""Latitudes and longitudes as metres east and north of a point: azimuthal equidistant, on WGS 84, by PROJ."""

import math
from collections.abc import Iterator, Sequence

from bridge.csv_rows import FileRefused
from bridge.network import RequestError

from .tracks import Track

FARTHEST_M = 1e6


def centre(degrees: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The middle latitude and longitude."""
    latitudes, longitudes = zip(*degrees, strict=True)
    return (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2


def metres(degrees: Sequence[tuple[float, float]], around: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """X east and y north in m of latitudes and longitudes. Raises `RequestError` beyond `FARTHEST_M`."""
    from pyproj import Proj  # noqa: PLC0415

    projection = Proj(proj="aeqd", lat_0=around[0], lon_0=around[1], ellps="WGS84", units="m")
    for latitude, longitude in degrees:
        x_m, y_m = projection(longitude, latitude)
        if not (abs(x_m) <= FARTHEST_M and abs(y_m) <= FARTHEST_M):
            raise RequestError(
                "--origin", f"{latitude:g}, {longitude:g} is over 1000 km away from {around[0]:g}, {around[1]:g}"
            )
        yield float(x_m), float(y_m)


def projected(tracks: Sequence[Track], around: tuple[float, float] | None) -> tuple[list[Track], tuple[float, float]]:
    """Tracks whose x and y are longitude and latitude, in metres around a point, by default their middle; and it."""
    degrees = [(latitude, longitude) for track in tracks for _, longitude, latitude in track.points]
    found = around or centre(degrees)
    made = [
        Track(
            track.name,
            [(point[0], *xy) for point, xy in zip(track.points, _of(track, found), strict=True)],
            track.gone_s,
            track.skipped,
        )
        for track in tracks
    ]
    return made, found


def _of(track: Track, around: tuple[float, float]) -> Iterator[tuple[float, float]]:
    return metres([(latitude, longitude) for _, longitude, latitude in track.points], around)


def pair(text: str | None, degrees: bool) -> tuple[float, float] | None:
    """`LATITUDE,LONGITUDE`, or `X,Y` in m, of the command line. Raises `RequestError`."""
    if text is None:
        return None
    try:
        first, second = map(float, text.split(","))
    except ValueError:
        first = second = math.nan
    most = (90.0, 180.0) if degrees else (1e8, 1e8)
    if not (abs(first) <= most[0] and abs(second) <= most[1]):
        raise RequestError("--origin", f"{text} is not {'LATITUDE,LONGITUDE in degrees' if degrees else 'X,Y in m'}")
    return first, second


def together(tracks: Sequence[Track], own_beginnings: bool) -> None:
    """Let each count from its own beginning, or see that all were on their way at one time. Raises `FileRefused`."""
    if own_beginnings:
        for track in tracks:
            first_s = track.points[0][0]
            track.points = [(time_s - first_s, x, y) for time_s, x, y in track.points]
        return
    ends = sorted((track.points[0][0], track.points[-1][0], track.name) for track in tracks)
    latest_s, name = ends[0][1], ends[0][2]
    for first_s, last_s, other in ends[1:]:
        if first_s > latest_s:
            reason = (
                f"begins {first_s - latest_s:.0f} s after the end of {name}; --own-beginnings lets them begin together"
            )
            raise FileRefused(f"{other}: {reason}")
        latest_s, name = max((latest_s, name), (last_s, other))
