# SPDX-License-Identifier: Apache-2.0
"""The channel record of an idle network, read ahead of the time of its use."""

import numpy as np
from numpy.typing import NDArray

from cosim.networks.source import TimedNetwork
from cosim.record import track_row
from cosim.record.channel_row import ROW

STEP_NS = 20_000_000
"""How far an idle network is moved at once: short beside a layer's exchange, long beside a round trip to ns-3."""

Rows = NDArray[np.void]


class IdleChannel:
    """The channel of an idle `session`, which nobody but this moves, from its virtual time on.

    It is read as far as it is needed, in steps of `STEP_NS` from where the session began: so what is read does not
    depend on who reads it. `known_ns` is the virtual time before which all of it is known.
    """

    def __init__(self, session: TimedNetwork):
        self.busy_ns = 0
        """Wall-clock nanoseconds that ns-3 took for all of it."""
        self._session = session
        self._links = 2 * len(session.info.devices)
        self._rows: Rows = np.empty(0, ROW)
        self._tracks: Rows = np.empty(0, track_row.ROW)
        self._passed = 0

    @property
    def known_ns(self) -> int:
        """Virtual time before which the channel is known."""
        return self._session.now_ns

    def read_to(self, time_ns: int) -> None:
        """Know the channel up to `time_ns` and at it."""
        read, tracks = [self._rows], [self._tracks]
        while self.known_ns <= time_ns:
            step_ns = self.known_ns + STEP_NS
            outcome = self._session.exchange((), step_ns, step_ns)
            self.busy_ns += self._session.busy_ns
            read.append(np.frombuffer(outcome.channel, ROW))
            tracks.append(np.frombuffer(outcome.tracks, track_row.ROW))
        self._rows, self._tracks = np.concatenate(read), np.concatenate(tracks)

    def link(self, device: int, direction: int) -> Rows:
        """The rows of one link that are known: the one that held at the latest `pass_to`, and all since."""
        return np.asarray(self._rows[(self._rows["device"] == device) & (self._rows["direction"] == direction)])

    def pass_to(self, time_ns: int) -> bytes:
        """Have done with all before `time_ns` but what holds at it; return the record since the last time."""
        self.read_to(time_ns)
        count = np.searchsorted(self._rows["time_ns"], time_ns, side="right")
        past, ahead = self._rows[:count], self._rows[count:]
        latest: NDArray[np.int64] = np.full(self._links, -1)
        latest[2 * past["device"].astype(np.int64) + past["direction"]] = np.arange(count)
        held = np.sort(latest[latest >= 0])
        record = past[self._passed :].tobytes()
        self._rows, self._passed = np.concatenate([past[held], ahead]), len(held)
        return record

    def tracks_to(self, time_ns: int) -> bytes:
        """The tracks up to `time_ns`, which were read by then, since the last time."""
        count = np.searchsorted(self._tracks["time_ns"], time_ns, side="right")
        record = self._tracks[:count].tobytes()
        self._tracks = self._tracks[count:]
        return record

    def close(self) -> None:
        """Close the session."""
        self._session.close()
