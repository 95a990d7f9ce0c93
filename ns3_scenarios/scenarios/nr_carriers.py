# SPDX-License-Identifier: GPL-2.0-only
"""A second component carrier of an NR cell: what it has of its own."""

from itertools import product
from typing import Annotated

import msgspec
from msgspec import Meta

from bridge.network import RequestError

Span = tuple[float, float]


class SecondCarrier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secondary cell's component carrier, of the same gNB as the primary cell's (TS 38.300 clause 6.7).

    All else, numerology among it, is as on the primary cell's carrier.

    `frequency_hz`: of the carrier; of its downlink with FDD.
    `bandwidth_mhz`: of the carrier, one that TS 38.101 has for the numerology.
    `pattern`: of slots with TDD, or "FDD" (default: the primary cell's).
    `gnb_power_dbm`: transmit power of the gNB on this carrier (default: the primary cell's).
    """

    frequency_hz: Annotated[float, Meta(ge=0.5e9, le=100e9)]
    bandwidth_mhz: int = 100
    pattern: str | None = None
    gnb_power_dbm: Annotated[float, Meta(ge=-30, le=60)] | None = None


def check_apart(first: tuple[Span, ...], second: tuple[Span, ...]) -> None:
    """Raise `RequestError` where the second carrier's spectrum, in Hz from and to, overlaps with the first one's."""
    for (begin, end), (other_begin, other_end) in product(first, second):
        if begin < other_end and other_begin < end:
            reason = (
                f"{other_begin / 1e6:g} to {other_end / 1e6:g} MHz overlaps with the first carrier's "
                f"{begin / 1e6:g} to {end / 1e6:g} MHz; take a frequency farther off"
            )
            raise RequestError("radio.second_carrier.frequency_hz", reason)
