# SPDX-License-Identifier: GPL-2.0-only
"""Background traffic on cables, where packets can be counted, what is refused, and what the documentation says."""

import math
import re
from itertools import count, pairwise, takewhile

import pytest
from msgspec import to_builtins

from bridge.network import NS_PER_S, RequestError
from cosim import config
from ns3_scenarios.scenario import Scenario
from ns3_scenarios.scenarios.lte import Lte
from ns3_scenarios.scenarios.wifi import Wifi
from ns3_scenarios.scenarios.wired import Wired
from ns3_scenarios.simulation import open_network
from ns3_scenarios.world.background import FullBuffer, OnOff, Recorded
from tests.support.background_flows import MANY, Flow, Load, down, down_ns, observe, until, up, up_ns
from tests.support.listings import ROOT, said
from tests.support.ns3_worker import Step

MS = 1_000_000
IP_UDP_BYTES = 20 + 8
PPP_BYTES = 2
ETHERNET_BYTES = 14 + 4
PAYLOAD_BYTES = 1472


# Cables, where packets can be counted


RATE_BPS = 8_000_000  # a byte lasts 1000 ns
DELAY_NS = 20_000
GAP_NS = 12_000  # 96 bits, IEEE 802.3


def occupied_ns(kind: str, payload_bytes: int) -> tuple[int, int]:
    """How long a packet is on the cable, and how long none other may follow its end."""
    if kind == "csma":
        return 1000 * (max(payload_bytes + IP_UDP_BYTES, 46) + ETHERNET_BYTES), DELAY_NS + GAP_NS
    return 1000 * (payload_bytes + IP_UDP_BYTES + PPP_BYTES), 0


def arrives_ns(
    kind: str, departs_ns: int, block_bytes: int, interval_ns: int, begin_ns: int, load_bytes: int, users: int = 1
) -> int:
    """When the last packet of a block arrives that shares a queue, first come first served, with constant loads."""
    full, rest = divmod(block_bytes, PAYLOAD_BYTES)
    block = [(departs_ns, size, True) for size in [PAYLOAD_BYTES] * full + [rest] * (rest > 0)]
    end_ns = departs_ns + 10 * sum(sum(occupied_ns(kind, size)) for _, size, _ in block)
    ticks = takewhile(lambda at_ns: at_ns < end_ns, count(begin_ns + interval_ns, interval_ns))
    free_ns = last_ns = 0
    for at_ns, size, is_block in sorted(
        [*block, *((at_ns, load_bytes, False) for at_ns in ticks for _ in range(users))], key=lambda p: p[0]
    ):
        frame_ns, pause_ns = occupied_ns(kind, size)
        sent_ns = max(at_ns, free_ns) + frame_ns
        free_ns = sent_ns + pause_ns
        last_ns = sent_ns + DELAY_NS if is_block else last_ns
    return last_ns


@pytest.mark.parametrize(
    ("kind", "direction", "load_bps"),
    [
        *((kind, direction, 2_000_000) for kind in ("point-to-point", "csma") for direction in ("down", "up")),
        ("point-to-point", "down", 10_000_000),
        ("point-to-point", "up", 10_000_000),
        ("csma", "down", 10_000_000),
    ],
)
def test_beside_a_constant_load_on_its_cable_a_transfer_takes_what_the_queue_says(ns3, kind, direction, load_bps):
    """A load above the cable's rate, 10 of 8 Mbit/s, leaves a queue that the transfer finds before it."""
    load_bytes, begin_ns = 500, 300_001
    load = {"kind": "on-off", "device": 1, "direction": direction, "rate_bps": load_bps, "mean_off_s": 0}
    load |= {"packet_bytes": load_bytes, "begin_s": begin_ns / NS_PER_S}
    asked = down(100_000, 1) if direction == "down" else up(100_000, 1, 60 * MS)
    cable = {"kind": kind, "rate_bps": RATE_BPS, "delay_s": DELAY_NS / NS_PER_S, "devices": 2}
    seen = ns3(observe, "wired", [load], [Step([asked], 50 * MS + 200_000)], **cable)
    (came,) = seen.played.outcomes[0].transfers
    began_ns, ended_ns = came.downlink_begin_ns, came.downlink_end_ns
    if direction == "up":
        began_ns, ended_ns = came.compute_end_ns, came.uplink_end_ns
    interval_ns = 8 * load_bytes * NS_PER_S // load_bps
    assert ended_ns == arrives_ns(kind, began_ns, 100_000, interval_ns, begin_ns, load_bytes)
    alone_ns = arrives_ns(kind, began_ns, 100_000, NS_PER_S, begin_ns, load_bytes)
    assert ended_ns > alone_ns + (10 * MS if load_bps > RATE_BPS else -1)


