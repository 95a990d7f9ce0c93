# SPDX-License-Identifier: GPL-2.0-only
"""What befalls devices, against closed forms: who leaves and joins, is cut off, runs empty, grows hot."""

import math
import re
import tomllib
from dataclasses import replace
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from msgspec import to_builtins

from bridge.network import NS_PER_S, Outcome, RequestError, Status, Transfer, Wait
from cosim.record.journal import Journal
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.scenarios.lte import Lte
from ns3_scenarios.scenarios.wired import Wired
from ns3_scenarios.simulation import open_network
from ns3_scenarios.world.life import Life
from tests import ROOT
from tests.support.cosim_process import cosim
from tests.support.ns3_worker import Call, Played, Step, play

MS = 1_000_000

RATE_BPS = 8_000_000
DELAY_NS = MS
BLOCK_BYTES = 100_000


def airtime_ns(payload_bytes: int) -> int:
    """UDP over one of the star's cables: datagrams of 1472 bytes behind 30 of headers."""
    return (payload_bytes + math.ceil(payload_bytes / 1472) * 30) * 8 * NS_PER_S // RATE_BPS + DELAY_NS


def every(devices: int, size: int = BLOCK_BYTES, compute_ns: int = 50 * MS) -> list[Transfer]:
    return [Transfer(i, size, compute_ns, size) for i in range(devices)]


def star(ns3: Call, steps: list[Step], *life: dict[str, object], devices: int = 1, **parameters: object) -> Played:
    return ns3(play, steps, {"rates_bps": [RATE_BPS] * devices, "life": life, **parameters}, "wired-star")


def away(begin_ns: int, *until_ns: int, kind: str = "absence", devices: tuple[int, ...] = ()) -> dict[str, object]:
    return {"kind": kind, "devices": devices, "intervals_s": [[ns / NS_PER_S for ns in (begin_ns, *until_ns)]]}


def statuses(outcome: Outcome) -> list[Status]:
    return [came.status for came in outcome.transfers]


DOWN_NS = airtime_ns(BLOCK_BYTES)
UP_NS = DOWN_NS + 50 * MS
END_NS = UP_NS + airtime_ns(BLOCK_BYTES)
LEAVES = pytest.mark.parametrize(
    "leaves_ns", [20 * MS, DOWN_NS + 20 * MS, UP_NS + 20 * MS], ids=["down", "compute", "up"]
)


@LEAVES
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("wait", list(Wait))
def test_who_leaves_ends_its_transfer_at_that_instant(ns3, leaves_ns, transport, wait):
    """And with it the exchange, if it was the last to be waited for."""
    step = Step(every(1), 0, NS_PER_S, wait)
    outcome = star(ns3, [step], away(leaves_ns), transport=transport).outcomes[0]
    assert statuses(outcome) == [Status.UNREACHABLE]
    assert outcome.now_ns == (NS_PER_S if wait is Wait.DEADLINE else leaves_ns)
    assert [link.connected for link in outcome.links] == [False]
    (came,) = outcome.transfers
    assert came.downlink_begin_ns == 0
    assert came.uplink_end_ns is None
    if transport == "udp":
        assert came.downlink_end_ns == (DOWN_NS if leaves_ns > DOWN_NS else None)
        assert came.compute_end_ns == (UP_NS if leaves_ns > UP_NS else None)


@LEAVES
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_others_do_not_notice(ns3, leaves_ns, transport):
    """To the nanosecond, in this exchange and the next, of which the absent device is no part."""
    steps = [Step(every(3)), Step(every(3), 7 * MS)]
    plain = star(ns3, steps, devices=3, transport=transport)
    played = star(ns3, steps, away(leaves_ns, devices=(1,)), devices=3, transport=transport)
    for outcome, undisturbed in zip(played.outcomes, plain.outcomes, strict=True):
        assert statuses(outcome) == [Status.DONE, Status.UNREACHABLE, Status.DONE]
        assert outcome.now_ns == undisturbed.now_ns
        assert outcome.transfers[::2] == undisturbed.transfers[::2]
    assert played.outcomes[1].transfers[1].downlink_begin_ns is None


