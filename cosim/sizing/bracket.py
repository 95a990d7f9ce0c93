# SPDX-License-Identifier: Apache-2.0
"""The highest rate at which an objective is met: bracketed by doubling, then narrowed by bisection.

It is a function of what it is told at each rate, and of nothing else. Between the rates that it comes to, the objective
is met at the lower and missed at the upper one, also where it is met and missed by turns in between; and of the rates
that were tried all up to the lower one met it, all from the upper one on missed it.
"""

import math
from dataclasses import dataclass, field
from enum import Enum

DOUBLINGS = 10
"""How often the first rate is doubled, or halved, before the search is given up."""
_DIGITS = 6


class End(Enum):
    """How a search ended: with a rate, or since the objective was missed at every rate, or met at every one."""

    FOUND = "found"
    NEVER_MET = "never met"
    NEVER_MISSED = "never missed"


@dataclass
class Bracket:
    """A search that begins at `rate` and ends when the rates `met` and `missed` are no further apart than `tolerance`,
    as a share of the lower one. `rate` is the next to try, until there is an `end`."""

    rate: float
    tolerance: float
    met: float | None = None
    missed: float | None = None
    end: End | None = None
    _doubled: int = field(default=0, init=False)

    def tell(self, is_met: bool, is_alone: bool = False) -> None:
        """What came at `rate`; `is_alone`: whether no request was there beside another, as at any lower rate."""
        if is_met:
            self.met = self.rate
        else:
            self.missed = self.rate
        if self.met is None or self.missed is None:
            self._widen(is_met, is_alone)
        elif self.missed <= self.met * (1 + self.tolerance):
            self.end = End.FOUND
        else:
            self.rate = float(f"{math.sqrt(self.met * self.missed):.{_DIGITS}g}")

    def _widen(self, is_met: bool, is_alone: bool) -> None:
        if is_alone and not is_met:
            self.end = End.NEVER_MET
        elif self._doubled == DOUBLINGS:
            self.end = End.NEVER_MISSED if is_met else End.NEVER_MET
        else:
            self._doubled += 1
            self.rate *= 2 if is_met else 0.5
