# SPDX-License-Identifier: Apache-2.0
"""How long a run may yet take."""

import time
from collections.abc import Hashable


class Pace:
    """How fast things get done. The first of each kind says nothing: policies are compiled in it."""

    def __init__(self) -> None:
        self._kinds: set[Hashable] = set()
        self._since_s = time.monotonic()
        self._took_s = 0.0
        self._done = 0
        self._is_told = False

    def step(self, kind: Hashable) -> float:
        """One of this kind took the time since the last one; returns what the clock says, in seconds."""
        now_s = time.monotonic()
        self._is_told = kind in self._kinds
        self._kinds.add(kind)
        if self._is_told:
            self._took_s += now_s - self._since_s
        self._since_s = now_s
        return now_s

    def done(self, count: int) -> None:
        """The latest step brought so many of what is counted."""
        if self._is_told:
            self._done += count

    def left_s(self, count: int) -> float | None:
        """How long so many more may take; None while nothing says so."""
        return self._took_s / self._done * count if self._done else None
