# SPDX-License-Identifier: Apache-2.0
"""Going through a channel record: which row of each link holds at a time, and when the next one does."""

import numpy as np
from numba import njit

from cosim.networks.links import Channel, Cursor


def at_begin(channel: Channel) -> Cursor:
    """The links at the beginning of their record."""
    first = channel.first[:-1]
    cursor = Cursor(first.copy(), np.zeros_like(first), np.empty(len(first)))
    for link in range(len(first)):
        cursor.next_ns[link] = _next_row_ns(channel, cursor, link)
    return cursor


@njit(cache=True)
def seek(channel: Channel, cursor: Cursor, link: int, now_ns: float) -> None:
    """Move a link on to the row that holds at `now_ns`."""
    first = channel.first[link]
    begin_ns = channel.begin_ns[first]
    if now_ns >= begin_ns + (cursor.laps[link] + 1) * channel.period_ns:
        cursor.row[link], cursor.laps[link] = first, int((now_ns - begin_ns) // channel.period_ns)
        cursor.next_ns[link] = _next_row_ns(channel, cursor, link)
    while cursor.next_ns[link] <= now_ns:
        if cursor.row[link] + 1 < channel.first[link + 1]:
            cursor.row[link] += 1
        else:
            cursor.row[link] = first
            cursor.laps[link] += 1
        cursor.next_ns[link] = _next_row_ns(channel, cursor, link)


@njit(cache=True)
def _next_row_ns(channel: Channel, cursor: Cursor, link: int) -> float:
    """When the row after that at which a link stands begins to hold; inf if there is only this one."""
    row, laps = cursor.row[link], cursor.laps[link]
    first, after = channel.first[link], channel.first[link + 1]
    if row + 1 < after:
        return float(channel.begin_ns[row + 1] + laps * channel.period_ns if laps else channel.begin_ns[row + 1])
    return float(channel.begin_ns[first] + (laps + 1) * channel.period_ns if after - first > 1 else np.inf)