def test_wait_any_does_not_take_who_leaves_for_the_first(ns3):
    slower = [Transfer(0, BLOCK_BYTES, 0, BLOCK_BYTES), Transfer(1, BLOCK_BYTES, 50 * MS, BLOCK_BYTES)]
    outcome = star(ns3, [Step(slower, wait=Wait.ANY)], away(20 * MS, devices=(0,)), devices=2).outcomes[0]
    assert statuses(outcome) == [Status.UNREACHABLE, Status.DONE]
    assert outcome.now_ns == END_NS


@LEAVES
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_joins_again_is_as_new(ns3, leaves_ns, transport):
    """A cancelled half of the block would hold the cable for 50 ms."""
    step = Step(every(1))
    after = Step(every(1), 10 * MS)  # longer than the handshake of a TCP connection
    fresh = star(ns3, [after], transport=transport)
    played = star(ns3, [step, Step([], 4 * MS), after], away(leaves_ns, leaves_ns + 5 * MS), transport=transport)
    assert [link.connected for link in played.outcomes[1].links] == [False]
    assert [link.connected for link in played.outcomes[2].links] == [True]
    (took_ns,), (fresh_ns,) = played.took_ns(2), fresh.took_ns(0)
    assert abs(took_ns - fresh_ns) <= (0 if transport == "udp" else 10)  # serialisation rounds up to a ns


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_device_may_join_late_or_between_two_exchanges(ns3, transport):
    """One that joins at the instant of a departure takes part in it."""
    late = {"kind": "absence", "intervals_s": [[0.0, 0.5], [2.0, 2.1]]}
    steps = [Step(every(1), 100 * MS), Step(every(1), 400 * MS), Step(every(1), 1500 * MS)]
    played = star(ns3, steps, late, transport=transport)
    assert [statuses(outcome)[0] for outcome in played.outcomes] == [Status.UNREACHABLE, Status.DONE, Status.DONE]
    assert played.departed_ns[1] == 500 * MS
    if transport == "udp":
        assert played.took_ns(1) == played.took_ns(2) == [END_NS]


