# SPDX-License-Identifier: GPL-2.0-only
"""The LTE scenario against ns-3's measured throughput, itself in another process, and the edges of coverage."""

import pytest

from bridge.network import NS_PER_S, Status, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.scenarios.lte import Lte
from tests.support.leaving import play_leaving
from tests.support.ns3_worker import Call, Played, Step, play

MS = 1_000_000
NEAR = {"path_loss": "friis", "distances_m": [40.0 + i for i in range(8)]}
BLOCK_BYTES = 800_000


def every(devices: int, downlink_bytes: int, uplink_bytes: int, compute_ns: int = 0) -> list[Transfer]:
    return [Transfer(i, downlink_bytes, compute_ns, uplink_bytes) for i in range(devices)]


RICH = {
    "fading": "umi",
    "fading_speed_mps": 10.0,
    "shadowing_sigma_db": None,
    "distances_m": [30.0, 50.0, 70.0, 90.0, 120.0],
    "transport": "tcp",
}


@pytest.mark.parametrize("parameters", [{}, RICH, {"profile": "100mhz-2x2", "shadowing_sigma_db": 6.0}])
def test_the_same_seed_gives_the_same_network_to_the_nanosecond(ns3, another, parameters):
    """In two processes, and twice in one of them with another network in between."""
    steps = [
        Step([Transfer(i, 20_000 + i, i * MS, 9_000) for i in range(5)], 3_333_333, 2 * NS_PER_S),
        Step([Transfer(0, 500_000, 0, 1), Transfer(3, 1, 0, 500_000)], 0, 40 * MS),
        Step(every(5, 3_000, 3_000), 0, NS_PER_S, Wait.ANY),
        Step(every(4, 5_000, 5_000), 10 * MS, NS_PER_S),
    ]
    first = ns3(play, steps, parameters, seed=7)
    other = ns3(play, steps, parameters, seed=8)
    again = ns3(play, steps, parameters, seed=7)
    elsewhere = another(play, steps, parameters, seed=7)
    assert first == again == elsewhere
    assert first.outcomes != other.outcomes


@pytest.mark.parametrize(
    ("profile", "downlink_mbps", "uplink_mbps"),
    [("20mhz", 72, 67), ("20mhz-2x2", 144, 67), ("100mhz-2x2", 683, None)],
)
def test_throughput_is_what_was_measured_by_hand(ns3, profile, downlink_mbps, uplink_mbps):
    """Eight devices at good SINR, 800 KB each; the first exchange warms the carriers up."""
    steps = [
        Step(every(8, 1000, 1000)),
        Step(every(8, BLOCK_BYTES, 1), 50 * MS),
        Step(every(8, 1, BLOCK_BYTES), 50 * MS),
    ]
    played = ns3(play, steps, {**NEAR, "profile": profile})
    down, up = (played.outcomes[i].transfers for i in (1, 2))
    took_ns = max(came.downlink_end_ns for came in down) - played.departed_ns[1]
    assert 8 * 8 * BLOCK_BYTES / took_ns * 1000 == pytest.approx(downlink_mbps, rel=0.03)
    took_ns = max(came.uplink_end_ns for came in up) - min(came.compute_end_ns for came in up)
    if uplink_mbps:
        assert 8 * 8 * BLOCK_BYTES / took_ns * 1000 == pytest.approx(uplink_mbps, rel=0.03)


