# SPDX-License-Identifier: Apache-2.0
"""How requests come before the scheduler, and tokens to the users; here to those on the wired side, at once."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Protocol

from model_side.service.scheduler import Arrival
from model_side.serving import TokenRecord


class Coming(Protocol):
    """Requests on their way to the base station, and tokens on theirs to the users."""

    def until(self, now_ns: int) -> Iterator[Arrival]:
        """Those that have come since it was last asked, in order of time; it is `now_ns`."""

    def wait(self) -> int | None:
        """With nothing else to do: the virtual time at which more will have come; None if nobody will."""

    def give(self, tokens: Sequence[TokenRecord]) -> None:
        """Let tokens go that a pass gave, when it was over."""

    def finish(self) -> None:
        """Let time go by until all tokens are where they go, after the last request."""


class Bounded(Coming, Protocol):
    """Requests that can be waited for no longer than to a time."""

    def wait(self, latest_ns: int | None = None) -> int | None:
        """See `Coming.wait`; at the latest `latest_ns`, if that is given."""


class Wired:
    """Users on the wired side: a request has come when it was asked, and a token is with its user when it is there.

    Requests of users in the cell are passed over.
    """

    def __init__(self, arrivals: Iterable[Arrival]):
        self._coming = (arrival for arrival in arrivals if arrival.user is None)
        self._following = next(self._coming, None)

    def until(self, now_ns: int) -> Iterator[Arrival]:
        """See `Coming.until`."""
        while self._following is not None and self._following.at_ns <= now_ns:
            yield self._following
            self._following = next(self._coming, None)

    def wait(self) -> int | None:
        """See `Coming.wait`."""
        return None if self._following is None else self._following.at_ns

    def give(self, tokens: Sequence[TokenRecord]) -> None:
        """See `Coming.give`."""

    def finish(self) -> None:
        """See `Coming.finish`."""


class Mixed:
    """Users in the cell and on the wired side."""

    def __init__(self, on_air: Bounded, wired: Wired):
        self._on_air = on_air
        self._wired = wired

    def until(self, now_ns: int) -> Iterator[Arrival]:
        """See `Coming.until`."""
        return heapq.merge(self._on_air.until(now_ns), self._wired.until(now_ns), key=attrgetter("at_ns"))

    def wait(self) -> int | None:
        """See `Coming.wait`."""
        return self._on_air.wait(self._wired.wait())

    def give(self, tokens: Sequence[TokenRecord]) -> None:
        """See `Coming.give`."""
        self._on_air.give(tokens)

    def finish(self) -> None:
        """See `Coming.finish`."""
        self._on_air.finish()
