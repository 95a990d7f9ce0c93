# SPDX-License-Identifier: GPL-2.0-only
"""Several LTE cells: where a device is handed over, that nothing is lost then, and life out of coverage."""

import math
from collections.abc import Sequence

import pytest

from bridge.network import NS_PER_S, RequestError, Status, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.scenarios.lte_multicell import LteMulticell
from tests.support.leaving import move_at
from tests.support.ns3_worker import Call, Played, Step, play

MS = 1_000_000
SITE_M, EXPONENT, SPEED_MPS, BEGIN_M = 300.0, 3.0, 20.0, 130.0
HEIGHT_DIFFERENCE_M = 8.5  # 10 m of the BS, 1.5 m of the device
PERIOD_S = 0.2  # of the measurements of RSRP, TS 36.133 clause 8.1.2.2.1.1
FILTER = 1 / 2 ** (4 / 4)  # TS 36.331 clause 5.5.3.2, with its default coefficient fc4


def drive(**parameters: object) -> dict[str, object]:
    """One device, driving from the first BS to the second."""
    movement = {"kind": "constant-velocity", "velocities_mps": [[SPEED_MPS, 0.0, 0.0]]}
    place = {"positions_m": [[BEGIN_M, 0.0, 1.5]], "movement": movement, "inter_site_distance_m": SITE_M}
    return {"path_loss": "log-distance", "path_loss_exponent": EXPONENT, **place, **parameters}


def multicell(ns3: Call, steps: Sequence[Step], seed: int = 1, **parameters: object) -> Played:
    return ns3(play, steps, parameters, "lte-multicell", seed)


def statuses(played: Played, step: int) -> list[Status]:
    return [came.status for came in played.outcomes[step].transfers]


def handover_s(hysteresis_db: float = 3.0, time_to_trigger_s: float = 0.256) -> float:
    """When event A3 is reported, by hand: path loss, mean over a measurement's period, filter, hysteresis, timer."""
    filtered_db = None
    for measurement in range(1, 100):
        x_m = BEGIN_M + SPEED_MPS * (measurement - 0.5) * PERIOD_S
        to_m = [math.hypot(x_m - site_m, HEIGHT_DIFFERENCE_M) for site_m in (0.0, SITE_M)]
        better_db = 10 * EXPONENT * math.log10(to_m[0] / to_m[1])
        filtered_db = better_db if filtered_db is None else FILTER * better_db + (1 - FILTER) * filtered_db
        if filtered_db > hysteresis_db:
            return measurement * PERIOD_S + time_to_trigger_s
    raise AssertionError("never")


@pytest.mark.parametrize(("hysteresis_db", "time_to_trigger_s"), [(3.0, 0.256), (1.0, 0.0), (6.0, 0.64)])
def test_the_handover_happens_when_event_a3_says_and_once(ns3, hysteresis_db, time_to_trigger_s):
    """Within 20 ms, which the steps of this test and random access in the new cell take."""
    parameters = drive(hysteresis_db=hysteresis_db, time_to_trigger_s=time_to_trigger_s)
    steps = [Step([], 0, 5 * MS, Wait.DEADLINE)] * 1000
    played = multicell(ns3, steps, **parameters)
    cells = [outcome.links[0].cell for outcome in played.outcomes]
    changes = [step for step in range(1, len(cells)) if cells[step] != cells[step - 1]]
    assert [cells[0], cells[-1], len(changes)] == [1, 2, 1]
    late_s = played.outcomes[changes[0]].now_ns / NS_PER_S - handover_s(hysteresis_db, time_to_trigger_s)
    assert 0 <= late_s < 0.02
    assert all(outcome.links[0].connected for outcome in played.outcomes)


@pytest.mark.parametrize("core_delay_s", [0.0, 0.03])
@pytest.mark.parametrize(("rlc", "transport"), [("am", "udp"), ("am", "tcp"), ("um", "tcp")])
@pytest.mark.parametrize("size", [(4_000_000, 1000), (1000, 2_000_000)], ids=["downlink", "uplink"])
def test_a_transfer_under_way_survives(ns3, rlc, transport, size, core_delay_s):
    """It departs in the first cell, shortly before the handover, and ends in the second."""
    parameters = drive(rlc=rlc, transport=transport, core_delay_s=core_delay_s)
    depart_ns = round((handover_s() - 0.2) * NS_PER_S)
    ready_ns = multicell(ns3, [], **parameters).info.now_ns
    steps = [Step([], depart_ns - ready_ns), Step([Transfer(0, size[0], 0, size[1])], 0, 15 * NS_PER_S)]
    played = multicell(ns3, steps, **parameters)
    assert played.outcomes[0].links[0].cell == 1
    assert played.outcomes[1].links[0].cell == 2
    assert played.outcomes[1].now_ns > handover_s() * NS_PER_S
    assert statuses(played, 1) == [Status.DONE]


