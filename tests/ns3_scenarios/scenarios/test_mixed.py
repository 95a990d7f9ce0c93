# SPDX-License-Identifier: GPL-2.0-only
"""The mixed scenario: each kind as it is alone, neither disturbed by the other."""

import math
import re
import tomllib
from statistics import mean

import pytest
from msgspec import to_builtins

from bridge.network import NS_PER_S, RequestError, Status, Transfer, TransferOutcome, Wait
from ns3_scenarios.radio_statistics import LTE_FILES
from ns3_scenarios.scenarios.lte_network import DEVICE_HEIGHT_M, HEIGHT_M
from ns3_scenarios.scenarios.mixed import Mixed
from ns3_scenarios.simulation import open_network
from tests import ROOT
from tests.support.ns3_worker import Call, Played, Step, play

DEPART_NS = 2 * NS_PER_S  # when both kinds are attached, in a mixed network and in a pure one
OUT_OF_RANGE_M = 100_000.0
STEADY = {"lte_path_loss": "friis", "lte_distances_m": [50.0, 80.0], "wifi_distances_m": [2.0, 4.0]}
LTE, WIFI = (0, 1), (2, 3)  # the devices of each kind, there
NR = (4, 5)  # and with
THREE = {**STEADY, "nr_path_loss": "friis", "nr_distances_m": [40.0, 70.0]}


def mixed(ns3: Call, steps: list[Step], **parameters: object) -> Played:
    return ns3(play, steps, parameters, "mixed")


def outcome_at(
    scenario: str, parameters: dict, devices: tuple[int, ...], sizes: tuple[int, int], seed: int = 1
) -> list:
    """Transfers of these devices that depart at `DEPART_NS`, whatever the time at which the network was ready."""
    network = open_network(scenario, parameters, seed)
    try:
        asked = [Transfer(device, sizes[0], 0, sizes[1]) for device in devices]
        return list(network.exchange(asked, DEPART_NS, DEPART_NS + 60 * NS_PER_S, Wait.ALL).transfers)
    finally:
        network.close()


def recorded(parameters: dict, folder: str) -> None:
    """An exchange of everyone, with outputs in a folder."""
    network = open_network("mixed", parameters, 1, folder=folder)
    try:
        asked = [Transfer(device, 20_000, 0, 20_000) for device in range(len(network.info.devices))]
        network.exchange(asked, network.now_ns, network.now_ns + 10 * NS_PER_S)
    finally:
        network.close()


def times(transfers: list[TransferOutcome]) -> list[tuple]:
    return [(came.status, came.downlink_begin_ns, came.downlink_end_ns, came.uplink_end_ns) for came in transfers]


