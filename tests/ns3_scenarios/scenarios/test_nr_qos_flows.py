# SPDX-License-Identifier: GPL-2.0-only
"""NR's QoS flows in a cell: hidden states beside background of their own device and of others."""

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.network import NS_PER_S, Message, RequestError, Status, Transfer
from ns3_scenarios.scenarios.nr import Nr
from ns3_scenarios.scenarios.nr_multicell import NrMulticell
from ns3_scenarios.scenarios.nr_qos import STANDARDISED
from tests.cosim.record.test_channel_record import rows
from tests.support.background_flows import Load, Observed, observe
from tests.support.ns3_worker import Call, Step, play
from tests.support.still import open_still

MS = 1_000_000
PERIOD_NS = 2_500_000  # of DDDSU at 30 kHz
CORE_NS = 10_000  # packets of background that are before one on the way to the gNB, at 1 Tb/s
BEGIN_NS = 300 * MS
OUTSTANDING_BYTES = 1_000_000
NEAR = {"distances_m": [40.0, 40.0], "other_users_distances_m": [40.0], "line_of_sight": "always"}
NEAR |= {"outer_loop_step_db": 0.0}  # at 40 dB: each block has the highest MCS and is decoded
BIG = Transfer(0, 400_000, 0, 150_000)
STEPS = [Step([BIG], gap_ns) for gap_ns in (BEGIN_NS, *(3 * MS + i * 137_000 for i in range(6)))]
OWN: list[Load] = [{"kind": "full-buffer", "device": 0, "direction": way} for way in ("down", "up")]
OTHERS: list[Load] = [{"kind": "full-buffer", "users": 4, "direction": way} for way in ("down", "up")]
EQUAL = {"hidden_states": 9, "background": 9}


def times_ns(observed: Observed) -> tuple[list[int], list[int]]:
    """How long each step's transfer took down, and up."""
    pairs = zip(observed.played.departed_ns, observed.played.outcomes, strict=True)
    came = [(departed_ns, outcome.transfers[0]) for departed_ns, outcome in pairs]
    down_ns = [each.downlink_end_ns - departed_ns for departed_ns, each in came]
    return down_ns, [each.uplink_end_ns - each.compute_end_ns for _, each in came]


def beside(ns3: Call, background: list[Load], steps: list[Step] = STEPS, **given: Any) -> tuple[list[int], list[int]]:
    return times_ns(ns3(observe, "nr", background, steps, **NEAR | given))


RLCS = pytest.mark.parametrize("rlc", [{}, {"rlc": "um"}, {"arq": {}}], ids=["am", "um", "reported"])


@RLCS
@pytest.mark.parametrize("scheduler", ["pf", "rr"])
def test_beside_the_load_of_others_hidden_states_are_as_alone(ns3, scheduler, rlc):
    given = {"scheduler": scheduler} | rlc
    alone, flows = beside(ns3, [], **given), beside(ns3, OTHERS, qos_flows={}, **given)
    for alone_ns, flows_ns in zip(alone, flows, strict=True):
        assert flows_ns == pytest.approx(alone_ns, abs=CORE_NS, rel=0)


def test_beside_the_load_of_others_without_flows_and_with_equal_ones_they_have_a_fifth_of_the_band(ns3):
    """And each instant of the one is that of the other: two flows of a device are one logical channel group."""
    alone, one_queue = beside(ns3, [], scheduler="rr"), beside(ns3, OTHERS, scheduler="rr")
    assert beside(ns3, OTHERS, scheduler="rr", qos_flows=EQUAL) == one_queue
    assert sum(one_queue[0]) > 3.5 * sum(alone[0])


def test_what_is_under_way_of_others_goes_before(ns3):
    """A third of their blocks fails, and is sent again first; hidden states never fail. What was sent when
    they came fills the downlink slots of a HARQ round at most, and of those a third is lost, a third of that again, and
    so on; and a little more may need a slot behind the uplink's."""
    given = {"other_users_distances_m": [1500.0, 1900.0, 2200.0, 2700.0]}
    given |= {"outer_loop_step_db": 1.0, "target_bler": 0.3}
    steps = [Step([BIG], gap_ns) for gap_ns in (BEGIN_NS, *(3 * MS + i * 137_000 for i in range(20)))]
    alone, flows = beside(ns3, [], steps, **given), beside(ns3, OTHERS, steps, qos_flows={}, **given)
    later_ns = [with_ns - alone_ns for with_ns, alone_ns in zip(flows[0], alone[0], strict=True)]
    assert max(later_ns) > 0.4 * MS
    assert max(later_ns) < 3 * PERIOD_NS
    assert sum(later_ns) / len(later_ns) < 0.3 / (1 - 0.3) * PERIOD_NS + 1 * MS