@pytest.mark.parametrize("core_delay_s", [0.0, 0.03])
def test_a_transfer_that_departs_in_the_middle_of_a_handover_is_done(ns3, core_delay_s):
    """With UDP, at every stage of it; what is on its way through the core to the old cell is not lost either."""
    parameters = drive(core_delay_s=core_delay_s)
    ready_ns = multicell(ns3, [], **parameters).info.now_ns
    for at_ms in range(-35, 20, 4):
        gap_ns = round(handover_s() * NS_PER_S) + at_ms * MS - ready_ns
        played = multicell(ns3, [Step([Transfer(0, 200_000, 0, 100_000)], gap_ns, NS_PER_S)], **parameters)
        assert statuses(played, 0) == [Status.DONE]
        assert played.outcomes[0].links[0].cell == 2


@pytest.mark.parametrize("size", [(4_000_000, 1000), (1000, 2_000_000)], ids=["downlink", "uplink"])
def test_what_rlc_um_had_in_the_air_is_lost_with_udp_and_told(ns3, size):
    parameters = drive(rlc="um")
    depart_ns = round((handover_s() - 0.2) * NS_PER_S)
    ready_ns = multicell(ns3, [], **parameters).info.now_ns
    steps = [Step([], depart_ns - ready_ns), Step([Transfer(0, size[0], 0, size[1])], 0, 2 * NS_PER_S)]
    assert statuses(multicell(ns3, steps, **parameters), 1) == [Status.LOST]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_cancel_in_the_middle_of_a_handover_leaves_nothing_behind(ns3, transport):
    """At every stage of it. What was cut, 3 MB, would hold the band for 0.7 s."""
    parameters = drive(transport=transport)
    ready_ns = multicell(ns3, [], **parameters).info.now_ns
    gap_ns = round((handover_s() - 0.1) * NS_PER_S) - ready_ns
    after = Step([Transfer(0, 20_000, 0, 20_000)], 20 * MS, 4 * NS_PER_S)
    for at_ms in (-1, 0, 1, 3, 6, 9, 12, 20):
        limit_ns = (100 + at_ms) * MS + 300_000
        cut = multicell(ns3, [Step([Transfer(0, 3_000_000, 0, 1)], gap_ns, limit_ns), after], **parameters)
        quiet = multicell(ns3, [Step([], gap_ns, limit_ns, Wait.DEADLINE), after], **parameters)
        assert statuses(cut, 0) == [Status.LATE]
        assert statuses(cut, 1) == statuses(quiet, 1) == [Status.DONE]
        assert cut.outcomes[1].links[0].cell == 2
        assert cut.took_ns(1)[0] < quiet.took_ns(1)[0] + 50 * MS
        cut_up = multicell(ns3, [Step([Transfer(0, 1, 0, 3_000_000)], gap_ns, limit_ns), after], **parameters)
        assert statuses(cut_up, 1) == [Status.DONE]
        assert cut_up.took_ns(1)[0] < quiet.took_ns(1)[0] + 50 * MS


def test_the_link_state_is_that_of_the_new_cell(ns3):
    """Alone, so that no cell interferes: the SINR of the path loss to the serving BS."""
    steps = [Step([Transfer(0, 20_000, 0, 20_000)], 300 * MS) for _ in range(20)]
    played = multicell(ns3, steps, **drive())
    noise_dbm = -174 + 10 * math.log10(100 * 180e3) + 9
    loss_at_1_m_db = 20 * math.log10(4 * math.pi * 2.12e9 / 299_792_458)
    for outcome in played.outcomes:
        x_m = BEGIN_M + SPEED_MPS * outcome.now_ns / NS_PER_S
        distance_m = math.hypot(x_m - (outcome.links[0].cell - 1) * SITE_M, HEIGHT_DIFFERENCE_M)
        loss_db = loss_at_1_m_db + 10 * EXPONENT * math.log10(distance_m)
        assert outcome.links[0].downlink_sinr_db == pytest.approx(40 - loss_db - noise_dbm, abs=0.2)
    assert {outcome.links[0].cell for outcome in played.outcomes} == {1, 2}


