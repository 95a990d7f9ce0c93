# SPDX-License-Identifier: GPL-2.0-only
"""NR's handovers: at the instant of hand calculation, without loss, and what happens where they fail."""

import math
from collections.abc import Sequence

import pytest

from bench import ping_pong
from bridge.network import NS_PER_S, Status, Transfer, Wait
from ns3_scenarios.scenarios.nr_interruption import Interruption
from ns3_scenarios.scenarios.nr_multicell import NrMulticell
from tests.support.nr_cells import Move, moved
from tests.support.ns3_worker import Call, Played, Step

MS = 1_000_000
SITE_M, EXPONENT, SPEED_MPS, BEGIN_M = 300.0, 3.0, 20.0, 130.0
TURN = math.pi / 6  # from x to where the second site lies
HEIGHT_DIFFERENCE_M = 8.5  # 10 m of the gNB, 1.5 m of the device
PERIOD_MS = 200  # of measurements, TS 38.133 table 9.2.5.2-1
BURST_MS = 20
FILTER = 1 / 2 ** (4 / 4)  # TS 38.331 clause 5.5.3.2, filterCoefficient fc4
PREPARATION_S, INTERRUPTION_S = 0.02, 0.05
REPORT_MS = 10  # between two reports of the channel, 20 slots of 0.5 ms
OUT_OF_SYNC_MS = 200


def along(x_m: float) -> list[float]:
    """A place so far from the first site towards the second."""
    return [x_m * math.cos(TURN), x_m * math.sin(TURN), 1.5]


def drive(speed_mps: float = SPEED_MPS, begin_m: float = BEGIN_M, **parameters: object) -> dict[str, object]:
    """One device, driving from the first gNB to the second; nobody else."""
    velocity = [speed_mps * math.cos(TURN), speed_mps * math.sin(TURN), 0.0]
    movement = {"kind": "constant-velocity", "velocities_mps": [velocity]}
    place = {"positions_m": [along(begin_m)], "movement": movement, "inter_site_distance_m": SITE_M}
    radio = {"bandwidth_mhz": 20, "path_loss": "log-distance", "path_loss_exponent": EXPONENT}
    return {**radio, **place, **parameters}