@RLCS
def test_beside_their_device_s_own_load_hidden_states_wait_for_nothing(ns3, rlc):
    """Down as alone; up no later, since the device has grants already. Without flows they wait for all that is
    outstanding of the load."""
    alone, flows = beside(ns3, [], **rlc), beside(ns3, OWN, qos_flows={}, **rlc)
    assert flows[0][0] == alone[0][0]
    assert all(with_ns < alone_ns + CORE_NS for with_ns, alone_ns in zip(flows[0], alone[0], strict=True))
    assert all(with_ns < alone_ns + CORE_NS for with_ns, alone_ns in zip(flows[1], alone[1], strict=True))
    observed = ns3(observe, "nr", OWN, STEPS, **NEAR | rlc)
    (link, _) = observed.played.outcomes[-1].links
    for one_queue_ns, rate_bps in zip(times_ns(observed), (link.downlink_rate_bps, link.uplink_rate_bps), strict=True):
        assert min(one_queue_ns) > 0.9 * 8 * OUTSTANDING_BYTES / rate_bps * NS_PER_S


def test_under_tcp_acknowledgements_are_of_the_same_flow(ns3):
    """Else each would wait behind the load of the other direction."""
    alone, flows = beside(ns3, [], transport="tcp"), beside(ns3, OWN, transport="tcp", qos_flows={})
    for alone_ns, flows_ns in zip(alone, flows, strict=True):
        assert all(with_ns < each + CORE_NS for with_ns, each in zip(flows_ns, alone_ns, strict=True))


def test_beside_a_load_of_equal_priority_hidden_states_have_half_of_each_block(ns3):
    steps = [Step([Transfer(0, 8_000_000, 0, 2_000_000)], BEGIN_NS)]
    first, equal = (beside(ns3, OWN, steps, qos_flows=flows) for flows in ({}, EQUAL))
    for first_ns, equal_ns in zip(first, equal, strict=True):
        assert equal_ns[0] / first_ns[0] == pytest.approx(2, rel=0.02)


def test_background_goes_first_if_its_priority_is_higher(ns3):
    """Then hidden states have what is left: of a load of half the rate, half."""
    rate_bps = ns3(observe, "nr", [], [Step([BIG], BEGIN_NS)], **NEAR).played.outcomes[0].links[0].downlink_rate_bps
    load = {"kind": "on-off", "device": 0, "rate_bps": rate_bps / 2, "mean_off_s": 0.0}
    steps = [Step([Transfer(0, 8_000_000, 0, 1)], BEGIN_NS)]
    alone = beside(ns3, [], steps)
    last = beside(ns3, [load], steps, qos_flows={"hidden_states": 9, "background": 80})
    first = beside(ns3, [load], steps, qos_flows={"hidden_states": 80, "background": 9})
    assert last[0][0] / alone[0][0] == pytest.approx(2, rel=0.1)
    assert first[0][0] == pytest.approx(alone[0][0], abs=CORE_NS, rel=0)


@RLCS
@pytest.mark.parametrize("size", [(8_000_000, 1), (1, 2_000_000)], ids=["downlink", "uplink"])
def test_what_a_cut_exchange_leaves_is_discarded_and_no_byte_of_the_background(ns3, rlc, size):
    """What follows is as alone, but for the packet that was sent in part and repetitions; and all of a load that ends
    comes, whatever was thrown away beside it."""
    loads: list[Load] = [
        {"kind": "on-off", "device": 0, "direction": way, "rate_bps": 20e6, "mean_off_s": 0.0, "end_s": 0.5}
        for way in ("down", "up")
    ]
    cut = Step([Transfer(0, size[0], 0, size[1])], BEGIN_NS, 60 * MS)
    steps = [cut, Step([BIG], 20 * MS), Step([], 2 * NS_PER_S)]
    (alone_down_ns, *_), (alone_up_ns, *_) = beside(ns3, [], [Step([BIG], BEGIN_NS + 80 * MS)], **rlc)
    observed = ns3(observe, "nr", loads, steps, qos_flows={}, **NEAR | rlc)
    assert observed.played.outcomes[0].transfers[0].status is Status.LATE
    came, departed_ns = observed.played.outcomes[1].transfers[0], observed.played.departed_ns[1]
    assert came.downlink_end_ns - departed_ns < alone_down_ns + PERIOD_NS
    assert came.uplink_end_ns - came.compute_end_ns < alone_up_ns + PERIOD_NS
    for flow in observed.flows[-1]:
        assert flow.offered - flow.dropped == flow.arrived > 1_000_000