class Roaming(LteMulticell, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first device jumps along its `way`: virtual times in s, and x in m from then on."""

    name = "roaming"
    way: tuple[tuple[float, float], ...]

    def build(self, ns):
        topology = super().build(ns)
        for when_s, x_m in self.way:
            move_at(ns, topology.devices[0], when_s, x_m)
        return topology


def play_roaming(steps: Sequence[Step], parameters: dict[str, object]) -> Played:
    SCENARIOS[Roaming.name] = Roaming
    return play(steps, parameters, Roaming.name)


AWAY, STRAY = ((0.5, 1e5), (4.0, SITE_M - 40)), ((0.5, -3300.0), (3.08, 1e5), (5.0, SITE_M - 40))


@pytest.mark.parametrize(("way", "transport"), [(AWAY, "udp"), (AWAY, "tcp"), (STRAY, "udp")])
def test_a_device_out_of_coverage_is_unreachable_and_comes_back_in_another_cell(ns3, way, transport):
    """The second way loses the first cell for good just as the device tries to connect to it again."""
    stand = {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * 2}
    places = [[40.0, 0.0, 1.5], [0.0, 50.0, 1.5]]
    parameters = drive(positions_m=places, movement=stand, transport=transport, way=way)
    asked = [Transfer(device, 20_000, 0, 20_000) for device in range(2)]
    gone = [Step(asked, 100 * MS, 400 * MS) for _ in range(5)]
    steps = [Step(asked, 0, NS_PER_S), Step([], 700 * MS), *gone, Step([], 5 * NS_PER_S), Step(asked, 0, 2 * NS_PER_S)]
    played = ns3(play_roaming, steps, parameters)
    assert [link.cell for link in played.outcomes[0].links] == [1, 1]
    assert statuses(played, 0) == [Status.DONE] * 2
    for step in range(2, 7):
        assert statuses(played, step) == [Status.UNREACHABLE, Status.DONE]
        assert max(played.took_ns(step)[1:]) < 1.1 * max(played.took_ns(0)) + 10 * MS
    assert [link.cell for link in played.outcomes[-1].links] == [2, 1]
    assert statuses(played, -1) == [Status.DONE] * 2


def every(devices: int) -> list[Transfer]:
    return [Transfer(i, 3000 + i, MS, 3000) for i in range(devices)]


@pytest.mark.parametrize(("devices", "cells"), [(1, 7), (8, 7), (64, 3)])
def test_any_number_of_devices_twice_the_same(ns3, devices, cells):
    """Over handovers of several; in two networks of one process. In sight of all, each begins in the nearest cell."""
    steps = [Step(every(devices), 200 * MS, 400 * MS)] * (2 if devices == 64 else 10)
    first, again = (multicell(ns3, steps, devices=devices, cells=cells, line_of_sight="always") for _ in range(2))
    assert first == again
    assert all(link.connected for link in first.outcomes[0].links)
    assert len({link.cell for link in first.outcomes[0].links}) == min(devices, cells)


def test_another_process_and_another_seed(ns3, another):
    steps = [Step(every(8), 500 * MS, NS_PER_S)] * 3
    first, other = (multicell(ns3, steps, seed) for seed in (1, 2))
    assert multicell(another, steps, 1) == first
    assert other.outcomes != first.outcomes


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"cells": 2}, "radio.cells"),
        ({"cells": 8}, "radio.cells"),
        ({"devices": 0}, "radio.devices"),
        ({"inter_site_distance_m": 0.0}, "radio.inter_site_distance_m"),
        ({"hysteresis_db": 3.2}, "radio.hysteresis_db"),
        ({"hysteresis_db": 15.5}, "radio.hysteresis_db"),
        ({"time_to_trigger_s": 0.25}, "radio.time_to_trigger_s"),
        ({"core_delay_s": 0.2}, "radio.core_delay_s"),
        ({"profile": "100mhz-2x2"}, "radio.profile"),
        ({"rlc": "tm"}, "radio.rlc"),
        ({"distances_m": [100.0]}, "radio.distances_m"),
        ({"devices": 2, "positions_m": [[50.0, 0.0, 1.5]]}, "radio.devices"),
        ({"positions_m": [[1.0, 1.0, 1.5]]}, "radio.positions_m"),
        ({"fading": "uma"}, "radio.fading"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        LteMulticell.parse(parameters)
    assert refusal.value.field == field