def reported_s(hysteresis_db: float = 3.0, time_to_trigger_s: float = 0.256) -> float:
    """When event A3 is reported, by hand: path loss, mean of a measurement's bursts, filter, hysteresis, timer."""
    filtered_db: list[float] | None = None
    since_s: float | None = None
    for measurement in range(1, 200):
        now_s = measurement * PERIOD_MS / 1000
        if since_s is not None and now_s > since_s + time_to_trigger_s:
            return since_s + time_to_trigger_s
        measured_db = []
        for site_m in (0.0, SITE_M):
            times_s = [now_s - burst * BURST_MS / 1000 for burst in range(PERIOD_MS // BURST_MS)]
            ways_m = [math.hypot(BEGIN_M + SPEED_MPS * time_s - site_m, HEIGHT_DIFFERENCE_M) for time_s in times_s]
            measured_db.append(10 * math.log10(sum(way_m**-EXPONENT for way_m in ways_m) / len(ways_m)))
        old_db = filtered_db or measured_db
        filtered_db = [FILTER * new + (1 - FILTER) * old for new, old in zip(measured_db, old_db, strict=True)]
        holds = filtered_db[1] - hysteresis_db > filtered_db[0]
        since_s = None if not holds else now_s if since_s is None else since_s
    raise AssertionError("never")


def ns(time_s: float) -> int:
    return round(time_s * NS_PER_S)


def idle(until_ns: int) -> Step:
    """To this virtual time at least; networks begin after 0.5 s at most."""
    return Step([], 0, until_ns, Wait.DEADLINE)


def went(ns3: Call, steps: Sequence[Step], **parameters: object) -> tuple[Played, list[Move]]:
    return ns3(moved, steps, parameters)


def statuses(played: Played, step: int) -> list[Status]:
    return [came.status for came in played.outcomes[step].transfers]


@pytest.mark.parametrize(("hysteresis_db", "time_to_trigger_s"), [(3.0, 0.256), (1.0, 0.0), (6.0, 0.64)])
def test_a_handover_has_the_instants_of_hand_calculation(ns3, hysteresis_db, time_to_trigger_s):
    """To the nanosecond, and once; the journal has the other cell from then on."""
    asked_ns = ns(reported_s(hysteresis_db, time_to_trigger_s))
    left_ns = asked_ns + ns(PREPARATION_S)
    came_ns = left_ns + ns(INTERRUPTION_S)
    parameters = drive(hysteresis_db=hysteresis_db, time_to_trigger_s=time_to_trigger_s)
    ready_ns = went(ns3, [], **parameters)[0].info.now_ns
    steps = [idle(came_ns - ready_ns - 1), idle(2), idle(3 * NS_PER_S)]
    played, moves = went(ns3, steps, **parameters)
    wanted = [("reported", asked_ns), ("commanded", left_ns), ("arrived", came_ns)]
    assert [(move.kind, move.time_ns) for move in moves] == wanted
    assert {(move.device, move.cell, move.other) for move in moves} == {(0, 0, 1)}
    assert [outcome.links[0].cell for outcome in played.outcomes] == [1, 2, 2]
    assert all(outcome.links[0].connected for outcome in played.outcomes)


@pytest.mark.parametrize("core_delay_s", [0.0, 0.03])
@pytest.mark.parametrize(
    ("rlc", "transport"),
    [({}, "udp"), ({}, "tcp"), ({"rlc": "um"}, "tcp"), ({"arq": {}}, "udp")],
    ids=["am-udp", "am-tcp", "um-tcp", "reported-udp"],
)
@pytest.mark.parametrize("size", [(8_000_000, 1000), (1000, 2_000_000)], ids=["downlink", "uplink"])
def test_a_transfer_under_way_survives(ns3, rlc, transport, size, core_delay_s):
    """It departs in the first cell, shortly before it is left, and ends in the second."""
    parameters = drive(transport=transport, core_delay_s=core_delay_s) | rlc
    left_ns = ns(reported_s() + PREPARATION_S)
    ready_ns = went(ns3, [], **parameters)[0].info.now_ns
    steps = [Step([], left_ns - 150 * MS - ready_ns), Step([Transfer(0, size[0], 0, size[1])], 0, 20 * NS_PER_S)]
    played, moves = went(ns3, steps, **parameters)
    assert [outcome.links[0].cell for outcome in played.outcomes] == [1, 2]
    assert moves[-1].time_ns < played.outcomes[1].now_ns
    assert statuses(played, 1) == [Status.DONE]


def test_a_transfer_that_departs_in_the_middle_of_a_handover_is_done(ns3):
    """With UDP, at every stage of it."""
    ready_ns = went(ns3, [], **drive())[0].info.now_ns
    for at_ms in range(-15, 90, 15):
        gap_ns = ns(reported_s()) + at_ms * MS - ready_ns
        played, _ = went(ns3, [Step([Transfer(0, 200_000, 0, 100_000)], gap_ns, NS_PER_S)], **drive())
        assert statuses(played, 0) == [Status.DONE]
        assert played.outcomes[0].links[0].cell == 2 or at_ms < 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_cancel_in_the_middle_of_a_handover_leaves_nothing_behind(ns3, transport):
    """What was cut, 6 MB, would hold the band for a second."""
    parameters = drive(transport=transport)
    left_ns = ns(reported_s() + PREPARATION_S)
    gap_ns = left_ns - 100 * MS - went(ns3, [], **parameters)[0].info.now_ns
    after = Step([Transfer(0, 20_000, 0, 20_000)], 100 * MS, 4 * NS_PER_S)
    for at_ms in (-1, 1, 25, 49, 51):
        limit_ns = (100 + at_ms) * MS + 300_000
        quiet, _ = went(ns3, [Step([], gap_ns, limit_ns, Wait.DEADLINE), after], **parameters)
        for size in ((6_000_000, 1), (1, 6_000_000)):
            cut, _ = went(ns3, [Step([Transfer(0, size[0], 0, size[1])], gap_ns, limit_ns), after], **parameters)
            assert statuses(cut, 0) == [Status.LATE]
            assert statuses(cut, 1) == statuses(quiet, 1) == [Status.DONE]
            assert cut.took_ns(1)[0] < quiet.took_ns(1)[0] + 60 * MS


def test_what_rlc_um_had_in_the_air_is_lost_with_udp_and_told(ns3):
    parameters = drive(rlc="um")
    gap_ns = ns(reported_s() + PREPARATION_S) - 150 * MS - went(ns3, [], **parameters)[0].info.now_ns
    played, _ = went(ns3, [Step([Transfer(0, 8_000_000, 0, 1)], gap_ns, 3 * NS_PER_S)], **parameters)
    assert statuses(played, 0) == [Status.LOST]


def test_a_cell_that_is_full_refuses_and_the_device_stays_and_asks_again(ns3):
    """A device stands in the second cell, which has room for one."""
    parameters = drive(most_devices_per_cell=1)
    movement = parameters["movement"]["velocities_mps"] + [[0.0, 0.0, 0.0]]
    parameters |= {"positions_m": [along(BEGIN_M), along(SITE_M - 20)]}
    parameters |= {"movement": {"kind": "constant-velocity", "velocities_mps": movement}}
    asked_ns = ns(reported_s())
    played, moves = went(ns3, [idle(asked_ns + NS_PER_S)], **parameters)
    first, second, *_ = moves
    assert (first.kind, first.time_ns) == ("reported", asked_ns)
    assert (second.kind, second.time_ns, second.other) == ("refused", asked_ns + ns(PREPARATION_S), 1)
    assert {move.kind for move in moves} == {"reported", "refused"}
    assert len(moves) > 2
    assert [(link.cell, link.connected) for link in played.outcomes[0].links] == [(1, True), (2, True)]


def test_an_interruption_is_the_sum_of_its_parts_and_within_the_specification():
    """TS 38.133 annex A.14.2.1.1.3: to the preamble 62 ms at most, in a known cell of FR1 with SSBs every 20 ms."""
    most_ms = {"search": 0, "processing": 20, "tracking": 20, "occasion": 20}
    parts = Interruption()
    assert all(getattr(parts, name) <= most for name, most in most_ms.items())
    assert parts.to_preamble <= sum(most_ms.values()) + 2
    assert sum(parts) == parts.total == 1000 * NrMulticell.parse({}).interruption_s == 1000 * INTERRUPTION_S


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_link_fails_by_interference(ns3, is_busy):
    """The device jumps to where another cell is 9 dB stronger, less than event A3 asks for: only while that cell sends
    all the time is its own out of range, until it has failed, and the device finds the other.
    """
    away_m = 346.0  # along x: twice as far from the first site as from the second
    alone = {"gnb_antennas": [1, 1], "polarizations": 1, "layers": 1}
    parameters = drive(hysteresis_db=15.0, t310_s=0.2, way=[(0.6, away_m)], **alone)
    parameters |= {"positions_m": [along(20.0), along(SITE_M - 30)]}
    parameters |= {"movement": {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * 2}}
    asked = [Transfer(1, 60_000_000, 0, 1)] if is_busy else []
    played, moves = went(ns3, [Step(asked, 0, 1500 * MS, Wait.DEADLINE)], **parameters)
    wanted = [("failed", 0, 0), ("reestablished", 0, 1)] if is_busy else []
    assert [(move.kind, move.device, move.other) for move in moves] == wanted
    assert [link.cell for link in played.outcomes[0].links] == [2 if is_busy else 1, 2]
    assert all(link.connected for link in played.outcomes[0].links)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_is_absent_during_a_handover_comes_back_in_the_other_cell(ns3, transport):
    """It leaves in the middle of a transfer, 50 ms before its cell sends it away; who stays does not notice."""
    left_ns = ns(reported_s() + PREPARATION_S)
    absent_s = [left_ns / NS_PER_S - 0.05, left_ns / NS_PER_S + 0.2]
    parameters = drive(transport=transport, life=[{"kind": "absence", "devices": [0], "intervals_s": [absent_s]}])
    parameters |= {"positions_m": [along(BEGIN_M), along(20.0)]}
    velocities = [*parameters["movement"]["velocities_mps"], [0.0, 0.0, 0.0]]
    parameters["movement"] = {"kind": "constant-velocity", "velocities_mps": velocities}
    gap_ns = left_ns - 150 * MS - went(ns3, [], **parameters)[0].info.now_ns
    asked = [Transfer(0, 8_000_000, 0, 1000), Transfer(1, 20_000, 0, 20_000)]
    again = [Transfer(device, 20_000, 0, 20_000) for device in range(2)]
    played, moves = went(ns3, [Step(asked, gap_ns), Step(again, 400 * MS, NS_PER_S)], **parameters)
    assert [move.kind for move in moves] == ["reported", "commanded", "arrived"]
    assert statuses(played, 0) == [Status.UNREACHABLE, Status.DONE]
    assert statuses(played, 1) == [Status.DONE, Status.DONE]
    assert [(link.cell, link.connected) for link in played.outcomes[1].links] == [(2, True), (1, True)]


def test_ping_pongs_are_counted_and_rarer_with_a_long_time_to_trigger(ns3):
    """Of devices that drive at 10 m/s through shadowing that changes every 10 to 13 m."""
    assert ping_pong.count([1, 1, 2, 1, 1, 3] + [3] * 20 + [1]) == (4, 1)
    short, long = (ns3(ping_pong.drive, 10.0, time_to_trigger_s, 1, 12, 0.0) for time_to_trigger_s in (0.0, 0.64))
    assert short.ping_pongs > 2 * long.ping_pongs
    assert short.handovers > long.handovers > 0


def failed_ms(last_in_range_ms: int, t310_ms: int = 1000) -> int:
    """By hand: out of sync at the first report more than 200 ms after the last in range, and failed T310 later."""
    return last_in_range_ms + OUT_OF_SYNC_MS + REPORT_MS + t310_ms


@pytest.mark.parametrize(("t310_s", "transport"), [(1.0, "udp"), (0.2, "tcp")])
def test_a_link_that_fails_comes_back_in_the_strongest_cell(ns3, t310_s, transport):
    """The device jumps out of coverage and comes back near the second gNB; the other one does not notice."""
    away_ms, back_ms = 605, 4000
    back_m = SITE_M * math.cos(TURN)
    parameters = drive(way=[(away_ms / 1000, 1e6), (back_ms / 1000, back_m)], t310_s=t310_s, transport=transport)
    parameters |= {"positions_m": [along(40.0), along(50.0)]}
    parameters |= {"movement": {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * 2}}
    asked = [Transfer(device, 20_000, 0, 20_000) for device in range(2)]
    ready_ms = went(ns3, [], **parameters)[0].info.now_ns // MS
    steps = [Step(asked, 0, 90 * MS), Step(asked, (2500 - ready_ms) * MS, 400 * MS), Step([], 3 * NS_PER_S)]
    played, moves = went(ns3, [*steps, Step(asked, 0, 2 * NS_PER_S)], **parameters)
    out_ms = failed_ms(600, round(t310_s * 1000))
    tries_ms = range(out_ms + 200, 10_000, 200)
    in_ms = next(try_ms for try_ms in tries_ms if try_ms >= back_ms)
    wanted = [("failed", out_ms * MS, 0), ("reestablished", in_ms * MS, 1)]
    assert [(move.kind, move.time_ns, move.other) for move in moves] == wanted
    assert statuses(played, 0) == statuses(played, 3) == [Status.DONE] * 2
    assert statuses(played, 1) == [Status.UNREACHABLE, Status.DONE]
    assert [link.cell for link in played.outcomes[3].links] == [2, 1]


@pytest.mark.parametrize(("away_ms", "kinds"), [(5, ["reported"]), (45, ["reported", "commanded"])])
def test_a_link_that_fails_in_the_middle_of_a_handover(ns3, away_ms, kinds):
    """Out of coverage 5 ms after the report, a command that comes 295 ms later is lost; 45 ms after it, on its way, the
    device finds nothing. Either way it finds a cell when it is back, and what was under way is done.
    """
    asked_ms = round(reported_s() * 1000)
    preparation_s = 0.3 if away_ms == 5 else PREPARATION_S
    way = [((asked_ms + away_ms) / 1000, 1e6), ((asked_ms + 2000) / 1000, SITE_M * math.cos(TURN))]
    parameters = drive(way=way, preparation_s=preparation_s)
    gap_ns = (asked_ms - 100) * MS - went(ns3, [], **parameters)[0].info.now_ns
    played, moves = went(ns3, [Step([Transfer(0, 4_000_000, 0, 100_000)], gap_ns, 20 * NS_PER_S)], **parameters)
    assert [move.kind for move in moves] == [*kinds, "failed", "reestablished"]
    assert statuses(played, 0) == [Status.DONE]
    if away_ms == 45:
        assert moves[2].time_ns == moves[1].time_ns + ns(INTERRUPTION_S)
