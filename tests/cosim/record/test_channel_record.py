# SPDX-License-Identifier: GPL-2.0-only
"""The channel record against closed forms, against what a transfer then gets, and that keeping it changes nothing."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.network import CHANNEL_ROW, NS_PER_S, Outcome, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.wheel import loader
from tests.support.ns3_worker import Call, Played, Step, play, worker

MS = 1_000_000
DOWN, UP = 0, 1
BOTH_WAYS = Step([Transfer(0, 300_000, 5 * MS, 100_000), Transfer(1, 20_000, 0, 200_000)])
IDLE = Step([], limit_ns=NS_PER_S, wait=Wait.DEADLINE)
FULL_BAND_BITS = 75376  # TS 36.213 table 7.1.7.2.1-1: transport block of I_TBS 26 (MCS 28) on 100 resource blocks


class Row(NamedTuple):
    time_ns: int
    device: int
    direction: int
    others: int
    pool: int
    capacity_bps: float
    sinr_db: float


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    return [Row(*row) for outcome in outcomes for row in CHANNEL_ROW.iter_unpack(outcome.channel)]


def of(found: Sequence[Row], device: int, direction: int) -> list[Row]:
    return [row for row in found if (row.device, row.direction) == (device, direction)]


def at(found: Sequence[Row], time_ns: int, device: int, direction: int) -> Row:
    return [row for row in of(found, device, direction) if row.time_ns <= time_ns][-1]


def work_bits(found: Sequence[Row], begin_ns: int, end_ns: int) -> float:
    """What the rows of one device and direction could carry in a time."""
    ends = [*(row.time_ns for row in found[1:]), end_ns]
    spans = ((row, max(min(end, end_ns) - max(row.time_ns, begin_ns), 0)) for row, end in zip(found, ends, strict=True))
    return sum(max(row.capacity_bps, 0) * span_ns / NS_PER_S for row, span_ns in spans)


def play_unrecorded(*arguments: Any) -> Played:
    """As `play`, in a network that never looks at its channels."""
    ns = loader.load()
    ns.Config.SetDefault("ns3::cosim::ChannelSampler::Period", ns.StringValue("0s"))
    return play(*arguments)


@pytest.fixture(scope="module")
def blind() -> Iterator[Call]:
    """A process whose networks keep no record."""
    with worker() as call:
        yield lambda *arguments: call(play_unrecorded, *arguments)


EVERYWHERE = [
    ("lte", {"distances_m": [40.0, 90.0], "fading": "umi", "shadowing_sigma_db": 4.0, "transport": "tcp"}),
    ("lte", {"devices": 2, "profile": "100mhz-2x2", "background": [{"kind": "on-off", "rate_bps": 5e6, "users": 2}]}),
    ("lte-multicell", {"devices": 2}),
    ("mixed", {"lte_devices": 1, "wifi_devices": 1}),
    ("nr-multicell", {"devices": 2, "background": [{"kind": "on-off", "rate_bps": 5e6, "users": 2}]}),
    ("nr", {"devices": 2, "fading": True, "background": [{"kind": "on-off", "rate_bps": 5e6, "users": 2}]}),
    (
        "nr",
        {
            "devices": 2,
            "fading": True,
            "second_carrier": {"frequency_hz": 2.1e9, "pattern": "FDD", "bandwidth_mhz": 20},
        },
    ),
    ("nr", {"devices": 2, "fading": True, "connection": {"inactivity_s": 0.1, "paging_cycle_s": 0.32}, "drx": {}}),
    ("recorded", {"devices": 2}),
    ("wifi", {"devices": 2, "movement": {"kind": "constant-velocity", "velocities_mps": [[1, 2, 0], [3, 1, 0]]}}),
    ("wired", {"devices": 2, "kind": "csma", "background": [{"kind": "full-buffer", "direction": "up"}]}),
]


@pytest.mark.parametrize(("scenario", "parameters"), EVERYWHERE)
def test_looking_changes_nothing_and_repeats(ns3, blind, scenario, parameters):
    built_in = {name for name, kind in SCENARIOS.items() if kind.__module__.startswith("ns3_scenarios.")}
    assert {name for name, _ in EVERYWHERE} == built_in
    steps = [BOTH_WAYS, Step([], gap_ns=300 * MS), BOTH_WAYS]
    seen, unseen = ns3(play, steps, parameters, scenario), blind(steps, parameters, scenario)
    assert [(o.now_ns, o.transfers, o.links) for o in seen.outcomes] == [
        (o.now_ns, o.transfers, o.links) for o in unseen.outcomes
    ]
    assert not any(outcome.channel for outcome in unseen.outcomes)
    assert ns3(play, steps, parameters, scenario).outcomes == seen.outcomes

    found = rows(seen.outcomes)
    first = [row for row in found if row.time_ns == seen.info.now_ns]
    assert [(row.device, row.direction) for row in first] == [(0, DOWN), (0, UP), (1, DOWN), (1, UP)]
    assert repr(found[:4]) == repr(first)
    assert [row.time_ns for row in found] == sorted(row.time_ns for row in found)
    assert all((row.time_ns - seen.info.now_ns) % MS == 0 for row in found)
    for device in (0, 1):
        for direction in (DOWN, UP):
            for before, after in pairwise(of(found, device, direction)):
                moved_db = abs(after.sinr_db - before.sinr_db)
                appeared = math.isnan(after.sinr_db) != math.isnan(before.sinr_db)
                assert before[3:6] != after[3:6] or moved_db >= 0.5 or appeared


def test_nrs_lost_connection_is_noted_between_its_reports(ns3):
    """Which come each 10 ms; a device is lost 200 ms after the last one in range, in the next millisecond."""
    parameters = {
        "distances_m": [900.0],
        "path_loss": "log-distance",
        "path_loss_exponent": 3.5,
        "shadowing_sigma_db": 0.0,
        "fading": False,
        "movement": {"kind": "constant-velocity", "velocities_mps": [[500, 0, 0]]},
    }
    found = rows(ns3(play, [IDLE, IDLE], parameters, "nr").outcomes)
    lost_ns = [next(row.time_ns for row in of(found, 0, way) if row.capacity_bps == -1) for way in (DOWN, UP)]
    assert lost_ns[0] == lost_ns[1]
    assert lost_ns[0] % (10 * MS) == MS
    assert {row.time_ns % (10 * MS) for row in found if row.time_ns != lost_ns[0]} == {0}


def test_cables_carry_their_rate_each_way(ns3):
    played = ns3(play, [BOTH_WAYS, IDLE], {"rate_bps": [10**7, 10**8]}, "wired")
    found = rows(played.outcomes)
    expected = [(0, DOWN, 0, 1e7), (0, UP, 1, 1e7), (1, DOWN, 2, 1e8), (1, UP, 3, 1e8)]
    assert [(row.device, row.direction, row.pool, row.capacity_bps) for row in found] == expected
    assert all(row.others == 0 and math.isnan(row.sinr_db) for row in found)
    assert played.info.bandwidth_hz is None


def test_a_segment_is_one_pool_that_others_wait_for(ns3):
    load = [{"kind": "full-buffer", "direction": "up", "users": 3, "begin_s": 0.5, "end_s": 0.6}]
    parameters = {"devices": 2, "kind": "csma", "rate_bps": 10**8, "background": load}
    found = rows(ns3(play, [IDLE, IDLE, IDLE], parameters, "wired").outcomes)
    assert {(row.pool, row.capacity_bps) for row in found} == {(0, 1e8)}
    assert [at(found, time_ns, 1, UP).others for time_ns in (0, 550 * MS, 2900 * MS)] == [0, 3, 0]
    assert {row.others for row in of(found, 1, DOWN)} == {0}


@pytest.mark.parametrize(
    ("profile", "layers", "carriers"), [("20mhz", 1, 1), ("20mhz-2x2", 2, 1), ("100mhz-2x2", 2, 5)]
)
def test_the_best_lte_link_carries_the_largest_blocks(ns3, profile, layers, carriers):
    played = ns3(play, [IDLE], {"distances_m": [20.0], "profile": profile, "path_loss": "friis"}, "lte")
    down, up = (of(rows(played.outcomes), 0, direction)[-1] for direction in (DOWN, UP))
    assert down.capacity_bps == FULL_BAND_BITS * 1000 * layers * carriers
    assert up.capacity_bps == FULL_BAND_BITS * 1000 * carriers
    assert (down.pool, up.pool) == (2, 3)  # of cell 1
    assert played.info.bandwidth_hz == (18e6 * carriers,) * 2


LTE_ALONE = [
    ({"distances_m": [30.0]}, (DOWN,)),
    ({"distances_m": [150.0], "profile": "20mhz-2x2"}, (DOWN, UP)),
    ({"distances_m": [250.0]}, (DOWN, UP)),
    ({"distances_m": [250.0], "scheduler": "rr"}, (DOWN, UP)),
    ({"distances_m": [60.0], "fading": "umi"}, (DOWN, UP)),
    ({"distances_m": [60.0], "fading": "umi", "scheduler": "rr"}, (DOWN, UP)),
]
"""Where a device alone can use all; not so the uplink where 150 kB, the most that a buffer status report tells, go
faster than the reports come."""


@pytest.mark.parametrize(("parameters", "directions"), LTE_ALONE)
def test_a_device_alone_gets_the_capacity(ns3, parameters, directions):
    size = 2_000_000
    steps = [Step([Transfer(0, size, 0, 1)]), Step([Transfer(0, 1, 0, size)])]
    played = ns3(play, steps, {"line_of_sight": "never", **parameters}, "lte")
    found = rows(played.outcomes)
    for direction in directions:
        (transfer,) = played.outcomes[direction].transfers
        spans = (
            (transfer.downlink_begin_ns, transfer.downlink_end_ns),
            (transfer.compute_end_ns, transfer.uplink_end_ns),
        )
        could = work_bits(of(found, 0, direction), *spans[direction])
        assert 0.92 <= 8 * size / could <= 0.99  # 2 % are headers of UDP and IP; the latency takes some, too


@pytest.mark.parametrize(
    ("scenario", "parameters", "distances_m"),
    [
        ("lte", {"path_loss": "log-distance", "path_loss_exponent": 3.5}, [30.0, 90.0, 200.0, 400.0, 800.0]),
        ("wifi", {}, [2.0, 5.0, 10.0, 20.0, 40.0]),
    ],
)
def test_further_away_there_is_less(ns3, scenario, parameters, distances_m):
    """And the SINR falls by path loss and nothing else."""
    found = rows(ns3(play, [IDLE], {**parameters, "distances_m": distances_m}, scenario).outcomes)
    exponent = parameters.get("path_loss_exponent", 3.0)
    for direction in (DOWN, UP):
        last = [of(found, device, direction)[-1] for device in range(len(distances_m))]
        assert all(near.capacity_bps >= far.capacity_bps for near, far in pairwise(last))
        assert last[0].capacity_bps > last[-1].capacity_bps
        for row, distance_m in zip(last, distances_m, strict=True):
            lost_db = 10 * exponent * math.log10(distance_m / distances_m[0])
            if scenario == "wifi" or direction == DOWN:
                assert row.sinr_db == pytest.approx(last[0].sinr_db - lost_db, abs=0.6)


@pytest.mark.parametrize("scenario", ["lte", "nr", "wifi"])
def test_idle_and_busy_links_have_the_same_capacity(ns3, scenario):
    parameters = {"devices": 2} | ({"fading": "umi"} if scenario == "lte" else {})
    busy = rows(ns3(play, [BOTH_WAYS, IDLE], parameters, scenario).outcomes)
    idle = rows(ns3(play, [IDLE, IDLE], parameters, scenario).outcomes)
    until_ns = busy[0].time_ns + NS_PER_S
    alike = [[(row[:3], row.capacity_bps) for row in found if row.time_ns < until_ns] for found in (busy, idle)]
    assert alike[0] == alike[1]


def test_wifi_tells_what_a_frame_then_shows(ns3):
    """Both directions are one pool; SNR and rate are those of the frames that come."""
    parameters = {"distances_m": [3.0, 11.0], "device_power_dbm": 10.0, "channel_width_mhz": 40}
    played = ns3(play, [BOTH_WAYS, BOTH_WAYS], parameters, "wifi")
    found, links = rows(played.outcomes), played.outcomes[-1].links
    for link in links:
        down, up = (at(found, played.outcomes[-1].now_ns, link.device, direction) for direction in (DOWN, UP))
        assert (down.sinr_db, up.sinr_db) == pytest.approx((link.downlink_sinr_db, link.uplink_sinr_db), abs=0.01)
        assert (down.capacity_bps, up.capacity_bps) == pytest.approx((link.downlink_rate_bps, link.uplink_rate_bps))
    assert {row.pool for row in found} == {0}
    assert played.info.bandwidth_hz == (40e6, 40e6)


@pytest.mark.parametrize("scenario", ["lte", "nr", "wifi", "wired"])
def test_absent_is_not_connected_and_cut_off_carries_nothing(ns3, scenario):
    life = [
        {"kind": "absence", "devices": [0], "intervals_s": [[0.5, 1.0]]},
        {"kind": "outage", "devices": [1], "intervals_s": [[0.5, 0.6]]},
    ]
    found = rows(ns3(play, [IDLE, IDLE, IDLE], {"devices": 2, "life": life}, scenario).outcomes)
    for direction in (DOWN, UP):
        for device, meanwhile in ((0, -1), (1, 0)):
            seen = [at(found, ms * MS, device, direction).capacity_bps for ms in (499, 501, 1900)]
            assert seen[0] > 0
            assert seen == [seen[0], meanwhile, seen[0]]


@pytest.mark.parametrize(("scenario", "pools"), [("lte", 2), ("nr", 2), ("wifi", 1)])
def test_others_are_counted_by_direction(ns3, scenario, pools):
    load = [
        {"kind": "full-buffer", "users": 2, "begin_s": 0.5, "end_s": 0.8},
        {"kind": "full-buffer", "direction": "up", "begin_s": 0.7, "end_s": 0.9},
    ]
    found = rows(ns3(play, [IDLE, IDLE, IDLE], {"devices": 1, "background": load}, scenario).outcomes)
    assert len({row.pool for row in found}) == pools
    for direction, counts in ((DOWN, {450: 0, 650: 2, 790: 2, 2900: 0}), (UP, {450: 0, 650: 0, 790: 1, 2900: 0})):
        assert {ms: at(found, ms * MS, 0, direction).others for ms in counts} == counts


@pytest.mark.parametrize(
    ("scenario", "parameters", "first_pool"),
    [("lte-multicell", {}, 2), ("nr-multicell", {"inter_site_distance_m": 100.0, "line_of_sight": "always"}, 0)],
)
def test_a_handover_changes_the_pool(ns3, scenario, parameters, first_pool):
    played = ns3(play, [IDLE] * 6, {"devices": 2, **parameters}, scenario)
    found, served = rows(played.outcomes), defaultdict(set)
    for outcome in played.outcomes:
        for link in outcome.links:
            served[link.device].add(link.cell)
            pools = [at(found, outcome.now_ns, link.device, direction).pool for direction in (DOWN, UP)]
            down = None if link.cell is None else first_pool + 2 * (link.cell - 1)
            assert down is None or pools == [down, down + 1]
    assert any(len(cells) > 1 for cells in served.values())


def test_mixed_keeps_the_pools_of_its_members_apart(ns3):
    parameters = {"lte_devices": 2, "wifi_devices": 2, "nr_devices": 2, "nr_line_of_sight": "always"}
    found = rows(ns3(play, [IDLE], parameters, "mixed").outcomes)
    pools = [{row.pool for row in of(found, device, direction)} for device in range(6) for direction in (DOWN, UP)]
    assert all(len(pool) == 1 for pool in pools)
    lte, again, *medium, nr, nr_again = zip(*[iter(pool.pop() for pool in pools)] * 2, strict=True)
    assert (lte, nr) == (again, nr_again)
    assert len({each for pair in medium for each in pair}) == 1
    assert len({*lte, *medium[0], *nr}) == 5


def test_a_recording_is_told_before_it_comes(ns3, tmp_path):
    rates_bps = [3_000_000, 0, 9_500_000, 1_000_000]
    file = tmp_path / "steps.csv"
    file.write_text("time_s,rate_bps\n" + "".join(f"{0.25 * i},{rate}\n" for i, rate in enumerate(rates_bps)))
    parameters = {"devices": 1, "downlink": str(file), "uplink": str(file), "offset_s": 0.1005}
    found = rows(ns3(play, [IDLE, IDLE], parameters, "recorded").outcomes)

    def rate_bps(begin_ns: int, end_ns: int) -> float:
        moments_ns = range(begin_ns, end_ns, MS // 4)
        return sum(rates_bps[(ns // (250 * MS)) % 4] for ns in moments_ns) / len(moments_ns)

    for ms in range(1990):
        begin_ns = ms * MS + 100_500_000
        for direction in (DOWN, UP):
            assert at(found, ms * MS, 0, direction).capacity_bps == pytest.approx(rate_bps(begin_ns, begin_ns + MS))


def test_a_long_exchange_has_fewer_rows_but_no_less_work(ns3, tmp_path: Path):
    """Of a link that changes each millisecond, all the time."""
    file = tmp_path / "restless.csv"
    rates_bps = [1000 * (1 + i % 2) for i in range(1000)]
    file.write_text(
        "time_s,rate_bps\n" + "".join(f"{i / 1000 + 0.0003 * (i % 2)},{rate}\n" for i, rate in enumerate(rates_bps))
    )
    parameters = {"devices": 4, "downlink": str(file), "uplink": str(file)}
    asleep = Step([], limit_ns=20 * NS_PER_S, wait=Wait.DEADLINE)
    found = rows(ns3(play, [asleep, IDLE], parameters, "recorded").outcomes)
    early, late = ([row for row in found if first <= row.time_ns < first + NS_PER_S] for first in (0, 20 * NS_PER_S))
    assert len(early) == 8 * 1000
    assert len(late) > 8 * 990
    assert len([row for row in found if row.time_ns < 20 * NS_PER_S]) < 4 * 16384
    carried = work_bits(of(found, 0, DOWN), 0, 20 * NS_PER_S)
    assert carried == pytest.approx(20 * (1.3 * 1000 + 0.7 * 2000) / 2, rel=0.001)
