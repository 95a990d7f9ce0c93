# SPDX-License-Identifier: GPL-2.0-only
"""When packets come over NR's cell, from first principles: slots, processing times, requests, grants and answers."""

from fractions import Fraction
from itertools import product
from math import ceil
from typing import Any

import pytest

from bridge.network import NS_PER_S, RequestError, Status, Transfer, Wait
from ns3_scenarios.scenarios.nr import Nr
from tests.support.nr_counts import counted
from tests.support.ns3_worker import Call, Step, play

MS = 1_000_000
DISTANCE_M = 50.0
STEADY = {"path_loss": "friis", "distances_m": [DISTANCE_M]}
N1 = {0: 8, 1: 10, 2: 17, 3: 20}  # TS 38.214 table 5.3-1
N2 = {0: 10, 1: 12, 2: 23, 3: 36}  # TS 38.214 table 6.4-1
D21 = 1  # clause 6.4
ADVANCE_NS = Fraction(25600 * NS_PER_S, 480_000 * 4096) + Fraction(2 * DISTANCE_M * NS_PER_S / 299792458)  # FR1
PDCCH, PUCCH = 2, 1
SPECIAL = (10, 2, 0)  # symbols of a special slot for downlink, for uplink, and of the latter for data
ROUNDING_NS = 3
HOP_NS = 20  # at most, of the cable between edge server and gNB


