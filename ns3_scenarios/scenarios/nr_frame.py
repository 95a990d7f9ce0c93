# SPDX-License-Identifier: GPL-2.0-only
"""What an NR carrier can be: bandwidths with their PRBs, numerologies, patterns of slots."""

import re

from bridge.network import RequestError

PRBS = {
    "FR1": {
        0: {5: 25, 10: 52, 15: 79, 20: 106, 25: 133, 30: 160, 35: 188, 40: 216, 45: 242, 50: 270},
        1: {
            **{5: 11, 10: 24, 15: 38, 20: 51, 25: 65, 30: 78, 35: 92, 40: 106, 45: 119, 50: 133},
            **{60: 162, 70: 189, 80: 217, 90: 245, 100: 273},
        },
        2: {
            **{10: 11, 15: 18, 20: 24, 25: 31, 30: 38, 35: 44, 40: 51, 45: 58, 50: 65},
            **{60: 79, 70: 93, 80: 107, 90: 121, 100: 135},
        },
    },
    "FR2": {
        2: {50: 66, 100: 132, 200: 264},
        3: {50: 32, 100: 66, 200: 132, 400: 264},
    },
}
"""PRBs by frequency range, numerology and bandwidth in MHz: TS 38.101-1 and TS 38.101-2, each table 5.3.2-1."""

FR2_FROM_HZ = 24.25e9  # TS 38.104 table 5.1-1
SUBCARRIER_HZ = 15e3  # of numerology 0, TS 38.211 table 4.2-1
PRB_SUBCARRIERS = 12
SYMBOLS = 14
MOST_SLOTS = 20  # of a pattern; ours


def prbs(frequency_hz: float, numerology: int, bandwidth_mhz: int) -> int:
    """How many PRBs a carrier has. Raises `RequestError` for what the specifications do not have."""
    band = "FR2" if frequency_hz >= FR2_FROM_HZ else "FR1"
    by_numerology = PRBS[band]
    if numerology not in by_numerology:
        known = ", ".join(map(str, by_numerology))
        reason = f"{numerology} is none of those of {band}, in which {frequency_hz:g} Hz lies: {known}"
        raise RequestError("radio.numerology", reason)
    if bandwidth_mhz not in by_numerology[numerology]:
        known = ", ".join(map(str, by_numerology[numerology]))
        spacing_khz = SUBCARRIER_HZ * 2**numerology / 1e3
        reason = f"{bandwidth_mhz} MHz is none of those for subcarriers of {spacing_khz:g} kHz in {band}: {known}"
        raise RequestError("radio.bandwidth_mhz", reason)
    return by_numerology[numerology][bandwidth_mhz]


def check_pattern(pattern: str, special_symbols: tuple[int, int, int], special_pusch_symbols: int) -> None:
    """Raise `RequestError` for a pattern of slots that cannot carry both directions, or data where there is no room."""
    if special_pusch_symbols and "S" not in pattern:
        raise RequestError("radio.special_pusch_symbols", f"{pattern} has no special slot (S)")
    if special_pusch_symbols == 1 or special_pusch_symbols > special_symbols[2]:
        reason = f"{special_pusch_symbols}; DM-RS and data take 2 at least, and the uplink has {special_symbols[2]}"
        raise RequestError("radio.special_pusch_symbols", reason)
    if pattern == "FDD":
        return
    if not re.fullmatch(r"[DSU]+", pattern):
        raise RequestError("radio.pattern", f"{pattern} is neither FDD nor slots of D, S and U, such as DDDSU")
    if len(pattern) > MOST_SLOTS:
        raise RequestError("radio.pattern", f"{pattern} has {len(pattern)} slots; {MOST_SLOTS} at most")
    for slot, name in (("D", "downlink"), ("U", "uplink")):
        if slot not in pattern:
            raise RequestError("radio.pattern", f"{pattern} has no {name} slot ({slot})")
    if sum(special_symbols) != SYMBOLS or min(special_symbols) < 0:
        listed = " + ".join(map(str, special_symbols))
        raise RequestError("radio.special_symbols", f"{listed} symbols; downlink, guard and uplink make {SYMBOLS}")