@pytest.mark.parametrize(("leaves_ns", "joins_ns"), [(0, 30 * MS), (20 * MS, 30 * MS)], ids=["departure", "down"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_joins_in_the_midst_of_an_exchange_takes_part_in_the_next(ns3, leaves_ns, joins_ns, transport):
    steps = [Step(every(2)), Step(every(2), 10 * MS)]
    played = star(ns3, steps, away(leaves_ns, joins_ns, devices=(1,)), devices=2, transport=transport)
    assert [statuses(outcome)[1] for outcome in played.outcomes] == [Status.UNREACHABLE, Status.DONE]
    assert [outcome.links[1].connected for outcome in played.outcomes] == [True, True]
    plain = star(ns3, [steps[0]], devices=2, transport=transport)
    assert played.outcomes[0].transfers[0] == plain.outcomes[0].transfers[0]


def test_who_is_away_for_two_reasons_is_back_when_both_have_ended(ns3):
    entries = away(100 * MS, 300 * MS), away(200 * MS, 400 * MS)
    played = star(ns3, [Step([], 50 * MS)] * 9, *entries)
    present = [outcome.links[0].connected for outcome in played.outcomes]
    assert present == [ns < 100 or ns >= 400 for ns in range(50, 500, 50)]


def radio(ns3: Call, scenario: str, steps: list[Step], *life: dict[str, object], **parameters: object) -> Played:
    near = {"lte": [40.0, 50.0, 60.0], "nr": [40.0, 50.0, 60.0], "wifi": [2.0, 3.0, 4.0]}[scenario]
    return ns3(play, steps, {"distances_m": near, "life": life, **parameters}, scenario)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("scenario", ["lte", "nr", "wifi"])
def test_by_radio_who_leaves_makes_room_and_may_come_back(ns3, scenario, transport):
    """A device leaves 10 ms into a transfer that takes several times as long, and a moment before a departure."""
    bulk, small = every(3, 400_000, 0), every(3, 10_000, 10 * MS)
    steps = [Step(bulk, 200 * MS), Step(small, 20 * MS), Step(small, 400 * MS)]
    plain = radio(ns3, scenario, steps, transport=transport)
    leaves_ns = plain.departed_ns[0] + 10 * MS
    alone = radio(ns3, scenario, [Step([bulk[1]], 200 * MS)], away(leaves_ns, devices=(1,)), transport=transport)
    assert alone.outcomes[0].now_ns == leaves_ns
    assert statuses(alone.outcomes[0]) == [Status.UNREACHABLE]

    life = {"kind": "absence", "devices": [1], "intervals_s": [[leaves_ns / NS_PER_S, leaves_ns / NS_PER_S + 0.35]]}
    played = radio(ns3, scenario, steps, life, transport=transport)
    assert [statuses(outcome)[1] for outcome in played.outcomes] == [
        Status.UNREACHABLE,
        Status.UNREACHABLE,
        Status.DONE,
    ]
    assert [outcome.links[1].connected for outcome in played.outcomes] == [False, False, True]
    for step in range(3):
        assert statuses(played.outcomes[step])[::2] == [Status.DONE] * 2
    ends, plain_ends = (p.outcomes[0].now_ns - p.departed_ns[0] for p in (played, plain))
    assert ends < 0.9 * plain_ends
    assert max(played.took_ns(2)) < 1.5 * max(plain.took_ns(1)) + 10 * MS


@pytest.mark.parametrize("scenario", ["lte", "nr", "wifi"])
def test_who_leaves_and_joins_before_a_departure_takes_part(ns3, scenario):
    steps = [Step(every(3, 10_000)), Step(every(3, 10_000), 300 * MS)]
    ended_ns = radio(ns3, scenario, steps).outcomes[0].now_ns
    played = radio(ns3, scenario, steps, away(ended_ns + 100 * MS, ended_ns + 200 * MS))
    assert statuses(played.outcomes[1]) == [Status.DONE] * 3


@pytest.mark.parametrize("scenario", ["lte", "nr", "wifi"])
def test_a_device_absent_from_the_start_attaches_nevertheless(ns3, scenario):
    opened_ns = radio(ns3, scenario, []).info.now_ns
    steps = [Step(every(3, 10_000), MS), Step(every(3, 10_000), 500 * MS)]
    played = radio(ns3, scenario, steps, away(0, opened_ns + 400 * MS, devices=(2,)))
    assert played.info.now_ns == opened_ns
    assert statuses(played.outcomes[0]) == [Status.DONE, Status.DONE, Status.UNREACHABLE]
    assert statuses(played.outcomes[1]) == [Status.DONE] * 3


PRESENT_S, ABSENT_S, SAMPLES = 3.0, 1.0, 2000
RANDOM = {"kind": "random-absence", "mean_present_s": PRESENT_S, "mean_absent_s": ABSENT_S}


def test_random_absences_have_the_means_asked_for(ns3):
    """A two-state Markov chain seen once a second: how often it is present, and how often it has changed."""
    played = star(ns3, [Step([], NS_PER_S)] * SAMPLES, RANDOM, devices=2)
    share = PRESENT_S / (PRESENT_S + ABSENT_S)
    kept = math.exp(-(1 / PRESENT_S + 1 / ABSENT_S))  # correlation of two samples
    seen = np.array([[link.connected for link in outcome.links] for outcome in played.outcomes])
    deviation = math.sqrt(share * (1 - share) * (1 + kept) / (1 - kept) / SAMPLES)
    assert seen.mean(axis=0) == pytest.approx(share, abs=4 * deviation)
    changes = 2 * share * (1 - share) * (1 - kept)
    assert (seen[1:] != seen[:-1]).mean(axis=0) == pytest.approx(changes, abs=4 * math.sqrt(changes / SAMPLES))
    assert (seen[:, 0] != seen[:, 1]).any()


def test_the_random_absences_of_one_device_are_the_same_whoever_else_has_some(ns3):
    several, single = (
        [outcome.links[2].connected for outcome in star(ns3, [Step([], NS_PER_S)] * 100, entry, devices=3).outcomes]
        for entry in (RANDOM, {**RANDOM, "devices": [2]})
    )
    assert several == single


@pytest.mark.parametrize("kind", ["random-absence", "random-outage"])
@pytest.mark.parametrize("scenario", ["lte", "nr", "wifi"])
def test_random_lives_repeat_and_draw_from_nobody_else(ns3, scenario, kind):
    """Two runs are equal, another seed differs; and while nothing has befallen yet, all is as without it."""
    words = ("present", "absent") if kind == "random-absence" else ("free", "cut")
    steps = [Step(every(2, 20_000), 20 * MS, 300 * MS)] * 8

    def lived(first_s: float, seed: int = 1) -> Played:
        entry = {"kind": kind, "devices": [1], f"mean_{words[0]}_s": first_s, f"mean_{words[1]}_s": 0.1}
        return ns3(play, steps, {"distances_m": [30.0, 40.0], "devices": 2, "life": [entry]}, scenario, seed)

    first = lived(0.2)
    assert first == lived(0.2)
    assert first.outcomes != lived(0.2, 2).outcomes
    plain = ns3(play, steps, {"distances_m": [30.0, 40.0], "devices": 2}, scenario)
    assert lived(1e8).outcomes == plain.outcomes != first.outcomes


@pytest.mark.parametrize(
    ("begin_ns", "until_ns", "status"),
    [
        (20 * MS, 25 * MS, Status.LOST),
        (DOWN_NS + 10 * MS, DOWN_NS + 40 * MS, Status.DONE),
        (UP_NS + 20 * MS, UP_NS + 25 * MS, Status.LOST),
    ],
    ids=["down", "compute", "up"],
)
def test_an_outage_of_a_cable_loses_what_comes_to_its_end_meanwhile(ns3, begin_ns, until_ns, status):
    cut = away(begin_ns, until_ns, kind="outage", devices=(0,))
    plain, played = (star(ns3, [Step(every(2), 0, NS_PER_S)], *life, devices=2) for life in ((), (cut,)))
    assert statuses(played.outcomes[0]) == [status, Status.DONE]
    assert played.outcomes[0].transfers[1] == plain.outcomes[0].transfers[1]
    if status is Status.DONE:
        assert played.outcomes == plain.outcomes
    tcp = star(ns3, [Step(every(2))], cut, devices=2, transport="tcp")
    undisturbed = star(ns3, [Step(every(2))], devices=2, transport="tcp")
    assert statuses(tcp.outcomes[0]) == [Status.DONE] * 2
    assert (tcp.took_ns(0)[0] > undisturbed.took_ns(0)[0]) == (status is Status.LOST)
    assert tcp.took_ns(0)[1] == undisturbed.took_ns(0)[1]


def test_an_outage_on_a_segment_is_of_one_station(ns3):
    """It is cut off in the uplink: its frames occupy the segment as before, and reach nobody."""
    parameters = {"devices": 3, "kind": "csma", "rate_bps": 10**7}
    steps = [Step(every(3, 20_000, 500 * MS), 0, 3 * NS_PER_S)]
    plain = ns3(play, steps, parameters, "wired")
    cut = away(400 * MS, 600 * MS, kind="outage", devices=(1,))
    played = ns3(play, steps, {**parameters, "life": [cut]}, "wired")
    assert statuses(plain.outcomes[0]) == [Status.DONE] * 3
    assert statuses(played.outcomes[0]) == [Status.DONE, Status.LOST, Status.DONE]
    assert played.outcomes[0].transfers[::2] == plain.outcomes[0].transfers[::2]


def test_an_outage_keeps_what_a_scenario_drops_by_itself(ns3):
    step = Step([Transfer(0, 7 * 1472, 0, 100)], 0, NS_PER_S)
    later = away(10 * NS_PER_S, kind="outage")
    assert statuses(star(ns3, [step], later, drop=[3]).outcomes[0]) == [Status.LOST]
    assert statuses(star(ns3, [step], later).outcomes[0]) == [Status.DONE]


@pytest.mark.parametrize("lasts_ms", [40, 500])
def test_lte_goes_on_after_an_outage_where_it_stopped(ns3, lasts_ms):
    """RLC AM sends again what was lost. Meanwhile the others have the band, which is its own when they are done.

    An evaluation period of 200 ms later the BS knows (TS 36.133).
    """
    steps = [Step(every(3, 300_000, 0), 200 * MS), Step(every(3, 10_000), 200 * MS)]
    plain = radio(ns3, "lte", steps)
    begin_ns = plain.departed_ns[0] + 20 * MS
    until_ns = begin_ns + lasts_ms * MS
    cut = away(begin_ns, until_ns, kind="outage", devices=(1,))
    played = radio(ns3, "lte", steps, cut)
    assert [statuses(outcome) for outcome in played.outcomes] == [[Status.DONE] * 3] * 2
    assert played.outcomes[0].transfers[1].uplink_end_ns > until_ns
    assert played.took_ns(0)[1] > plain.took_ns(0)[1]
    for other in (0, 2):
        assert played.took_ns(0)[other] < 1.05 * plain.took_ns(0)[other]
    within = Step(steps[0].transfers, 200 * MS, (20 + lasts_ms) * MS - 1)
    (outcome,) = radio(ns3, "lte", [within], cut).outcomes
    assert statuses(outcome)[1] is (Status.LATE if lasts_ms < 200 else Status.UNREACHABLE)
    assert outcome.links[1].connected is (lasts_ms < 200)


def test_lte_comes_back_from_an_outage_that_was_a_radio_link_failure(ns3):
    """It lasts longer than six times out of sync, 200 ms each, and ns-3's T310 of a second; nobody else notices."""
    steps = [Step(every(3, 100_000, 0), 200 * MS, NS_PER_S), *[Step(every(3, 10_000), NS_PER_S)] * 4]
    plain = radio(ns3, "lte", steps)
    begin_ns = plain.departed_ns[0] + 5 * MS
    played = radio(ns3, "lte", steps, away(begin_ns, begin_ns + 4 * NS_PER_S, kind="outage", devices=(1,)))
    assert [statuses(outcome)[1] for outcome in played.outcomes] == [Status.UNREACHABLE] * 4 + [Status.DONE]
    for outcome in played.outcomes:
        assert statuses(outcome)[::2] == [Status.DONE] * 2
    for other in (0, 2):
        assert played.took_ns(4)[other] < 1.05 * plain.took_ns(4)[other] + 5 * MS


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_wifi_stations_that_are_cut_off_do_not_starve_the_others(ns3, transport):
    """The access point gives up on frames that nobody acknowledges; a second later the station has noticed, too."""
    bulk, small = every(3, 400_000, 0), every(3, 10_000)
    steps = [Step(bulk, 200 * MS, NS_PER_S), *[Step(small, 400 * MS, NS_PER_S)] * 5]
    plain = radio(ns3, "wifi", steps, transport=transport)
    begin_ns = plain.departed_ns[0] + 5 * MS
    cut = away(begin_ns, begin_ns + 3 * NS_PER_S, kind="outage", devices=(1,))
    played = radio(ns3, "wifi", steps, cut, transport=transport)
    for step, outcome in enumerate(played.outcomes):
        assert statuses(outcome)[::2] == [Status.DONE] * 2
        others_ns = [played.took_ns(step)[other] for other in (0, 2)]
        assert max(others_ns) < max(plain.took_ns(step)) + (500 * MS if step < 2 else 10 * MS)
    assert statuses(played.outcomes[0])[1] is not Status.DONE
    assert not played.outcomes[2].links[1].connected
    assert played.departed_ns[-1] > begin_ns + 3 * NS_PER_S
    assert statuses(played.outcomes[-1]) == [Status.DONE] * 3


IDLE_W, RECEIVING_W, COMPUTING_W, TRANSMITTING_W = 0.5, 1.25, 7.0, 2.5
POWERS = {
    "idle_w": IDLE_W,
    "receiving_w": RECEIVING_W,
    "computing_w": COMPUTING_W,
    "transmitting_w": TRANSMITTING_W,
}


def empty_ns(capacity_j: str, phases: list[tuple[float, int]]) -> int:
    """When it is empty, by exact arithmetic over (W, ns), the last phase without an end."""
    left = Fraction(capacity_j) * NS_PER_S
    now_ns = 0
    for power_w, lasts_ns in phases:
        if left <= Fraction(power_w) * lasts_ns:
            break
        left -= Fraction(power_w) * lasts_ns
        now_ns += lasts_ns
    return round(now_ns + left / Fraction(power_w))


AIR_NS = airtime_ns(BLOCK_BYTES)
EXCHANGE = [(RECEIVING_W, AIR_NS), (COMPUTING_W, 50 * MS), (TRANSMITTING_W, AIR_NS), (IDLE_W, 30 * MS)]
LASTING = 10 * NS_PER_S  # longer than any battery here


@pytest.mark.parametrize(
    "capacity_j",
    ["0.1", "0.3", "0.5", "0.7", "0.74", "0.9", "1.3"],  # ends in each of the phases
)
def test_a_battery_is_empty_at_the_instant_that_arithmetic_gives(ns3, capacity_j):
    battery = {"kind": "battery", "capacity_j": float(capacity_j), **POWERS}
    steps = [Step(every(1)), Step(every(1), 30 * MS), Step([], 30 * MS), Step([], LASTING)]
    played = star(ns3, steps, battery)
    instant_ns = empty_ns(capacity_j, [*EXCHANGE, *EXCHANGE, (IDLE_W, LASTING)])
    for departed_ns, outcome in zip(played.departed_ns, played.outcomes, strict=True):
        assert outcome.links[0].connected == (outcome.now_ns < instant_ns - 1)
        if outcome.transfers and departed_ns < instant_ns < departed_ns + END_NS:
            assert abs(outcome.now_ns - instant_ns) <= 1
            assert statuses(outcome) == [Status.UNREACHABLE]
    assert not played.outcomes[-1].links[0].connected


def test_who_is_absent_draws_nothing_and_a_cancelled_transfer_ends_its_phase(ns3):
    """0.1 s idle, 0.4 s away; the next exchange is cut while it computes, and idle power drains the rest."""
    battery = {"kind": "battery", "capacity_j": 0.5, **POWERS}
    cut_ns = AIR_NS + 20 * MS
    steps = [Step(every(1), 600 * MS, cut_ns), *[Step([], 10 * MS)] * 60]
    played = star(ns3, steps, away(100 * MS, 500 * MS), battery)
    idle_ns = 200 * MS
    left_ns = empty_ns("0.5", [(IDLE_W, idle_ns), (RECEIVING_W, AIR_NS), (COMPUTING_W, 20 * MS), (IDLE_W, LASTING)])
    instant_ns = 400 * MS + left_ns
    assert statuses(played.outcomes[0]) == [Status.LATE]
    assert instant_ns > played.outcomes[0].now_ns
    for outcome in played.outcomes:
        assert outcome.links[0].connected == (outcome.now_ns < instant_ns)
    assert not played.outcomes[-1].links[0].connected


HEAT = {"kind": "heat", "warming_s": 20.0, "cooling_s": 50.0, "threshold": 0.4, "slowest": 0.3}


def integrated(works_s: list[float], gaps_s: list[float], step_s: float = 1e-3) -> list[float]:
    """How long each computation takes, the gap before each given, by fine steps of the two differential equations."""
    warmth, took = 0.0, []
    for work_s, gap_s in zip(works_s, gaps_s, strict=True):
        warmth *= math.exp(-gap_s / HEAT["cooling_s"])
        times_s = np.arange(0, 4 * work_s, step_s)
        warm = 1 - (1 - warmth) * np.exp(-times_s / HEAT["warming_s"])
        excess = np.maximum(0, warm - HEAT["threshold"]) / (1 - HEAT["threshold"])
        speed = 1 - (1 - HEAT["slowest"]) * excess
        done = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2 * step_s)])
        took.append(float(np.interp(work_s, done, times_s)))
        warmth = 1 - (1 - warmth) * math.exp(-took[-1] / HEAT["warming_s"])
    return took