SEGMENT = {"kind": "csma", "rate_bps": RATE_BPS, "delay_s": DELAY_NS / NS_PER_S, "devices": 3}


def test_what_other_users_receive_leaves_the_edge_server_by_the_same_queue(ns3):
    load = {"kind": "on-off", "users": 2, "rate_bps": 5_000_000, "mean_off_s": 0, "packet_bytes": 500, "begin_s": 3e-4}
    seen = ns3(observe, "wired", [load], [Step([down(100_000)], 50 * MS)], **SEGMENT)
    assert len(seen.played.outcomes[0].links) == len(seen.played.info.devices) == 3
    arrived_ns = arrives_ns("csma", seen.played.departed_ns[0], 100_000, 800_000, 300_000, 500, users=2)
    assert seen.played.outcomes[0].transfers[0].downlink_end_ns == arrived_ns
    assert down_ns(seen, 0) > 105_292_000 + 10 * MS  # 100 KB alone


def test_what_other_users_send_contends_for_the_segment(ns3):
    """At the least for the time of their frames."""
    load = {
        "kind": "on-off",
        "users": 2,
        "rate_bps": 1_000_000,
        "mean_off_s": 0,
        "packet_bytes": 500,
        "direction": "up",
    }
    steps = [Step([], 50 * MS), Step([up(100_000)])]
    alone, beside = (ns3(observe, "wired", background, steps, **SEGMENT) for background in ([], [load]))
    arrived = sum(after.arrived - before.arrived for before, after in zip(*beside.flows, strict=True))
    assert arrived > 10 * 500
    frames_ns = (arrived // 500 - 2) * occupied_ns("csma", 500)[0]
    assert up_ns(alone, 1) + frames_ns < up_ns(beside, 1) < 2 * up_ns(alone, 1)


def test_a_fixed_pattern_sends_a_packet_each_time_that_the_on_times_have_filled_one(ns3):
    load = {"kind": "on-off", "device": 0, "rate_bps": 4_000_000, "packet_bytes": 500, "times": "fixed"}
    load |= {"mean_on_s": 0.0105, "mean_off_s": 0.0205, "begin_s": 0.25, "end_s": 1.1}
    at_ns = [
        250 * MS + 1,
        251 * MS - 1,
        251 * MS + 1,
        260 * MS + 1,
        281 * MS + 10,
        282 * MS,
        NS_PER_S + 10,
        2 * NS_PER_S,
    ]
    steps = [Step([], b - a, 0) for a, b in zip([0, *at_ns], at_ns, strict=False)]
    seen = ns3(observe, "wired", [load], steps, devices=1, rate_bps=10**10)
    for time_ns, (flow,) in zip(at_ns, seen.flows, strict=True):
        since_ns = min(time_ns, 1100 * MS) - 250 * MS
        periods, rest_ns = divmod(since_ns, 31 * MS)
        on_ns = periods * 10_500_000 + min(rest_ns, 10_500_000)
        assert flow.offered == 500 * (on_ns // MS), time_ns
    assert flow == Flow(flow.offered, 0, flow.offered)


def test_in_the_long_run_a_load_is_on_as_often_as_its_mean_times_say(ns3):
    """Within 4 standard deviations of the time that an alternating renewal process spends on."""
    on_s, off_s, run_s, rate_bps = 0.02, 0.03, 200, 4_000_000
    load = {"kind": "on-off", "device": 0, "rate_bps": rate_bps, "mean_on_s": on_s, "mean_off_s": off_s}
    flow = ns3(observe, "wired", [load], [until(run_s * NS_PER_S)], devices=1).flows[0][0]
    deviation_s = math.sqrt(2 * on_s**2 * off_s**2 / (on_s + off_s) ** 3 * run_s)
    assert flow.arrived * 8 / rate_bps == pytest.approx(run_s * on_s / (on_s + off_s), abs=4 * deviation_s)


def test_users_are_on_at_the_beginning_as_often_as_later_and_not_all_at_once(ns3):
    """A binomial distribution, within 4 standard deviations."""
    users, on = 200, 0.25
    load = {"kind": "on-off", "users": users, "rate_bps": 10**6, "packet_bytes": 100, "mean_on_s": 1, "mean_off_s": 3}
    (flows,) = ns3(observe, "wired", [load], [until(5 * MS)], kind="csma", devices=1).flows
    sending = sum(flow.offered > 0 for flow in flows)
    assert sending == pytest.approx(users * on, abs=4 * math.sqrt(users * on * (1 - on)))


def test_a_users_times_are_its_own_whatever_else_draws(ns3):
    load = {"kind": "on-off", "device": 0, "rate_bps": 4e6, "mean_on_s": 0.02, "mean_off_s": 0.03}
    steps = [until(300 * MS)] * 3
    one, four = (ns3(observe, "wired", [load], steps, kind="csma", devices=n).flows for n in (1, 4))
    assert one == four
    assert ns3(observe, "wired", [load], steps, 2, kind="csma", devices=1).flows != one


def test_a_recording_arrives_as_it_was_recorded(ns3, tmp_path):
    """One packet takes 1000 ns a byte; a row of 3000 bytes makes three packets. It begins anew every 50 ms."""
    file = tmp_path / "load.csv"
    file.write_text("time_s,bytes\n0,100\n0.01,3000\n0.01,1\n0.040000001,7\n")
    load = {"kind": "recorded", "device": 0, "file": str(file), "repeat_s": 0.05, "begin_s": 0.1, "end_s": 0.2}
    headers = IP_UDP_BYTES + PPP_BYTES
    arrivals: list[tuple[int, int]] = []
    for begin_ns in (100 * MS, 150 * MS):
        big_ns = begin_ns + 10 * MS + 1000 * (PAYLOAD_BYTES + headers)
        arrivals += [
            (begin_ns + 1000 * (100 + headers), 100),
            (big_ns, 1472),
            (big_ns + 1000 * (1472 + headers), 1472),
            (big_ns + 1000 * (1472 + 56 + 2 * headers), 56),
            (big_ns + 1000 * (1472 + 56 + 1 + 3 * headers), 1),
            (begin_ns + 40 * MS + 1 + 1000 * (7 + headers), 7),
        ]
    moments = [0, *(at_ns + shift_ns for at_ns, _ in arrivals for shift_ns in (-1, 0)), NS_PER_S]
    steps = [Step([], later - sooner, 0) for sooner, later in pairwise(moments)]
    flows = [flow for (flow,) in ns3(observe, "wired", [load], steps, devices=1, rate_bps=RATE_BPS).flows]
    for moment_ns, flow in zip(moments[1:], flows, strict=True):
        assert flow.arrived == sum(size for at_ns, size in arrivals if at_ns <= moment_ns)


def test_what_a_full_buffer_cannot_take_is_dropped_and_a_burst_counts_as_one(ns3, tmp_path):
    file = tmp_path / "burst.csv"
    file.write_text(f"time_s,bytes\n0.1,{10**15}\n")
    load = {"kind": "recorded", "device": 0, "file": str(file), "packet_bytes": 1000, "outstanding_bytes": 20_500}
    flow = ns3(observe, "wired", [load], [until(NS_PER_S)], devices=1).flows[0][0]
    assert flow == Flow(10**15, 10**15 - 20_000, 20_000)


def test_a_full_buffer_takes_all_of_a_cable_and_survives_drops(ns3):
    """With a queue of 10 packets most of a window is dropped; then one packet after the other finds that out."""
    filling = {"kind": "full-buffer", "device": 0}
    flow = ns3(observe, "wired", [filling], [until(NS_PER_S)], devices=1, rate_bps=RATE_BPS).flows[0][0]
    link_share = PAYLOAD_BYTES / (PAYLOAD_BYTES + IP_UDP_BYTES + PPP_BYTES)
    assert flow.arrived == pytest.approx(RATE_BPS / 8 * link_share, abs=PAYLOAD_BYTES)
    flow = ns3(observe, "wired", [filling], [until(NS_PER_S)], devices=1, rate_bps=RATE_BPS, queue_packets=10).flows[0][
        0
    ]
    assert flow.arrived > 10 * 11 * PAYLOAD_BYTES * 0.7


# What is refused


@pytest.mark.parametrize(
    ("load", "field"),
    [
        ({}, "radio.background[0].kind"),
        ({"kind": "burst"}, "radio.background[0].kind"),
        ({"kind": "on-off"}, "radio.background[0].rate_bps"),
        ({"kind": "on-off", "rate_bps": 0}, "radio.background[0].rate_bps"),
        ({"kind": "on-off", "rate_bps": math.inf}, "radio.background[0].rate_bps"),
        ({"kind": "on-off", "rate_bps": 1, "mean_on_s": 0}, "radio.background[0].mean_on_s"),
        ({"kind": "full-buffer", "users": 0}, "radio.background[0].users"),
        ({"kind": "full-buffer", "packet_bytes": 1473}, "radio.background[0].packet_bytes"),
        ({"kind": "full-buffer", "rate_bps": 5}, "radio.background[0].rate_bps"),
        ({"kind": "full-buffer", "users": 1, "device": 0}, "radio.background[0].device"),
        ({"kind": "full-buffer", "begin_s": 2, "end_s": 2}, "radio.background[0].end_s"),
        ({"kind": "full-buffer", "users": 312}, "radio.background"),
    ],
)
def test_bad_loads_are_refused_by_name(load, field):
    with pytest.raises(RequestError) as refusal:
        Lte.parse({"background": [load]})
    assert refusal.value.field == field
    assert "$" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        (Wired, {}, "radio.background"),
        (Wired, {"kind": "csma", "devices": 1000}, "radio.background"),
        (Wifi, {"devices": 128}, "radio.background"),
        (Lte, {"other_users_distances_m": [9.0]}, "radio.other_users_distances_m"),
    ],
)
def test_users_for_whom_there_is_no_place_are_refused_by_name(kind: type[Scenario], parameters, field):
    with pytest.raises(RequestError) as refusal:
        kind.parse({"background": [{"kind": "full-buffer"}], **parameters})
    assert refusal.value.field == field