def test_all_kinds_move(ns3):
    """Each first device walks away along x: its SINR falls as its path loss grows, Friis and ITU's 30 dB a decade."""
    speeds_mps = (20.0, 0.0, 0.4, 0.0, 20.0, 0.0)
    movement = {"kind": "constant-velocity", "velocities_mps": [[speed, 0.0, 0.0] for speed in speeds_mps]}
    step = Step([Transfer(device, 20_000, 0, 20_000) for device in (*LTE, *WIFI, *NR)], 5 * NS_PER_S)
    still = {"nr_path_loss": "friis", "nr_distances_m": STEADY["lte_distances_m"]}
    played = mixed(ns3, [step, step], movement=movement, **STEADY, **still)
    before_s, after_s = (outcome.now_ns / NS_PER_S for outcome in played.outcomes)
    fell_db = [
        a.downlink_sinr_db - b.downlink_sinr_db for a, b in zip(*(o.links for o in played.outcomes), strict=True)
    ]
    away_m = [math.hypot(50.0 + 20.0 * time_s, HEIGHT_M["umi"] - DEVICE_HEIGHT_M) for time_s in (before_s, after_s)]
    assert fell_db[0] == pytest.approx(20 * math.log10(away_m[1] / away_m[0]), abs=0.1)
    assert fell_db[2] == pytest.approx(30 * math.log10((2 + 0.4 * after_s) / (2 + 0.4 * before_s)), abs=0.1)
    assert fell_db[4] == pytest.approx(20 * math.log10(away_m[1] / away_m[0]), abs=0.1)
    assert fell_db[1::2] == pytest.approx([0, 0, 0], abs=0.01)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_lte_is_as_it_is_alone(ns3, transport):
    """Nothing in it is random with Friis, so that each time has to be the same to the nanosecond."""
    sizes = (100_000, 50_000)
    pure = {"path_loss": "friis", "distances_m": STEADY["lte_distances_m"], "transport": transport}
    alone = ns3(outcome_at, "lte", pure, LTE, sizes)
    assert times(ns3(outcome_at, "mixed", {**STEADY, "transport": transport}, LTE, sizes)) == times(alone)
    assert {came.status for came in alone} == {Status.DONE}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_wifi_is_as_it_is_alone_but_for_the_luck_of_its_back_offs(ns3, transport):
    """A single block of 4 MB varies by some 6 %, the mean of five less than half as much."""
    sizes, seeds = (4_000_000, 4_000_000), range(1, 6)
    pure = {"distances_m": STEADY["wifi_distances_m"], "transport": transport}
    here = {**STEADY, "transport": transport}
    alone = [ns3(outcome_at, "wifi", pure, (0,), sizes, seed)[0] for seed in seeds]
    came = [ns3(outcome_at, "mixed", here, WIFI[:1], sizes, seed)[0] for seed in seeds]
    assert {transfer.status for transfer in (*alone, *came)} == {Status.DONE}
    for took_ns in (lambda t: t.downlink_end_ns - DEPART_NS, lambda t: t.uplink_end_ns - t.compute_end_ns):
        assert mean(map(took_ns, came)) == pytest.approx(mean(map(took_ns, alone)), rel=0.05)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_neither_kind_waits_for_the_other(ns3, transport):
    """The same network twice over: with its other kind idle, each device's times are what they are with it busy."""
    parameters, sizes = {**STEADY, "transport": transport}, (200_000, 200_000)
    together = ns3(outcome_at, "mixed", parameters, (*LTE, *WIFI), sizes)
    assert {came.status for came in together} == {Status.DONE}
    assert ns3(outcome_at, "mixed", parameters, LTE, sizes) == together[: len(LTE)]
    assert ns3(outcome_at, "mixed", parameters, WIFI, sizes) == together[len(LTE) :]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    "beside", [STEADY, {"lte_devices": 0, "wifi_distances_m": [3.0]}, {"lte_devices": 0, "wifi_devices": 0}]
)
def test_nr_is_as_it_is_alone(ns3, transport, beside):
    """With fading, whose random streams have numbers of their own; those of sight and shadowing have none."""
    sizes, pure = (100_000, 50_000), {"distances_m": THREE["nr_distances_m"], "line_of_sight": "always"}
    pure |= {"shadowing_sigma_db": 0.0, "neighbours": {"sites": 0}}
    alone = ns3(outcome_at, "nr", {**pure, "transport": transport}, (0, 1), sizes)
    given = {**beside, **{f"nr_{name}": value for name, value in pure.items()}, "transport": transport}
    scenario = Mixed.parse(given)
    before = len(scenario.lte_distances_m or ()) + len(scenario.wifi_distances_m or ())
    came = ns3(outcome_at, "mixed", given, (before, before + 1), sizes)
    assert times(came) == times(alone)
    assert {transfer.status for transfer in alone} == {Status.DONE}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_none_of_three_kinds_waits_for_another(ns3, transport):
    parameters, sizes = {**THREE, "transport": transport}, (200_000, 100_000)
    together = ns3(outcome_at, "mixed", parameters, (*LTE, *WIFI, *NR), sizes)
    assert {came.status for came in together} == {Status.DONE}
    assert ns3(outcome_at, "mixed", parameters, LTE, sizes) == together[:2]
    assert ns3(outcome_at, "mixed", parameters, WIFI, sizes) == together[2:4]
    assert ns3(outcome_at, "mixed", parameters, NR, sizes) == together[4:]


def test_an_nr_cell_changes_nothing_for_the_others(ns3):
    """But the luck of Wi-Fi's back-offs, which are numbered in the order in which a scenario is built."""
    sizes = (100_000, 50_000)
    assert times(ns3(outcome_at, "mixed", THREE, LTE, sizes)) == times(ns3(outcome_at, "mixed", STEADY, LTE, sizes))


def test_without_nr_there_is_none(ns3):
    """Nothing is asked for, and all is as when it is said that there are none."""
    step = Step([Transfer(device, 50_000, 0, 50_000) for device in (*LTE, *WIFI)])
    played = mixed(ns3, [step], **STEADY)
    assert played.info.devices == ("ue0", "ue1", "sta0", "sta1")
    assert mixed(ns3, [step], **STEADY, nr_devices=0) == played


def test_an_nr_device_goes_away(ns3):
    parameters = {**THREE, "life": [{"kind": "absence", "devices": [4], "intervals_s": [[0]]}]}
    came = ns3(outcome_at, "mixed", parameters, (1, 4, 5), (20_000, 20_000))
    assert [transfer.status for transfer in came] == [Status.DONE, Status.UNREACHABLE, Status.DONE]


def test_statistics_are_those_of_all_kinds(ns3, tmp_path):
    parameters = {**THREE, "outputs": ["statistics"]}
    ns3(recorded, parameters, str(tmp_path / "out"))
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert {*LTE_FILES.values(), "wifi.txt", "nr.txt"} <= written
    of_nr = (tmp_path / "out" / "nr.txt").read_text()
    assert {"nr0", "nr1"} <= {*of_nr.split()}
    assert not {"ue0", "sta0"} & {*of_nr.split()}