def test_heat_stretches_computing_as_its_equations_say(ns3):
    """Cold, warm and hot; below, across and above the threshold; after pauses that cool."""
    works_s, gaps_s = [2.0, 20.0, 0.5, 60.0, 1.0, 3.0, 8.0], [0.0, 1.0, 0.2, 0.0, 5.0, 100.0, 0.0]
    steps = [
        Step([Transfer(0, 1, round(work_s * NS_PER_S), 1)], round(gap_s * NS_PER_S), 1000 * NS_PER_S)
        for work_s, gap_s in zip(works_s, gaps_s, strict=True)
    ]
    played = star(ns3, steps, HEAT)
    came = [outcome.transfers[0] for outcome in played.outcomes]
    took_s = [(c.compute_end_ns - c.downlink_end_ns) / NS_PER_S for c in came]
    ends = [0, *(c.compute_end_ns for c in came)]
    idle_s = [(c.downlink_end_ns - end) / NS_PER_S for c, end in zip(came, ends, strict=False)]
    assert took_s == pytest.approx(integrated(works_s, idle_s), rel=1e-6)
    assert took_s[0] == 2.0  # it takes 20 s · ln(1 / 0.6) = 10.2 s to reach the threshold
    assert 1.9 < took_s[3] / works_s[3] < 1 / HEAT["slowest"]


