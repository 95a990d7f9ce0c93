# SPDX-License-Identifier: GPL-2.0-only
"""For how long nobody serves a device that is handed over: the parts of TS 38.133 clause 6.1.1.2.2, and the answer."""

from typing import NamedTuple


class Interruption(NamedTuple):
    """In ms, from leaving one cell until the other serves the device. The restatement is ours.

    To the preamble it is the clause's T_search + T_processing + T_delta + T_IU (+ T_margin, an allowance of 2 ms that
    nothing here uses): at most 0 + 20 + 20 + 20 + 2 = 62 for a known cell of FR1 with SSBs every 20 ms (so summed
    in annex A.14.2.1.1.3, there for satellites).
    """

    search: float = 0
    """T_search: none, since the device has measured the cell of which it reported event A3."""
    processing: float = 20
    """T_processing: what a device may take to process the command and change cells within FR1."""
    tracking: float = 20
    """T_delta: fine time tracking, by one burst of SSBs."""
    occasion: float = 5
    """T_IU: until the next occasion for a preamble, one every 10 ms; the mean (ours)."""
    random_access: float = 5
    """Preamble, answer, and message 3 with the completion: two periods of DDDSU at 30 kHz (ours)."""

    @property
    def to_preamble(self) -> float:
        """What the clause bounds."""
        return self.search + self.processing + self.tracking + self.occasion

    @property
    def total(self) -> float:
        """Until the other cell serves the device."""
        return self.to_preamble + self.random_access
