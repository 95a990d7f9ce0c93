# SPDX-License-Identifier: GPL-2.0-only
"""The same seed gives the same network to the nanosecond, in every built-in scenario."""

import pytest

from bridge.network import NS_PER_S, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from tests.support.ns3_worker import Played, Step, play

MS = 1_000_000
BUILT_IN = [name for name, kind in SCENARIOS.items() if kind.__module__.startswith("ns3_scenarios.")]
CASES: dict[str, list[dict[str, object]]] = {
    "lte": [{}, {"transport": "tcp", "fading": "umi", "shadowing_sigma_db": None, "scheduler": "rr"}],
    "wifi": [{}, {"transport": "udp", "channel_width_mhz": 20}],
    "wired": [{}, {"kind": "csma", "rate_bps": 10**8}, {"transport": "tcp", "delay_s": 0.01}],
}
"""Parameters to try beside the defaults, or instead of them in a scenario that has required ones."""
WITHOUT_CHANCE = [("recorded", {}), ("wired", {}), ("wired", {"transport": "tcp", "delay_s": 0.01})]
"""Where nothing is random, so that another seed changes nothing."""

CHOSEN = [(name, parameters) for name in BUILT_IN for parameters in CASES.get(name, [{}])]


def steps(devices: int) -> list[Step]:
    """All at once, one alone up to a deadline that cuts it short, the fastest of all, and all again."""
    return [
        Step([Transfer(i, 20_000 + i, i * MS, 9_000) for i in range(devices)], 3_333_333, 2 * NS_PER_S),
        Step([Transfer(devices - 1, 2_000_000, 0, 1)], 0, 15 * MS),
        Step([Transfer(i, 3_000, 0, 3_000) for i in range(devices)], 0, NS_PER_S, Wait.ANY),
        Step([Transfer(i, 5_000, 0, 5_000) for i in range(devices)], 10 * MS, NS_PER_S),
    ]


def played(scenario: str, parameters: dict[str, object], seed: int) -> Played:
    devices = len(play([], parameters, scenario, seed).info.devices)
    return play(steps(devices), parameters, scenario, seed)


@pytest.mark.parametrize(("scenario", "parameters"), CHOSEN, ids=str)
def test_twice_in_one_process_and_in_another(ns3, another, scenario, parameters):
    """With other seeds in between, one of which differs where there is chance."""
    first = ns3(played, scenario, parameters, 5)
    is_without_chance = (scenario, parameters) in WITHOUT_CHANCE
    seeds = (6,) if is_without_chance else (6, 7, 8, 9)  # chance may choose the same lines of sight once
    assert all(first == ns3(played, scenario, parameters, seed) for seed in seeds) is is_without_chance
    assert first == ns3(played, scenario, parameters, 5)
    assert first == another(played, scenario, parameters, 5)