def test_what_computes_for_months_does_so_at_the_slowest_speed(ns3):
    """But for what it gained before it was hot: the integral of speed - slowest, in closed form."""
    work_s, slowest, warming_s = 5e6, HEAT["slowest"], HEAT["warming_s"]
    full_s = warming_s * math.log(1 / (1 - HEAT["threshold"]))
    took_s = full_s + (work_s - full_s - (1 - slowest) * warming_s) / slowest
    (outcome,) = star(ns3, [Step([Transfer(0, 1, round(work_s * NS_PER_S), 1)], 0, 10**17)], HEAT).outcomes
    came = outcome.transfers[0]
    assert (came.compute_end_ns - came.downlink_end_ns) / NS_PER_S == pytest.approx(took_s, rel=1e-12)


def test_a_computation_that_is_cut_short_has_warmed_for_as_long_as_it_ran(ns3):
    cut_ns = 30 * NS_PER_S
    long, short = Transfer(0, 1, 100 * NS_PER_S, 1), Transfer(0, 1, NS_PER_S, 1)
    cut = star(ns3, [Step([long], 0, cut_ns), Step([short])], HEAT).outcomes[1].transfers[0]
    warmth = 1 - math.exp(-(cut_ns - airtime_ns(1)) / NS_PER_S / HEAT["warming_s"])
    speed = 1 - (1 - HEAT["slowest"]) * (warmth - HEAT["threshold"]) / (1 - HEAT["threshold"])
    slower = (cut.compute_end_ns - cut.downlink_end_ns) / NS_PER_S
    assert 1 / speed < slower < 1.05 / speed  # and it grows hotter meanwhile