class Frame:
    """Slots, symbols and times in fractions of ns, told without the simulator's code.

    With `parts` of 2 slots are halves of slots, but for the times that are given in slots.
    """

    def __init__(
        self, numerology: int, pattern: str, special: tuple[int, int, int] = SPECIAL, parts: int = 1, **given: int
    ):
        self.numerology, self.pattern, self.parts = numerology, "F" if pattern == "FDD" else pattern, parts
        self.slot_ns = Fraction(MS, 2**numerology * parts)
        self.length = 14 // parts
        self.special = special
        specified = {
            **{"device_decoding_symbols": N1[numerology], "device_preparation_symbols": N2[numerology] + D21},
            **{"gnb_decoding_symbols": N1[numerology], "gnb_lead_symbols": N1[numerology]},
            **{"least_k1_slots": 0, "least_k2_slots": 0, "request_period_slots": 1, "request_offset_slots": 0},
        }
        self.times = specified | given

    def at(self, slot: int, symbol: int = 0) -> Fraction:
        return slot * self.slot_ns + symbol * self.slot_ns / self.length

    def symbols(self, name: str) -> Fraction:
        return self.times[f"{name}_symbols"] * self.slot_ns / self.length

    def kind(self, slot: int) -> str:
        return self.pattern[slot // self.parts % len(self.pattern)]

    def data(self, slot: int, is_uplink: bool) -> list[int]:
        """The symbols of a slot that carry data and DM-RS, and if down the PDCCH."""
        down, up, pusch = self.special
        every = list(range(14))
        whole = {
            **{"D": (every, []), "U": ([], every), "F": (every, every)},
            "S": (every[:down], every[14 - up : 14 - up + pusch]),
        }[self.kind(slot)][is_uplink]
        begin = slot % self.parts * self.length
        found = [symbol - begin for symbol in whole if begin <= symbol < begin + self.length]
        return found[: self.length - PUCCH] if is_uplink and self.kind(slot) != "S" else found

    def carries(self, slot: int, is_uplink: bool) -> bool:
        return len(self.data(slot, is_uplink)) > (1 if is_uplink else PDCCH + 1)

    def first(self, is_uplink: bool, from_ns: Fraction) -> int:
        slot = ceil(from_ns / self.slot_ns)
        while not self.carries(slot, is_uplink):
            slot += 1
        return slot

    def first_pucch(self, slot: int) -> int:
        while self.kind(slot) not in "UF":
            slot += 1
        return slot

    def downlink_end(self, from_ns: int) -> Fraction:
        slot = self.first(False, from_ns + self.symbols("gnb_lead"))
        end = len(self.data(slot, False))
        relaxed = 7 - end if self.parts > 1 else 0  # d1,1 of TS 38.214 clause 5.3 with mapping type B
        return self.at(slot, end + relaxed) + self.symbols("device_decoding")

    def request(self, from_ns: Fraction) -> int:
        """The first uplink slot with an occasion in or before it that no earlier one was the first after."""
        period, offset = self.times["request_period_slots"], self.times["request_offset_slots"] * self.parts
        period *= self.parts if period > 1 else 1
        begin = ceil(from_ns / self.slot_ns)
        occasion = max(offset + (begin - offset) // period * period, offset)
        while (slot := self.first_pucch(occasion)) < begin:
            occasion += period
        return slot

    def uplink_end(self, from_ns: int) -> Fraction:
        request = self.request(Fraction(from_ns))
        known = self.at(request + 1) + self.symbols("gnb_decoding") + self.symbols("gnb_lead")
        uplink = self.first(True, self.at(request))
        while self.grant(uplink) * self.slot_ns < known:
            uplink = self.first(True, self.at(uplink + 1))
        return self.at(uplink, self.data(uplink, True)[-1] + 1) + self.symbols("gnb_decoding")

    def grant(self, uplink: int) -> int:
        """The last slot whose PDCCH leaves the device its time before this slot's PUSCH, which it sends early."""
        slot = uplink - self.times["least_k2_slots"] * self.parts
        ready_ns = self.at(uplink, self.data(uplink, True)[0]) - self.symbols("device_preparation") - ADVANCE_NS
        while len(self.data(slot, False)) < PDCCH or self.at(slot, PDCCH) > ready_ns:
            slot -= 1
        return slot


CARRIERS = [
    (0, "FDD", 20),
    (1, "FDD", 100),
    (2, "FDD", 100),
    (0, "DDDSU", 20),
    (1, "DDDSU", 100),
    (2, "DDDSU", 100),
    (1, "DSUUD", 40),
    (2, "DDDDDDDSUU", 100),
    (1, "DDDDDDDDDDDDDDDDDSUU", 100),
]
TIMINGS: list[dict[str, int]] = [
    {},
    {"request_period_slots": 20, "request_offset_slots": 3, "least_k2_slots": 4, "least_k1_slots": 4},
    {"gnb_lead_symbols": 33, "gnb_decoding_symbols": 20, "device_decoding_symbols": 30},
    {"device_preparation_symbols": 40, "request_period_slots": 3},
]


def scattered(count: int, compute_ns: int = 5 * MS) -> list[Step]:
    """Exchanges of 1 KB each way that begin, down and up, anywhere in a slot."""
    return [
        Step([Transfer(0, 1000, compute_ns + 91_733 * i, 1000)], 30 * MS + 137_321 * i, NS_PER_S) for i in range(count)
    ]


def check(ns3: Call, frame: Frame, parameters: dict[str, Any], compute_ns: int = 5 * MS) -> None:
    """Each packet comes when the frame says: its 1 KB goes in one block, with the first grant for it."""
    given = parameters | {"request_grant_bytes": 2000}
    for outcome in ns3(play, scattered(40, compute_ns), given, "nr").outcomes:
        (came,) = outcome.transfers
        assert came.status == Status.DONE
        down_ns = [frame.downlink_end(came.downlink_begin_ns + late_ns) for late_ns in (0, HOP_NS)]
        assert down_ns[0] - ROUNDING_NS <= came.downlink_end_ns <= down_ns[1] + ROUNDING_NS
        up_ns = frame.uplink_end(came.compute_end_ns)
        assert up_ns - ROUNDING_NS <= came.uplink_end_ns <= up_ns + HOP_NS


@pytest.mark.parametrize("times", TIMINGS)
@pytest.mark.parametrize(("numerology", "pattern", "bandwidth_mhz"), CARRIERS)
def test_an_idle_cell_takes_what_slots_and_processing_take(ns3, numerology, pattern, bandwidth_mhz, times):
    parameters = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz} | STEADY
    check(ns3, Frame(numerology, pattern, **times), parameters | times)


def of_special(special: tuple[int, int, int]) -> dict[str, Any]:
    down, up, pusch = special
    return {"special_symbols": [down, 14 - down - up, up], "special_pusch_symbols": pusch}


@pytest.mark.parametrize("times", TIMINGS)
@pytest.mark.parametrize(
    ("numerology", "pattern", "bandwidth_mhz", "special"),
    [
        *((*carrier, SPECIAL) for carrier in CARRIERS[1:6:2]),
        *((1, "DDDSU", 100, special) for special in ((5, 8, 0), (5, 8, 8), (12, 2, 2), (5, 6, 4), (9, 4, 3))),
    ],
)
def test_mini_slots_take_what_halves_of_slots_take(ns3, numerology, pattern, bandwidth_mhz, special, times):
    parameters = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz} | STEADY
    frame = Frame(numerology, pattern, special, parts=2, **times)
    given = {} if pattern == "FDD" else of_special(special)
    check(ns3, frame, parameters | given | {"mini_slot_symbols": 7} | times)