class RarelySounded(Lte, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LTE with the longest way between two sounding signals of a device that hundreds of devices would need."""

    name = "rarely-sounded"

    def _configure(self, ns, profile, contexts):
        super()._configure(ns, profile, contexts)
        ns.Config.SetDefault("ns3::LteEnbRrc::SrsPeriodicity", ns.UintegerValue(160))


def play_rarely_sounded(steps: list[Step], parameters: dict[str, object]) -> Played:
    SCENARIOS[RarelySounded.name] = RarelySounded
    return play(steps, parameters, RarelySounded.name)


def test_five_carriers_uplink_by_hand_was_measured_before_all_devices_were_sounded(ns3):
    """223 Mb/s is what the first 160 ms give with a sounding period of 160 ms; afterwards there is a fifth more."""
    parameters = {**NEAR, "profile": "100mhz-2x2"}
    depart_ns = 134 * MS
    rates = []
    for how in (play_rarely_sounded, play):
        opened_ns = ns3(how, [], parameters).info.now_ns
        steps = [Step([], depart_ns - opened_ns), Step(every(8, 1, BLOCK_BYTES))]
        played = ns3(how, steps, parameters)
        up = played.outcomes[1].transfers
        took_ns = max(came.uplink_end_ns for came in up) - min(came.compute_end_ns for came in up)
        rates.append(8 * 8 * BLOCK_BYTES / took_ns * 1000)
    assert rates[0] == pytest.approx(223, rel=0.03)
    assert rates[1] == pytest.approx(271, rel=0.03)


def test_devices_out_of_coverage_are_unreachable_and_disturb_nobody(ns3):
    near, far = [40.0, 60.0, 80.0], [20_000.0, 100_000.0]
    alone = ns3(play, [Step(every(3, 100_000, 100_000), 30 * MS)] * 3, {"distances_m": near})
    played = ns3(play, [Step(every(5, 100_000, 100_000), 30 * MS)] * 3, {"distances_m": [*near, *far]})
    for step, outcome in enumerate(played.outcomes):
        statuses = [came.status for came in outcome.transfers]
        assert statuses == [Status.DONE] * 3 + [Status.UNREACHABLE] * 2
        assert [link.connected for link in outcome.links] == [True] * 3 + [False] * 2
        assert [came.downlink_begin_ns for came in outcome.transfers[3:]] == [None] * 2
        assert max(played.took_ns(step)[:3]) < 1.1 * max(alone.took_ns(step)) + 10 * MS


@pytest.mark.parametrize("wait", list(Wait))
def test_with_nobody_in_coverage_an_exchange_still_ends(ns3, wait):
    step = Step(every(1, 1000, 1000), 5, NS_PER_S, wait)
    played = ns3(play, [step], {"distances_m": [50_000.0]})
    assert [came.status for came in played.outcomes[0].transfers] == [Status.UNREACHABLE]
    took_ns = played.outcomes[0].now_ns - played.departed_ns[0]
    assert took_ns == (NS_PER_S if wait is Wait.DEADLINE else 0)


def test_a_deadline_too_short_for_anyone(ns3):
    steps = [Step(every(8, 20_000, 20_000), 0, 2 * MS), Step(every(8, 1000, 1000))]
    played = ns3(play, steps)
    assert {came.status for came in played.outcomes[0].transfers} == {Status.LATE}
    assert played.outcomes[0].now_ns == played.departed_ns[0] + 2 * MS
    assert {came.status for came in played.outcomes[1].transfers} == {Status.DONE}


@pytest.mark.parametrize("devices", [1, 64])
def test_one_device_and_sixty_four(ns3, devices):
    played = ns3(play, [Step(every(devices, 2_000, 2_000))], {"devices": devices})
    assert {came.status for came in played.outcomes[0].transfers} == {Status.DONE}
    assert len(played.outcomes[0].links) == devices == len(set(played.info.devices))


def test_wait_any_ends_with_the_first(ns3):
    played = ns3(play, [Step(every(8, 20_000, 20_000), wait=Wait.ANY)])
    done = [came for came in played.outcomes[0].transfers if came.status is Status.DONE]
    assert [came.uplink_end_ns for came in done] == [played.outcomes[0].now_ns]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("profile", ["20mhz", "100mhz-2x2"])
@pytest.mark.parametrize("bulk", [(5_000_000, 1), (1, 5_000_000)], ids=["downlink", "uplink"])
def test_a_cancelled_bulk_transfer_does_not_slow_the_next_exchange(ns3, profile, transport, bulk):
    """Against an undisturbed network. Undiscarded, 8 x 5 MB would hold the band for 0.5 s at the least."""
    after = Step(every(8, 20_000, 20_000, MS), 60 * MS, NS_PER_S)
    parameters = {**NEAR, "profile": profile, "transport": transport}
    cut = ns3(play, [Step(every(8, *bulk), 0, 80 * MS), after], parameters)
    quiet = ns3(play, [Step([], 0, 80 * MS, Wait.DEADLINE), after], parameters)
    assert {came.status for came in cut.outcomes[0].transfers} == {Status.LATE}
    for link in cut.outcomes[0].links:
        assert link.rlc_queue_bytes <= 1500 + 8 * 9422  # the rest of one SDU, and what HARQ still owes RLC AM
    took_ns, quiet_ns = (max(played.took_ns(1)) for played in (cut, quiet))
    assert took_ns < 1.15 * quiet_ns + 10 * MS


def test_what_was_under_way_in_the_core_is_not_counted_to_the_next_exchange(ns3):
    """With 50 ms of core, a cancelled block is in the S1 link when the next exchange to the device departs."""
    parameters = {"devices": 1, "core_delay_s": 0.05}
    cut, after = Step(every(1, 600_000, 1), 0, 40 * MS), Step(every(1, 600_000, 1))
    played = ns3(play, [cut, after], parameters)
    alone = ns3(play, [Step([], 0, 40 * MS, Wait.DEADLINE), after], parameters)
    came, quiet = (p.outcomes[1].transfers[0].downlink_end_ns - p.departed_ns[1] for p in (played, alone))
    assert came >= 50 * MS + 600_000 * 8 / 75_376_000 * NS_PER_S  # no sooner than the table's highest rate
    assert came == pytest.approx(quiet, rel=0.05)


def leave(ns3: Call, bulk_bytes: int, for_s: float, profile: str) -> Played:
    """The first device leaves 5 ms into a bulk transfer to it, as the first blocks are in the air, and returns."""
    probe = Transfer(1, 1000, 0, 1000)
    steps = [
        Step([], 200 * MS),
        Step([Transfer(0, bulk_bytes, 0, 1), probe], 0, 1500 * MS, Wait.DEADLINE),
        Step([Transfer(0, 1, 0, 1), probe], 0, NS_PER_S),
    ]
    away = {"leaves_s": 0.2325, "returns_s": 0.2325 + for_s}
    return ns3(play_leaving, steps, {"profile": profile, "distances_m": [40.0, 50.0], **away})


@pytest.mark.parametrize("bulk_bytes", [300_000, 5_000_000], ids=["all in the air", "more behind"])
@pytest.mark.parametrize(("profile", "status"), [("100mhz-2x2", Status.LOST), ("20mhz", Status.DONE)])
def test_blocks_lost_in_the_air_are_lost_unless_rlc_sends_them_again(ns3, profile, status, bulk_bytes):
    """RLC UM does not, RLC AM does; and nothing of it is left for the next exchange."""
    played = leave(ns3, bulk_bytes, 0.06, profile)
    assert [came.status for came in played.outcomes[1].transfers] == [status, Status.DONE]
    assert [came.status for came in played.outcomes[2].transfers] == [Status.DONE, Status.DONE]


def test_a_device_that_leaves_becomes_unreachable_and_the_others_stay(ns3):
    played = leave(ns3, 5_000_000, 100, "20mhz")
    for outcome in played.outcomes[1:]:
        assert [came.status for came in outcome.transfers] == [Status.UNREACHABLE, Status.DONE]
    assert played.outcomes[1].transfers[0].downlink_begin_ns == played.departed_ns[1]
    assert played.outcomes[2].transfers[0].downlink_begin_ns is None


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("profile", ["20mhz", "100mhz-2x2"])
def test_a_device_that_comes_back_is_connected_again_and_nobody_else_notices(ns3, profile, transport):
    """Away for 3 s: its radio link fails and its context is released. Twice, and cancelled in bulk as it leaves.

    The others' times are compared with those of an exchange that asks nothing of it.
    """
    asked = every(3, 40_000, 40_000)
    away = {"leaves_s": 0.5, "returns_s": 3.5, "distances_m": [40.0, 50.0, 60.0], "profile": profile}
    parameters = {**away, "transport": transport}
    gone = [Step(asked, 100 * MS, 400 * MS) for _ in range(6)]
    before = Step([Transfer(0, 3_000_000, 0, 3_000_000)], 150 * MS, 200 * MS)
    steps = [Step(asked, 0, NS_PER_S), before, *gone, Step([], 4 * NS_PER_S), Step(asked, 0, 2 * NS_PER_S)]
    played = ns3(play_leaving, steps, parameters)
    without = ns3(play_leaving, [Step(step.transfers[-2:], step.gap_ns, step.limit_ns) for step in steps], parameters)
    assert [came.status for came in played.outcomes[0].transfers] == [Status.DONE] * 3
    for step in range(2, 8):
        assert [came.status for came in played.outcomes[step].transfers] == [Status.UNREACHABLE, *[Status.DONE] * 2]
        took_ns, quiet_ns = played.took_ns(step)[1:], without.took_ns(step)
        assert max(took_ns) < 1.1 * max(quiet_ns) + 20 * MS
    assert played.outcomes[-2].links[0].connected
    assert [came.status for came in played.outcomes[-1].transfers] == [Status.DONE] * 3


@pytest.mark.parametrize(("limit_ms", "ended"), [(150, None), (1500, None), (2500, Status.DONE)])
def test_what_is_still_in_the_core_is_late_and_not_lost(ns3, limit_ms, ended):
    step = Step(every(1, 1000, 1000, 10 * MS), 300 * MS, limit_ms * MS)
    played = ns3(play, [step], {"devices": 1, "core_delay_s": 1.0})
    assert played.outcomes[0].transfers[0].status is (ended or Status.LATE)


def test_a_device_that_computes_beyond_the_deadline_is_late_and_not_lost(ns3):
    played = ns3(play, [Step(every(1, 1000, 1000, NS_PER_S), 0, 500 * MS)], {"devices": 1, "profile": "100mhz-2x2"})
    came = played.outcomes[0].transfers[0]
    assert came.status is Status.LATE
    assert came.downlink_end_ns is not None
    assert came.compute_end_ns is None


@pytest.mark.parametrize("path_loss", ["umi", "uma", "log-distance", "friis"])
@pytest.mark.parametrize("scheduler", ["pf", "rr"])
def test_every_path_loss_and_scheduler_carries(ns3, path_loss, scheduler):
    fading = path_loss if path_loss in ("umi", "uma") else "none"
    near = [30.0, 40.0, 50.0]
    parameters = {"distances_m": near, "path_loss": path_loss, "scheduler": scheduler, "fading": fading}
    played: Played = ns3(play, [Step(every(3, 5_000, 5_000))] * 2, parameters)
    assert {came.status for outcome in played.outcomes for came in outcome.transfers} == {Status.DONE}