def refused(scenario: str, load: Load) -> tuple[str, str]:
    with pytest.raises(RequestError) as refusal:
        open_network(scenario, {"background": [load]}, 1)
    return refusal.value.field, refusal.value.reason


def test_what_a_network_lacks_is_refused_by_name_and_another_can_be_opened(ns3, tmp_path):
    field, reason = ns3(refused, "wired-star", {"kind": "full-buffer", "users": 2})
    assert field == "radio.background"
    assert "0 other users" in reason
    assert ns3(refused, "wired", {"kind": "full-buffer", "device": 8})[0] == "radio.background.device"
    file = tmp_path / "load.csv"
    load = {"kind": "recorded", "device": 0, "file": str(file)}
    assert ns3(refused, "wired", load) == (
        "radio.background.file",
        f"{file}: cannot be read: No such file or directory",
    )
    for text, place in (
        ("0,1\n", f"{file}:1"),
        ("time_s,bytes\n", str(file)),
        ("time_s,bytes\n0.5,10\n0.4,10\n", f"{file}:3"),
        ("time_s,bytes\n0.5,ten\n", f"{file}:2"),
        ("time_s,bytes\n0.5\n", f"{file}:2"),
        ("time_s,bytes\nnan,1\n", f"{file}:2"),
        ("time_s,bytes\n0.5,0\n", f"{file}:2"),
        ("time_s,bytes\n-1,5\n", f"{file}:2"),
    ):
        file.write_text(text)
        field, reason = ns3(refused, "wired", load)
        assert (field, reason.partition(" ")[0].rstrip(":")) == ("radio.background.file", place)
    file.write_text("time_s,bytes\n1,1\n")
    assert ns3(refused, "wired", {**load, "repeat_s": 1})[0] == "radio.background.repeat_s"
    ns3(observe, "wired", [load], [until(MS)])


