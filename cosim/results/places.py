# SPDX-License-Identifier: Apache-2.0
"""Where users were over virtual time, and base stations, as a journal tells it; and the SINR that devices had there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.network import NS_PER_S, Site
from cosim.record.channel_row import DOWN
from cosim.record.channel_row import ROW as CHANNEL
from cosim.record.journal import Journal
from cosim.record.journal_file import reading
from cosim.record.track_row import ROW
from model_side.routing import Floats

Rows = NDArray[np.void]
_BLOBS = 256
"""Of the channel record that are read at once, one an exchange."""


@dataclass(frozen=True)
class Tracks:
    """The tracks of a variant: `rows` of all users in order of time (`cosim.record.track_row.ROW`).

    Users are the `devices`, and behind them the `others`, who carry no experts.
    """

    devices: tuple[str, ...]
    others: tuple[str, ...]
    sites: tuple[Site, ...]
    rows: Rows

    @property
    def users(self) -> tuple[str, ...]:
        """The names of all of them."""
        return self.devices + self.others

    def at(self, user: int, time_ns: NDArray[np.int64]) -> Floats:
        """Where a user was at these times: x, y, z in m [T, 3]; NaN before it had a place, or if it has none."""
        mine = self.rows[self.rows["user"] == user]
        leg = np.searchsorted(mine["time_ns"], time_ns, side="right") - 1
        if not len(mine):
            return np.full((len(time_ns), 3), np.nan)
        since_s = (time_ns - mine["time_ns"][leg]) / NS_PER_S
        found = np.stack([mine[f"{axis}_m"][leg] + since_s * mine[f"{axis}_mps"][leg] for axis in "xyz"], axis=1)
        found[leg < 0] = np.nan
        return found

    def moves(self, user: int) -> bool:
        """Whether a user was ever on its way."""
        mine = self.rows[self.rows["user"] == user]
        return bool(len(mine) > 1 or any(mine[f"{axis}_mps"].any() for axis in "xyz"))


def tracks_of(journal: Journal, variant: int) -> Tracks | None:
    """The tracks of a variant; None where nobody has a place, or none was recorded."""
    info = journal.network_info(variant)
    rows = journal.rows(
        f"SELECT {', '.join(ROW.names or ())} FROM tracks WHERE variant = ? ORDER BY time_ns, exchange, user", variant
    )
    if info is None or not rows:
        return None
    return Tracks(info.devices, info.others, info.sites, np.array(list(map(tuple, rows)), ROW))


def downlink_sinr_db(journal: Journal, variant: int, devices: int, time_ns: NDArray[np.int64]) -> Floats:
    """The SINR that each device's downlink had at these times, which ascend, by the channel record, in dB [D, T].

    NaN where a device was not connected, nothing was measured, or no record was kept.
    """
    found = np.full((devices, len(time_ns)), np.nan)
    is_news = np.zeros(found.shape, bool)
    with reading(journal.path):
        query = "SELECT rows FROM channel WHERE variant = ? AND length(rows) > 0 ORDER BY exchange"
        cursor = journal.db.execute(query, [variant])
        while blobs := cursor.fetchmany(_BLOBS):  # all at once may be too many for memory
            rows = np.frombuffer(b"".join(blob for (blob,) in blobs), CHANNEL)
            rows = rows[(rows["direction"] == DOWN) & (rows["time_ns"] <= time_ns[-1])]
            at = rows["device"], np.searchsorted(time_ns, rows["time_ns"])  # the first time at which the row may hold
            # The rows are in order of time, and of those for one place in the array the last one stays.
            found[at] = np.where(rows["capacity_bps"] < 0, np.nan, rows["sinr_db"])
            is_news[at] = True
    latest = np.maximum.accumulate(np.where(is_news, np.arange(len(time_ns)), 0), axis=1)
    return np.asarray(np.take_along_axis(found, latest, axis=1))
