# SPDX-License-Identifier: Apache-2.0
"""How requests come before the scheduler, and tokens to the users; here to those on the wired side, at once."""

from collections.abc import Iterable, Iterator, Sequence
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


class Wired:
    """Users on the wired side: a request has come when it was asked, and a token is with its user when it is there."""

    def __init__(self, arrivals: Iterable[Arrival]):
        self._coming = iter(arrivals)
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