def test_each_kind_has_its_own_state(ns3):
    played = mixed(ns3, [Step([Transfer(i, 50_000, 0, 50_000) for i in range(4)])], **STEADY)
    assert played.info.devices == ("ue0", "ue1", "sta0", "sta1")
    links = played.outcomes[0].links
    assert [link.device for link in links] == [0, 1, 2, 3]
    assert all(link.connected for link in links)
    assert [link.cqi for link in links] == [15, 15, None, None]
    assert [link.downlink_mcs for link in links] == [28, 28, 11, 11]
    assert max(link.downlink_rate_bps for link in links[:2]) < 100e6 < min(link.downlink_rate_bps for link in links[2:])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("devices", [1, 4, 32])
def test_any_number_of_devices_twice_the_same(ns3, transport, devices):
    steps = [Step([Transfer(i, 4096, 10**6, 4096) for i in range(2 * devices)], 10**6, 10 * NS_PER_S)]
    parameters = {"lte_devices": devices, "wifi_devices": devices, "lte_path_loss": "friis", "transport": transport}
    first, again = (mixed(ns3, steps, **parameters) for _ in range(2))
    assert first == again
    assert {came.status for came in first.outcomes[0].transfers} == {Status.DONE}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_deadline_cuts_cleanly(ns3, transport):
    """What was cut would hold each link for a second. What follows finds it free."""
    after = Step([Transfer(i, 20_000, 0, 20_000) for i in range(4)], 20_000_000)
    cut = Step([Transfer(i, size, 0, size) for i, size in enumerate([10**7] * 2 + [4 * 10**7] * 2)], 0, 50_000_000)
    fresh = mixed(ns3, [after], **STEADY, transport=transport)
    played = mixed(ns3, [cut, after], **STEADY, transport=transport)
    assert [came.status for came in played.outcomes[0].transfers] == [Status.LATE] * 4
    assert all(link.rlc_queue_bytes < 4 * 64 * 1600 for link in played.outcomes[0].links)
    assert [came.status for came in played.outcomes[1].transfers] == [Status.DONE] * 4
    for took_ns, fresh_ns in zip(played.took_ns(1), fresh.took_ns(0), strict=True):
        assert took_ns < 3 * fresh_ns


def test_one_out_of_range_is_unreachable_whatever_its_kind(ns3):
    far = {"lte_distances_m": [50.0, OUT_OF_RANGE_M], "wifi_distances_m": [OUT_OF_RANGE_M, 2.0]}
    played = mixed(ns3, [Step([Transfer(i, 1000, 0, 1000) for i in range(4)])], **{**STEADY, **far})
    statuses = [came.status for came in played.outcomes[0].transfers]
    assert statuses == [Status.DONE, Status.UNREACHABLE, Status.UNREACHABLE, Status.DONE]
    assert [link.connected for link in played.outcomes[0].links] == [True, False, False, True]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"lte_devices": -1}, "radio.lte_devices"),
        ({"lte_devices": 0, "wifi_devices": 0}, "radio.lte_devices"),
        ({"lte_devices": 0, "lte_distances_m": [50.0]}, "radio.lte_devices"),
        ({"nr_devices": 257}, "radio.nr_devices"),
        ({"nr_devices": 1, "nr_distances_m": [30.0, 50.0]}, "radio.nr_devices"),
        ({"nr_devices": 1, "nr_bandwidth_mhz": 7}, "radio.nr_bandwidth_mhz"),
        ({"nr_devices": 1, "nr_pattern": "DDD"}, "radio.nr_pattern"),
        ({"nr_pattern": "DDDDU"}, "radio.nr_pattern"),
        ({"wifi_devices": 129}, "radio.wifi_devices"),
        ({"lte_devices": 3, "lte_distances_m": [50.0]}, "radio.lte_devices"),
        ({"lte_distances_m": [5.0]}, "radio.lte_distances_m"),
        ({"wifi_devices": 3, "wifi_distances_m": [5.0]}, "radio.wifi_devices"),
        ({"wifi_mcs": 12}, "radio.wifi_mcs"),
        ({"lte_profile": "3mhz"}, "radio.lte_profile"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as caught:
        Mixed.parse(parameters)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"lte_devices": 2},
        {"wifi_distances_m": [3.0]},
        {"lte_devices": 0},
        {"nr_devices": 2, "wifi_devices": 0},
        {"lte_devices": 0, "wifi_devices": 0, "nr_distances_m": [30.0], "nr_path_loss": "inh"},
    ],
)
def test_the_filled_in_parameters_give_the_same_scenario(parameters):
    scenario = Mixed.parse(parameters)
    assert Mixed.parse(to_builtins(scenario)) == scenario


def test_the_documentation_s_toml_is_understood():
    (listing,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "docs/scenarios/mixed.md").read_text(), re.MULTILINE | re.DOTALL
    )
    radio = tomllib.loads(listing)["radio"]
    assert radio.pop("scenario") == "mixed"
    Mixed.parse(radio)
