# SPDX-License-Identifier: Apache-2.0
"""A variant's cell as a map shows it: where everybody was, at regular virtual times, and the SINR of devices there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.network import NS_PER_S, NetworkInfo, Site
from cosim.record.journal import Journal
from cosim.record.track_row import ROW
from cosim.reporting.columns import Columns
from cosim.results.places import Tracks, downlink_sinr_db, tracks_of
from model_side.routing import Floats, Mask

_TIMES, _PLACES = 600, 60_000
"""At how many times at most, and of how many users and times together."""


@dataclass(frozen=True)
class CellMap:
    """Users (devices, and behind them others) and base stations.

    `time_s` [T] from when the network was ready to the latest exchange's end, `place_m` [U, T, 3] with NaN for who has
    no place, `sinr_db` [D, T] of the downlinks, NaN where there is none; `moves` [U].
    """

    devices: tuple[str, ...]
    others: tuple[str, ...]
    sites: tuple[Site, ...]
    time_s: Floats
    place_m: Floats
    sinr_db: Floats
    moves: Mask


def cell_map(journal: Journal, variant: int, exchanges: Columns, links: Columns) -> CellMap | None:
    """The map of a variant; None where nobody has a place, and before the first exchange."""
    info = journal.network_info(variant)
    if info is None or not len(exchanges["end_s"]):
        return None
    tracks = tracks_of(journal, variant) or _as_given(info)
    if tracks is None:
        return None
    end_ns = max(round(exchanges["end_s"][-1] * NS_PER_S), info.now_ns + 1)
    users = range(len(tracks.users))
    time_ns = np.linspace(info.now_ns, end_ns, max(2, min(_TIMES, _PLACES // len(users)))).astype(np.int64)
    sinr_db = downlink_sinr_db(journal, variant, len(tracks.devices), time_ns)
    if np.isnan(sinr_db).all():
        sinr_db = _known_to_bs(exchanges, links, len(tracks.devices), time_ns / NS_PER_S)
    return CellMap(
        tracks.devices,
        tracks.others,
        tracks.sites,
        time_ns / NS_PER_S,
        np.stack([tracks.at(user, time_ns) for user in users]),
        sinr_db,
        np.array([tracks.moves(user) for user in users]),
    )


def _as_given(info: NetworkInfo) -> Tracks | None:
    """Of a journal without tracks: where the scenario's parameters have the devices begin, around x = y = 0."""
    places = info.parameters.get("positions_m")
    if not isinstance(places, list) or len(places) != len(info.devices) or info.parameters.get("movement"):
        return None
    rows = [(info.now_ns, user, *(*place, 0.0)[:3], 0.0, 0.0, 0.0) for user, place in enumerate(places)]
    return Tracks(info.devices, (), (Site(0.0, 0.0, 0.0),), np.array(rows, ROW))


def _known_to_bs(exchanges: Columns, links: Columns, devices: int, time_s: Floats) -> Floats:
    """The SINR of the latest link state at these times, which there is from the first exchange's end on [D, T]."""
    found = np.full((devices, len(time_s)), np.nan)
    for device in range(devices):
        mine = links["device"] == device
        end_s = exchanges["end_s"][links["at"][mine].astype(int)]
        latest = np.searchsorted(end_s, time_s, side="right") - 1
        if len(end_s):
            found[device] = links["downlink_sinr_db"][mine][latest.clip(0)]
    return found


def by_place(cell: CellMap, size_m: float) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The mean SINR in each square of this size that a device was in: x, y [N, 2], dB [N], and whose it is [N]."""
    device, at = np.nonzero(~np.isnan(cell.sinr_db) & ~np.isnan(cell.place_m[: len(cell.devices), :, 0]))
    if not len(device):
        return np.empty((0, 2)), np.empty(0), np.empty(0, np.int64)
    place = cell.place_m[device, at, :2]
    squares = np.column_stack([device, np.floor(place / size_m).astype(np.int64)])
    kinds, of, counts = np.unique(squares, axis=0, return_inverse=True, return_counts=True)
    of = of.ravel()
    means = [np.bincount(of, values) / counts for values in (*place.T, cell.sinr_db[device, at])]
    return np.column_stack(means[:2]), means[2], kinds[:, 0]
