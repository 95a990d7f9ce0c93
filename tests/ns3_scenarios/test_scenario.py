# SPDX-License-Identifier: GPL-2.0-only
"""A scenario's parameters: defaults that are filled in, and bad input that is refused by the field's name."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from bridge.network import RequestError
from ns3_scenarios.scenarios.lte import FARTHEST_M, NEAREST_M, Lte
from ns3_scenarios.simulation import open_network
from tests.support.wired_star import WiredStar


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"device": 4}, "radio.device"),
        ({"devices": "four"}, "radio.devices"),
        ({"devices": 4.5}, "radio.devices"),
        ({"devices": True}, "radio.devices"),
        ({"devices": 0}, "radio.devices"),
        ({"devices": 320}, "radio.devices"),
        ({"distances_m": [-1.0]}, "radio.distances_m[0]"),
        ({"distances_m": [50.0, -3]}, "radio.distances_m[1]"),
        ({"distances_m": [50.0, 60.0], "devices": 3}, "radio.devices"),
        ({"distances_m": []}, "radio.distances_m"),
        ({"distances_m": [3.0]}, "radio.distances_m"),
        ({"distances_m": [math.nan]}, "radio.distances_m"),
        ({"distances_m": 50.0}, "radio.distances_m"),
        ({"positions_m": [[50.0, 0.0]]}, "radio.positions_m[0]"),
        ({"positions_m": [[50.0, 0.0, 1.5]], "distances_m": [50.0]}, "radio.distances_m"),
        ({"positions_m": [[3.0, 0.0, 1.5]]}, "radio.positions_m"),
        ({"core_delay_s": math.inf}, "radio.core_delay_s"),
        ({"core_delay_s": -0.1}, "radio.core_delay_s"),
        ({"fading": "umi", "path_loss": "uma"}, "radio.fading"),
        ({"fading": "rayleigh"}, "radio.fading"),
        ({"transport": "quic"}, "radio.transport"),
        ({"shadowing_sigma_db": -1}, "radio.shadowing_sigma_db"),
        ({"scheduler": None}, "radio.scheduler"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        Lte.parse(parameters)
    assert refusal.value.field == field
    assert "$" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("6g", {}, 1), "radio.scenario"),
        (("lte", {}, 0), "seed"),
        (("lte", {}, 2**32), "seed"),
        (("lte", {}, 1, {"life": 0}), "seeds.life"),
        (("lte", {}, 1, {"prompts": 1}), "seeds.prompts"),
    ],
)
def test_a_network_that_nobody_could_open_is_refused_by_name(arguments, field):
    with pytest.raises(RequestError) as refusal:
        open_network(*arguments)
    assert refusal.value.field == field


@given(
    devices=st.none() | st.integers(1, 319),
    core_delay_s=st.floats(0, 10),
    shadowing_sigma_db=st.none() | st.floats(0, 30),
    path_loss=st.sampled_from(["umi", "uma", "log-distance", "friis"]),
)
def test_the_filled_in_parameters_give_the_same_scenario(**parameters):
    scenario = Lte.parse(parameters)
    assert Lte.parse(to_builtins(scenario)) == scenario
    assert scenario.devices == len(scenario.distances_m) == (parameters["devices"] or 8)
    assert scenario.distances_m[0] == NEAREST_M
    assert len(scenario.distances_m) == 1 or scenario.distances_m[-1] == pytest.approx(FARTHEST_M)
    assert sorted(set(scenario.distances_m)) == list(scenario.distances_m)


def test_a_users_scenario_is_checked_in_the_same_way():
    assert WiredStar.parse({"rates_bps": [1000, 2000]}).rates_bps == (1000, 2000)
    for parameters, field in (({"rates_bps": []}, "radio.rates_bps"), ({"rates_bps": [0]}, "radio.rates_bps[0]")):
        with pytest.raises(RequestError) as refusal:
            WiredStar.parse(parameters)
        assert refusal.value.field == field
