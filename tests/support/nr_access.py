# SPDX-License-Identifier: GPL-2.0-only
"""When a device gets its connection, told from the specifications without the simulator's code."""

from fractions import Fraction
from itertools import count
from math import ceil
from typing import Any

from bridge.network import NS_PER_S

MS = 1_000_000
N1 = (8, 10, 17, 20)  # TS 38.214 table 5.3-1
N2 = (10, 12, 23, 36)  # TS 38.214 table 6.4-1
DELTA = (2, 3, 4, 6)  # slots, TS 38.214 table 6.1.2.1.1-5
D21 = 1  # TS 38.214 clause 6.4
PDCCH, PUCCH, SPECIAL, SYMBOLS = 2, 1, 10, 14
REPORT_DELAY, REPORT_PERIOD = 4, 20  # slots
FRAME_NS = 10 * MS


class Air:
    """Slots of a carrier and times of its ends; all in ns, exactly. `distance_m`: of the farthest device."""

    def __init__(self, numerology: int, pattern: str, distance_m: float, connection: dict[str, Any], **times: int):
        self.numerology, self.pattern = numerology, "F" if pattern == "FDD" else pattern
        self.connection = connection
        self.slot_ns = Fraction(MS, 2**numerology)
        self.symbol_ns = self.slot_ns / SYMBOLS
        self.decoding = times.get("device_decoding_symbols", N1[numerology])
        self.preparation = times.get("device_preparation_symbols", N2[numerology] + D21)
        self.gnb_decoding = times.get("gnb_decoding_symbols", N1[numerology])
        self.lead = times.get("gnb_lead_symbols", N1[numerology])
        self.k2 = times.get("least_k2_slots", 0)
        self.advance_ns = Fraction(25600 * NS_PER_S, 480_000 * 4096) + Fraction(2 * distance_m * NS_PER_S / 299792458)

    def down_symbols(self, slot: int) -> int:
        return {"D": SYMBOLS, "F": SYMBOLS, "S": SPECIAL, "U": 0}[self.pattern[slot % len(self.pattern)]]

    def is_uplink(self, slot: int) -> bool:
        return self.pattern[slot % len(self.pattern)] in "UF"

    def from_ns(self, ns: Fraction | int) -> int:
        """The first slot that begins then or later."""
        return ceil(ns / self.slot_ns)

    def down(self, slot: int) -> int:
        """The first one from this on with data down."""
        return next(each for each in count(slot) if self.down_symbols(each) > PDCCH + 1)

    def down_end(self, slot: int) -> Fraction:
        return slot * self.slot_ns + self.down_symbols(slot) * self.symbol_ns

    def answer(self, slot: int) -> int:
        """The uplink slot whose PUCCH has the answer to what came down."""
        ready_ns = self.down_end(slot) + self.decoding * self.symbol_ns + self.advance_ns
        return next(
            each
            for each in count(slot)
            if self.is_uplink(each) and each * self.slot_ns + (SYMBOLS - PUCCH) * self.symbol_ns >= ready_ns
        )

    def known(self, slot: int) -> int:
        """The first slot that the gNB schedules knowing what came up in this one."""
        came_ns = slot * self.slot_ns + (SYMBOLS - PUCCH) * self.symbol_ns
        return self.from_ns(came_ns + (self.gnb_decoding + self.lead) * self.symbol_ns)

    def grant(self, uplink: int) -> int:
        """The last slot whose PDCCH leaves the device its time."""
        ready_ns = uplink * self.slot_ns - self.preparation * self.symbol_ns - self.advance_ns
        slots = (uplink - self.k2 - back for back in count())
        return next(
            slot
            for slot in slots
            if self.down_symbols(slot) >= PDCCH and slot * self.slot_ns + PDCCH * self.symbol_ns <= ready_ns
        )

    def granted(self, ns: Fraction) -> int:
        """The first uplink slot that is granted then or later."""
        return next(
            slot for slot in count(self.from_ns(ns)) if self.is_uplink(slot) and self.grant(slot) * self.slot_ns >= ns
        )

    def preamble(self, ns: Fraction) -> int:
        """Its slot: the first uplink slot behind an occasion, if it begins late enough."""
        period = round(self.connection.get("preamble_period_s", 0.01) * 1000) * 2**self.numerology
        offset = self.connection.get("preamble_offset_slots", 0)
        for occasion in count(offset, period):
            slot = next(each for each in count(occasion) if self.is_uplink(each))
            if slot * self.slot_ns >= ns:
                return slot
        raise AssertionError

    def message_3(self, preamble: int) -> int:
        known_ns = (preamble + 1) * self.slot_ns + (self.gnb_decoding + self.lead) * self.symbol_ns
        response = self.down(self.from_ns(known_ns))
        ready_ns = self.down_end(response) + (self.decoding + self.preparation) * self.symbol_ns + MS // 2
        return next(
            slot
            for slot in count(response + self.k2 + DELTA[self.numerology])
            if self.is_uplink(slot) and slot * self.slot_ns - self.advance_ns >= ready_ns
        )

    def complete(self, preamble: int) -> int:
        """The slot of the last message up."""
        setup = self.down(self.known(self.message_3(preamble)))
        slot = self.granted(self.down_end(setup) + 10 * MS)
        if self.connection.get("release_to") == "inactive":
            return slot
        core_ns = round(self.connection.get("core_s", 0.02) * NS_PER_S)
        told_ns = slot * self.slot_ns + (SYMBOLS - PUCCH + self.gnb_decoding) * self.symbol_ns + core_ns
        security = self.down(self.from_ns(told_ns + self.lead * self.symbol_ns))
        bearer = self.down(self.known(self.granted(self.down_end(security) + 5 * MS)))
        return self.granted(self.down_end(bearer) + 10 * MS)

    def connected(self, preamble: int) -> int:
        """The first slot that the gNB schedules with the connection."""
        return self.known(self.complete(preamble))

    def scheduled(self, preamble: int) -> int:
        """The first slot with a report: that of its first one, if none takes its place before it is known."""
        first = self.connected(preamble)
        periodic = (first // REPORT_PERIOD + 1) * REPORT_PERIOD
        return REPORT_DELAY + (periodic if periodic < first + REPORT_DELAY else first)

    def uplink_end(self, preamble: int) -> Fraction:
        """When the gNB has what waited at the device."""
        slot = self.granted(self.scheduled(preamble) * self.slot_ns)
        return slot * self.slot_ns + (SYMBOLS - PUCCH + self.gnb_decoding) * self.symbol_ns

    def downlink_end(self, preamble: int) -> Fraction:
        """When the device has what waited at the gNB."""
        slot = self.down(self.scheduled(preamble))
        return self.down_end(slot) + self.decoding * self.symbol_ns

    def page(self, ns: Fraction | int, identity: int) -> int:
        """Its slot: the first with data down in the device's frame, (SFN mod T) = (T div N) * (UE_ID mod N), N = T."""
        cycle = round(self.connection.get("paging_cycle_s", 1.28) * 100)
        for frame in count(identity % cycle, cycle):
            slot = self.down(self.from_ns(frame * FRAME_NS))
            if slot * self.slot_ns - self.lead * self.symbol_ns >= ns:
                return slot
        raise AssertionError

    def paged_preamble(self, ns: Fraction | int, identity: int) -> int:
        """Of a device for which something has come to the gNB then."""
        page = self.page(ns, identity)
        return self.preamble(self.down_end(page) + self.decoding * self.symbol_ns)
