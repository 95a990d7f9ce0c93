# SPDX-License-Identifier: GPL-2.0-only
"""How long the ends of an NR cell take for what: by the specifications, or as open-source testbeds do."""

from typing import Literal

import msgspec

from .nr_frame import FR2_FROM_HZ

Profile = Literal["specification", "testbed"]
TIME_UNIT_S = 1 / (480e3 * 4096)  # Tc, TS 38.211 clause 4.1
SPEED_OF_LIGHT = 299792458
DECODING = (8, 10, 17, 20)  # N1 by numerology, TS 38.214 table 5.3-1, no further DMRS
PREPARATION = (10, 12, 23, 36)  # N2, TS 38.214 table 6.4-1
D21 = 1  # clause 6.4: the first symbol of PUSCH is not DMRS alone


class Timing(msgspec.Struct, frozen=True):
    """All of them; symbols and slots of the carrier's numerology."""

    device_decoding_symbols: int
    device_preparation_symbols: int
    gnb_decoding_symbols: int
    gnb_lead_symbols: int
    least_k1_slots: int
    least_k2_slots: int
    request_period_slots: int
    request_grant_bytes: int


def profile(name: Profile, numerology: int) -> Timing:
    """What holds where nothing else is said. What the gNB takes no specification says: it takes N1 for each step.

    The testbed's figures are ours, chosen so that its round trips are those that srsRAN's users and developers report
    for 30 kHz (docs/scenarios/nr.md has the sources).
    """
    n1, n2 = DECODING[numerology], PREPARATION[numerology]
    if name == "testbed":
        slots = 2 ** max(numerology - 1, 0)  # of 0.5 ms, or of 1 ms
        return Timing(n1, n2 + D21, 14 * slots, 28 * slots, 4 * slots, 2 * slots, 40 * slots, 512)
    return Timing(n1, n2 + D21, n1, n1, 0, 0, 1, 256)


def timing_advance_s(frequency_hz: float, farthest_m: float) -> float:
    """By how much a device sends early: N_TA,offset of TS 38.133 table 7.1.2-2, and the way there and back."""
    offset = 13792 if frequency_hz >= FR2_FROM_HZ else 25600
    return offset * TIME_UNIT_S + 2 * farthest_m / SPEED_OF_LIGHT