def conveyed_ns(background: list[Load], **given: Any) -> list[int]:
    """How long messages down and up take that users at the device get and send."""
    network = open_still("nr", NEAR | {"background": background} | given, 1)
    try:
        network.exchange([], network.now_ns, network.now_ns + BEGIN_NS)
        begin_ns = network.now_ns + BEGIN_NS
        asked = [Message(i, 0, is_up, 2000, begin_ns, begin_ns + NS_PER_S) for i, is_up in enumerate((False, True))]
        found = [
            *network.convey(asked, begin_ns + NS_PER_S).deliveries,
            *network.convey([], begin_ns + NS_PER_S).deliveries,
        ]
        assert [each.status for each in found] == [Status.DONE] * 2
        return [each.end_ns - begin_ns for each in sorted(found, key=lambda each: each.message)]
    finally:
        network.close()


def test_users_requests_are_of_the_hidden_states_flow(ns3):
    """They go to and from the same ports of the edge server."""
    alone, flows, one_queue = (
        ns3(conveyed_ns, background, **given) for background, given in (([], {}), (OWN, {"qos_flows": {}}), (OWN, {}))
    )
    assert all(
        with_ns < alone_ns + CORE_NS < behind_ns
        for with_ns, alone_ns, behind_ns in zip(flows, alone, one_queue, strict=True)
    )


@pytest.mark.parametrize("rlc", [{}, {"arq": {}}], ids=["am", "reported"])
def test_both_bearers_go_along_to_another_cell(ns3, rlc):
    """A device drives from one to the other, with transfers and a load both ways all the time: all of it arrives."""
    loads = [
        {"kind": "on-off", "device": 0, "direction": way, "rate_bps": rate_bps, "mean_off_s": 0.0, "end_s": 1.0}
        for way, rate_bps in (("down", 20e6), ("up", 5e6))
    ]
    given = {"bandwidth_mhz": 20, "time_to_trigger_s": 0.04, "hysteresis_db": 1.0, "path_loss": "friis"}
    given |= {"positions_m": [[80.0, 46.0, 1.5]], "qos_flows": {}}
    given |= {"movement": {"kind": "constant-velocity", "velocities_mps": [[35.0, 20.0, 0.0]]}}
    steps = [Step([Transfer(0, 20_000, 0, 10_000)], 1 * MS) for _ in range(150)]
    observed = ns3(observe, "nr-multicell", loads, [*steps, Step([], 2 * NS_PER_S)], **given | rlc)
    assert [outcome.transfers[0].status for outcome in observed.played.outcomes[:-1]] == [Status.DONE] * len(steps)
    cells = [(outcome.links[0].cell, outcome.now_ns < 0.9 * NS_PER_S) for outcome in observed.played.outcomes]
    assert (1, True) in cells
    assert (2, True) in cells
    for flow in observed.flows[-1]:
        assert flow.offered - flow.dropped == flow.arrived > 100_000


@pytest.mark.parametrize(("qos_flows", "most"), [(None, 4), (EQUAL, 4), ({"background": 9}, 0)])
def test_the_channel_record_counts_as_others_whom_hidden_states_do_not_go_before(ns3, qos_flows, most):
    given = NEAR | {"background": OTHERS, "qos_flows": qos_flows}
    found = rows(ns3(play, [Step([], BEGIN_NS), Step([BIG])], given, "nr").outcomes)
    assert {row.others for row in found} == {0, most}


@pytest.mark.parametrize("scenario", [Nr, NrMulticell])
@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"hidden_states": 81}, "qos_flows.hidden_states", "5QI 81 is none of 1, 2, 3, 4, 5, 6, 7, 8, 9, 65,"),
        ({"background": 0}, "qos_flows.background", "5QI 0 is none of 1, 2,"),
        ({"voice": 1}, "qos_flows", "voice"),
    ],
)
def test_what_is_no_5qi_is_refused_with_those_that_are(scenario, given, field, reason):
    with pytest.raises(RequestError) as refusal:
        scenario.parse({"qos_flows": given})
    assert refusal.value.field.startswith(f"radio.{field}")
    assert reason in str(refusal.value)


def test_the_page_has_the_table_of_5qis():
    page = (Path(__file__).parents[3] / "docs" / "scenarios" / "nr.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \| ([\w -]+) \| (\d+) \| (\d+) ms \| 10\^-(\d) \|$", page, re.MULTILINE)
    assert {
        int(number): (kind, int(level), int(delay_ms) / 1000, 10.0 ** -int(power))
        for number, kind, level, delay_ms, power in listed
    } == {number: tuple(row) for number, row in STANDARDISED.items()}