def test_many_lives_at_once_twice_the_same(ns3):
    life = [RANDOM, {"kind": "random-outage", "mean_free_s": 1.0, "mean_cut_s": 0.05}, HEAT]
    steps = [Step(every(3, 10_000, 2 * NS_PER_S), 10 * MS, 5 * NS_PER_S)] * 20
    first = star(ns3, steps, *life, devices=3)
    assert first == star(ns3, steps, *life, devices=3)
    assert {status for outcome in first.outcomes for status in statuses(outcome)} >= {Status.DONE, Status.UNREACHABLE}


class Mute(Lte, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LTE of somebody whose radio does not say on which channels it sends."""

    name = "mute"

    def build(self, ns):
        return replace(super().build(ns), radio=None)


def refused(life: list[dict[str, object]], scenario: str) -> tuple[str, str]:
    SCENARIOS[Mute.name] = Mute
    with pytest.raises(RequestError) as refusal:
        open_network(scenario, {"devices": 2, "life": life}, 1)
    open_network("wired", {}, 1).close()
    return refusal.value.field, refusal.value.reason


BATTERY = {"kind": "battery", "capacity_j": 1.0, **POWERS}


@pytest.mark.parametrize(
    ("life", "field", "words"),
    [
        ([RANDOM, {**RANDOM, "devices": [2]}], "radio.life[1].devices", "2 is none of the 2 devices"),
        ([away(5, 5)], "radio.life[0].intervals_s[0]", "5e-09 s is not after 5e-09 s"),
        ([{**BATTERY, "devices": [1]}, BATTERY], "radio.life[1].devices", "a second battery for device1"),
        ([{**HEAT, "devices": [0, 0]}], "radio.life[0].devices", "a second heat for device0"),
    ],
)
def test_what_makes_no_sense_of_the_devices_is_refused_by_name(ns3, life, field, words):
    assert ns3(refused, life, "wired") == (field, words)


def test_a_radio_that_cannot_be_cut_off_is_refused_by_name(ns3):
    field, reason = ns3(refused, [away(5, kind="outage", devices=(1,))], "mute")
    assert (field, reason) == ("radio.life[0].kind", "ue1 has no channel that can be cut off")


@pytest.mark.parametrize(
    ("life", "field"),
    [
        ([{"kind": "sleep"}], "radio.life[0].kind"),
        ([{"kind": "absence"}], "radio.life[0].intervals_s"),
        ([{"kind": "absence", "intervals_s": []}], "radio.life[0].intervals_s"),
        ([{"kind": "absence", "intervals_s": [[1, 2, 3]]}], "radio.life[0].intervals_s[0]"),
        ([{"kind": "absence", "intervals_s": [[-1]]}], "radio.life[0].intervals_s[0][0]"),
        ([{"kind": "absence", "intervals_s": [[math.nan]]}], "radio.life[0].intervals_s"),
        ([{**RANDOM, "mean_absent_s": 0}], "radio.life[0].mean_absent_s"),
        ([{**RANDOM, "devices": [-1]}], "radio.life[0].devices[0]"),
        ([{**BATTERY, "idle_w": -1}], "radio.life[0].idle_w"),
        ([{**BATTERY, "capacity_j": math.inf}], "radio.life[0].capacity_j"),
        ([{**HEAT, "threshold": 1}], "radio.life[0].threshold"),
        ([{**HEAT, "slowest": 0}], "radio.life[0].slowest"),
        ([{**HEAT, "speed": 1}], "radio.life[0].speed"),
    ],
)
def test_bad_figures_are_refused_by_name(life, field):
    with pytest.raises(RequestError) as refusal:
        Wired.parse({"life": life})
    assert refusal.value.field == field


def test_the_filled_in_parameters_give_the_same_scenario():
    scenario = Wired.parse({"life": [RANDOM, BATTERY, HEAT, away(1, 2), away(3, kind="outage")]})
    assert Wired.parse(to_builtins(scenario)) == scenario


def test_every_entry_in_the_documentation_is_understood():
    text = (ROOT / "docs/world/life.md").read_text(encoding="utf-8")
    (listing,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    scenario = Wired.parse(tomllib.loads(listing)["radio"])
    assert [type(entry) for entry in scenario.life] == list(get_args(Life))


def test_a_run_over_a_device_that_leaves_and_comes_back(tiny_model, tmp_path):
    """The journal says so: of the transfers asked of it, those fail that meet its absence."""
    (tmp_path / "text.txt").write_text(
        "Happy families are all alike; every unhappy family is unhappy in its own way. " * 20
    )
    settings = {
        "model.path": tiny_model,
        "workload.text": tmp_path / "text.txt",
        "workload.requests": 1,
        "workload.prompt_tokens": 4,
        "workload.new_tokens": 6,
        "quality": "false",
        "scenario.devices": 4,
        "scenario.delay_s": 0.05,
        "scenario.life": '[{kind="absence", devices=[3], intervals_s=[[0.25, 1.0]]}]',
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = cosim("run", "--scenario", "wired", "--out", tmp_path / "run", *words)
    assert (done.returncode, done.stderr) == (0, "")
    journal = Journal.open(tmp_path / "run")
    asked = journal.rows(
        "SELECT device, status, depart_ns, end_ns, uplink_end_ns"
        " FROM transfers JOIN exchanges USING (variant, exchange) ORDER BY exchange"
    )
    journal.close()
    for device, status, depart_ns, end_ns, uplink_end_ns in asked:
        if status == Status.DONE:
            assert device != 3 or depart_ns >= NS_PER_S or uplink_end_ns < 250 * MS
        else:
            assert (device, status) == (3, Status.UNREACHABLE)
            assert depart_ns < NS_PER_S
            assert end_ns >= 250 * MS
    of_it = [status for device, status, *_ in asked if device == 3]
    assert of_it[0] == of_it[-1] == Status.DONE
    assert Status.UNREACHABLE in of_it