@pytest.mark.parametrize("special", [(10, 2, 2), (8, 4, 3), (8, 4, 4), (0, 13, 13), (3, 10, 9)])
@pytest.mark.parametrize(
    ("numerology", "pattern", "bandwidth_mhz"), [(0, "DDDSU", 20), (1, "DDDSU", 100), (2, "DSSU", 40)]
)
def test_uplink_symbols_of_special_slots_carry_data(ns3, numerology, pattern, bandwidth_mhz, special):
    """A packet for which one comes before the next uplink slot is there so much earlier."""
    parameters = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz} | STEADY
    frame = Frame(numerology, pattern, special)
    assert frame.carries(pattern.index("S"), True)
    check(ns3, frame, parameters | of_special(special))


@pytest.mark.parametrize("downlink_symbols", [0, 1, 2, 3, 4])
def test_a_special_slot_grants_with_the_symbols_of_the_pdcch_and_sends_with_more(ns3, downlink_symbols):
    """Grants for the second uplink slot of DSUU come from the special one, if it has two symbols for downlink."""
    frame = Frame(1, "DDSUU", (downlink_symbols, 0, 0))
    parameters = {"pattern": "DDSUU", "special_symbols": [downlink_symbols, 14 - downlink_symbols, 0]} | STEADY
    assert frame.grant(14) == (12 if downlink_symbols >= PDCCH else 11)
    check(ns3, frame, parameters)


@pytest.mark.parametrize(("numerology", "pattern", "bandwidth_mhz"), CARRIERS[3:5])
def test_status_pdus_hold_up_no_packet_that_is_alone(ns3, numerology, pattern, bandwidth_mhz):
    """They are through, with their own request and grant, long before the next packet comes."""
    parameters = {"numerology": numerology, "pattern": pattern, "bandwidth_mhz": bandwidth_mhz} | STEADY
    check(ns3, Frame(numerology, pattern), parameters | {"arq": {}}, 50 * MS)


def test_a_device_reports_what_came_down(ns3):
    """After a packet each way, blocks with status PDUs go up and down."""
    steps = [Step([Transfer(0, size, 50 * MS, size)], 50 * MS, NS_PER_S) for size in (1000, 1)]
    played = [ns3(counted, steps, STEADY | {"arq": arq}) for arq in ("ideal", {})]
    for is_uplink in (False, True):
        ideal, reported = (found.counts[-1][0][is_uplink].blocks for found in played)
        assert reported > ideal


def test_k2_is_two_at_30_khz(ns3):
    """N2 of 12 symbols behind two of PDCCH is just a slot: no time is left for the timing advance and d2,1."""
    assert [uplink - Frame(1, "FDD").grant(uplink) for uplink in (10, 11)] == [2, 2]
    assert 14 * Frame(1, "FDD").slot_ns / 14 < (PDCCH + N2[1]) * Frame(1, "FDD").slot_ns / 14 + ADVANCE_NS


def test_a_configured_grant_saves_the_request(ns3):
    frame = Frame(1, "DDDSU")
    for outcome in ns3(play, scattered(20), {"configured_grant_prbs": 20} | STEADY, "nr").outcomes:
        (came,) = outcome.transfers
        slot = frame.first(True, came.compute_end_ns + frame.symbols("device_preparation") + ADVANCE_NS)
        up_ns = frame.at(slot, 14 - PUCCH) + frame.symbols("gnb_decoding")
        assert up_ns - ROUNDING_NS <= came.uplink_end_ns <= up_ns + HOP_NS


