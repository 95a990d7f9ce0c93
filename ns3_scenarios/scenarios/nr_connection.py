# SPDX-License-Identifier: GPL-2.0-only
"""When an NR cell releases the connections of its devices, and what these do to have one again."""

from itertools import count
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bridge.network import NS_PER_S, RequestError

from . import nr_frame, nr_timing

PDCCH_SYMBOLS = 2  # as NrCell has it by default
FRAME_S = 0.01  # of the radio, TS 38.211 clause 4.3.1
PAGING_CYCLES_S = (0.32, 0.64, 1.28, 2.56)  # defaultPagingCycle of TS 38.331 clause 6.3.2
PREAMBLE_PERIODS_S = (0.01, 0.02, 0.04, 0.08, 0.16)  # TS 38.211 tables 6.3.3.2-2 to -4


class Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Inactivity, paging and random access with the set-up that follows it (TS 38.331 clauses 5.3.3, 5.3.8 and 5.3.13).

    `inactivity_s`: a device that neither sends nor receives for so long is released.
    `release_to`: "idle", or "inactive", from where a connection is resumed in fewer steps.
    `paging_cycle_s`: DRX cycle of paging: a released device listens so often; 0.32, 0.64, 1.28 or 2.56.
    `preamble_period_s`: between two occasions for preambles; 0.01, 0.02, 0.04, 0.08 or 0.16.
    `preamble_offset_slots`: of the first occasion; each is in the first uplink slot from there on.
    `preambles`: how many there are for access with contention.
    `response_window_s`: ra-ResponseWindow: for so long a response is waited for.
    `contention_resolution_s`: ra-ContentionResolutionTimer: for so long after message 3 message 4 is waited for.
    `backoff_s`: what a device then waits at most before it tries again.
    `core_s`: of a device that comes from idle: from the end of the set-up until the core has its context set up.
    """

    inactivity_s: Annotated[float, Meta(ge=0.1, le=7200)] = 10.0
    release_to: Literal["idle", "inactive"] = "idle"
    paging_cycle_s: float = 1.28
    preamble_period_s: float = 0.01
    preamble_offset_slots: Annotated[int, Meta(ge=0, le=1279)] = 0
    preambles: Annotated[int, Meta(ge=1, le=64)] = 64
    response_window_s: Annotated[float, Meta(gt=0, le=0.01)] = 0.01
    contention_resolution_s: Annotated[float, Meta(ge=0.008, le=0.064)] = 0.064
    backoff_s: Annotated[float, Meta(ge=0, le=1.92)] = 0.02
    core_s: Annotated[float, Meta(ge=0, le=10)] = 0.02

    def check(self, pattern: str, special_symbols: int, numerology: int, times: nr_timing.Timing) -> None:
        """Raise `RequestError` for what no specification has, or under which no device gets a connection."""
        for field, values in (("paging_cycle_s", PAGING_CYCLES_S), ("preamble_period_s", PREAMBLE_PERIODS_S)):
            if (given := getattr(self, field)) not in values:
                known = ", ".join(f"{value:g}" for value in values)
                raise RequestError(f"radio.connection.{field}", f"{given:g} is none of {known}")
        period = self._slots(self.preamble_period_s, numerology)
        if self.preamble_offset_slots >= period:
            reason = f"{self.preamble_offset_slots} is not below the period, {period}"
            raise RequestError("radio.connection.preamble_offset_slots", reason)
        needed_s = _longest_response_s(pattern, special_symbols, numerology, times)
        if needed_s > self.response_window_s:
            reason = f"slots and times leave a preamble unanswered for {needed_s:g} s; take others, or always connected"
            raise RequestError("radio.connection.response_window_s", reason)

    def _slots(self, time_s: float, numerology: int) -> int:
        return round(time_s * 1000) << numerology

    def settings(self, ns: Any, numerology: int) -> Any:
        """For `NrHelper.SetConnection`."""
        settings = ns.cosim.NrConnectionSettings()
        settings.isOn, settings.isSuspended = True, self.release_to == "inactive"
        settings.pagingFrames = round(self.paging_cycle_s / FRAME_S)
        access = settings.access
        access.period = self._slots(self.preamble_period_s, numerology)
        access.offset, access.preambles = self.preamble_offset_slots, self.preambles
        for struct, name, time_s in (
            (settings, "inactivity", self.inactivity_s),
            (settings, "core", self.core_s),
            (access, "responseWindow", self.response_window_s),
            (access, "contention", self.contention_resolution_s),
            (access, "backoff", self.backoff_s),
        ):
            setattr(struct, name, ns.NanoSeconds(round(time_s * NS_PER_S)))
        return settings


def _longest_response_s(pattern: str, special_symbols: int, numerology: int, times: nr_timing.Timing) -> float:
    """From the first PDCCH behind a preamble until the slot that has the response, where that takes longest."""
    kinds = "F" if pattern == "FDD" else pattern

    symbols = {"D": nr_frame.SYMBOLS, "F": nr_frame.SYMBOLS, "S": special_symbols, "U": 0}

    def first(slot: int, least: int) -> int:
        """The first slot from this one on with so many symbols for the downlink."""
        return next(each for each in count(slot) if symbols[kinds[each % len(kinds)]] >= least)

    lag = -(-(times.gnb_decoding_symbols + times.gnb_lead_symbols) // nr_frame.SYMBOLS)
    waits = [
        first(slot + 1 + lag, PDCCH_SYMBOLS + 2) - first(slot + 1, PDCCH_SYMBOLS)
        for slot, kind in enumerate(kinds)
        if kind in "UF"
    ]
    return max(waits) / (1000 << numerology)