def test_the_filled_in_parameters_give_the_same_scenario():
    scenario = Lte.parse({"background": [*MANY, {"kind": "recorded", "file": "a.csv"}]})
    assert Lte.parse(to_builtins(scenario)) == scenario
    assert scenario.other_users == 6


TEXT = (ROOT / "docs/world/background.md").read_text(encoding="utf-8")


def test_the_documentation_lists_what_every_load_has_and_names_the_rest():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", TEXT, re.MULTILINE))
    assert {name for name in rows if name in FullBuffer.__struct_fields__} == {*FullBuffer.__struct_fields__}
    for name in FullBuffer.__struct_fields__:
        shown = {"users": "1", "device": "None", "end_s": "None"}.get(name) or rows[name].strip('`"')
        assert shown == str(FullBuffer().other_users if name == "users" else getattr(FullBuffer(), name))
    for kind in (OnOff, Recorded):
        for name in {*kind.__struct_fields__} - {*FullBuffer.__struct_fields__}:
            assert re.search(rf"`{name}[ `]", TEXT), name


def test_the_documentation_s_example_is_a_scenario(tmp_path):
    (listing,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.toml").write_text(listing)
    scenario = Lte.parse(config.load(tmp_path / "mine.toml", []).radio_parameters)
    assert [type(load) for load in scenario.background] == [OnOff, FullBuffer, Recorded]
    assert scenario.other_users == 11


def test_the_documentation_shows_what_a_check_says(tmp_path):
    (command, expected), *others = re.findall(r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", TEXT, re.MULTILINE)
    assert said(command, tmp_path) == expected
    assert not others