@pytest.mark.parametrize("pattern", ["DDDSU", "DDDDDDDSUU"])
def test_the_testbed_s_round_trips_lie_where_those_of_srsran_and_oai_do(ns3, pattern):
    """Of 30 kHz: ping 15 to 19 ms on average; from a request that is known to the answer's end 5 to 6 ms and a slot."""
    profile = Nr.parse({"timing": "testbed"}).times()
    times = {name: value for name in profile.__struct_fields__ if (value := getattr(profile, name)) is not None}
    grant_bytes = times.pop("request_grant_bytes")
    assert grant_bytes > 100
    frame, parameters = Frame(1, pattern, **times), {"pattern": pattern, "timing": "testbed"} | STEADY
    pings_ns, replies_ns = [], []
    # Computing takes until all is told of the packet down: two requests, an occasion each 20 ms.
    steps = [Step([Transfer(0, 60, 95 * MS + 591_733 * i, 60)], 30 * MS + 137_321 * i, NS_PER_S) for i in range(60)]
    for outcome in ns3(play, steps, parameters, "nr").outcomes:
        (came,) = outcome.transfers
        begin_ns, there_ns = came.compute_end_ns, came.uplink_end_ns
        up_ns = frame.uplink_end(begin_ns)
        assert up_ns - ROUNDING_NS <= there_ns <= up_ns + HOP_NS
        answered_ns = frame.downlink_end(there_ns)
        pings_ns.append(answered_ns - begin_ns)
        request_known_ns = frame.at(frame.request(Fraction(begin_ns)) + 1) + frame.symbols("gnb_decoding")
        replies_ns.append(answered_ns - frame.symbols("device_decoding") - request_known_ns)
    assert 15 * MS <= sum(pings_ns) / len(pings_ns) <= 19 * MS
    assert 5 * MS <= min(replies_ns) <= max(replies_ns) <= 6.5 * MS


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        *(({name: -1}, name) for name in ("device_decoding_symbols", "device_preparation_symbols", "least_k1_slots")),
        *(({name: 10_000}, name) for name in ("gnb_decoding_symbols", "gnb_lead_symbols", "least_k2_slots")),
        ({"request_period_slots": 0}, "request_period_slots"),
        ({"request_period_slots": 20, "request_offset_slots": 20}, "request_offset_slots"),
        ({"request_offset_slots": 1}, "request_offset_slots"),
        ({"request_grant_bytes": 1}, "request_grant_bytes"),
        ({"timing": "ideal"}, "timing"),
        ({"arq": "none"}, "arq"),
        ({"arq": {}, "rlc": "um"}, "arq"),
        ({"arq": {"poll_pdus": 0}}, "arq.poll_pdus"),
        ({"arq": {"reordering_s": 3.5}}, "arq.reordering_s"),
        ({"target_bler": 0.0}, "target_bler"),
        ({"outer_loop_step_db": -0.1}, "outer_loop_step_db"),
        ({"special_pusch_symbols": 1}, "special_pusch_symbols"),
        ({"special_pusch_symbols": 3}, "special_pusch_symbols"),
        ({"special_pusch_symbols": 2, "pattern": "FDD"}, "special_pusch_symbols"),
        ({"special_pusch_symbols": 2, "pattern": "DDDU"}, "special_pusch_symbols"),
        ({"mini_slot_symbols": 14}, "mini_slot_symbols"),
    ],
)
def test_bad_times_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        Nr.parse(parameters)
    assert refusal.value.field == f"radio.{field}"


PATTERNS = [
    "FDD",
    "DDDSU",
    "DDDDDDDSUU",
    "DDDDDDDDDDDDDDDDDDSU",
    "DDDDDDDDDSUUUUUUUUUU",
    "DSUUUUUUUUUUUUUUUUUU",
    "DSUUD",
]


@pytest.mark.parametrize(("pattern", "is_uplink"), list(product(PATTERNS, (False, True))))
@pytest.mark.parametrize("times", [{}, {"timing": "testbed"}])
def test_a_saturated_device_delivers_what_its_links_say(ns3, pattern, is_uplink, times):
    """Also where 16 HARQ processes are not enough for all slots until an answer comes."""
    saturate(ns3, pattern, is_uplink, times)


MORE = {"special_pusch_symbols": 4, "special_symbols": [8, 2, 4]}
MINI = {"mini_slot_symbols": 7}


@pytest.mark.parametrize("is_uplink", [False, True])
@pytest.mark.parametrize(
    ("pattern", "given"),
    [
        *(("FDD", MINI | times) for times in ({}, {"timing": "testbed"})),
        *(product(("DDDSU", "DSSUD"), (MORE, MORE | MINI, MORE | MINI | {"timing": "testbed"}))),
    ],
)
def test_it_does_so_with_mini_slots_and_data_in_special_slots(ns3, pattern, given, is_uplink):
    saturate(ns3, pattern, is_uplink, given)


def saturate(ns3: Call, pattern: str, is_uplink: bool, given: dict[str, Any]) -> None:
    parameters = STEADY | {"pattern": pattern, "gnb_power_dbm": 60.0, "device_power_dbm": 40.0} | given
    part = 1.0 if pattern == "FDD" else sum(slot in ("US" if is_uplink else "DS") for slot in pattern) / len(pattern)
    size_bytes = round(45_000_000 * part)  # more than 300 ms carry at the highest rate, 1.17 Gbit/s
    asked = [Transfer(0, 1, 0, size_bytes) if is_uplink else Transfer(0, size_bytes, 0, 1)]
    first, more = (Step(asked, 50 * MS, length_ns, Wait.DEADLINE) for length_ns in (100 * MS, 300 * MS))
    short, long = (ns3(counted, [step], parameters) for step in (first, more))
    (link,) = short.outcomes[0].links
    said_bps = link.uplink_rate_bps if is_uplink else link.downlink_rate_bps
    delivered = long.during(0, 0, is_uplink).bytes - short.during(0, 0, is_uplink).bytes
    assert 8 * delivered / 0.2 == pytest.approx(said_bps, rel=0.03)
