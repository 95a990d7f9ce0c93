# SPDX-License-Identifier: GPL-2.0-only
"""Seeds are replications: what ns-3 draws by consecutive seeds is uncorrelated and has its distribution.

Each assertion of the statistics would fail by chance once in 10^9 times if all were as it should be; the seeds are
fixed, so that it never does, unless it is not.
"""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bridge.network import NS_PER_S
from ns3_scenarios.scenario import Topology
from ns3_scenarios.scenarios import SCENARIOS, propagation
from ns3_scenarios.simulation import open_network
from ns3_scenarios.world import streams
from ns3_scenarios.world.movement import HEADERS, stand
from tests.support.wired_star import WiredStar

CHANCE = 1e-9
SEEDS = range(1, 201)
DEVICES = 250
DISTANCE_M = 100.0
SIGHT = 18 / DISTANCE_M + math.exp(-DISTANCE_M / 36) * (1 - 18 / DISTANCE_M)  # TR 38.901 table 7.4.2-1, UMi
SIGMA_DB = 4.0  # TR 38.901 table 7.4.1-1: shadowing of UMi in line of sight
RANGES = (streams.BACKGROUND, streams.MOVEMENT, streams.NR, streams.NEIGHBOURS, streams.LIFE, streams.RECORDED)
NUMBERS = [number for each in RANGES for number in each[:6]] + [streams.LIFE[2**20]]
BY_ITSELF = 10  # streams that ns-3 numbers


class Dice(WiredStar, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cable, and beside it what chance gives: first draws of streams, and a cell's line of sight and shadowing."""

    name = "dice"
    headers = (
        *WiredStar.headers,
        *HEADERS,
        "ns3/random-variable-stream.h",
        "ns3/propagation-loss-model.h",
        "ns3/channel-condition-model.h",
        "nr-channel.h",
    )
    modules = (*WiredStar.modules, "spectrum")
    devices: int = DEVICES

    def build(self, ns: Any) -> Topology:
        topology = super().build(ns)
        nodes = ns.NodeContainer()
        for device in topology.devices:
            nodes.Add(device.node)
        self.place(ns, nodes, [(0.0, 0.0, 1.5)] * len(topology.devices))
        drawn = (first_draws(ns), *self.channel(ns))
        return replace(topology, keep=drawn)

    def channel(self, ns: Any) -> tuple[list[Any], ...]:
        """Of each device, which all are at one place: line of sight if it stands or moves, and shadowing in dB.

        Shadowing is that which TR 38.901 prescribes, and that of the parameter.
        """
        cell, nodes = ns.NodeContainer(1), ns.NodeContainer(self.devices)
        stand(ns, cell, [(0.0, 0.0, 10.0)])
        stand(ns, nodes, [(DISTANCE_M, 0.0, 1.5)] * self.devices)
        gnb = cell.Get(0).GetObject[ns.MobilityModel]()
        places = [nodes.Get(i).GetObject[ns.MobilityModel]() for i in range(self.devices)]
        sights = []
        for is_moving in (False, True):
            _, condition = models(ns, "random", 0.0, is_moving)
            sights.append([bool(condition.GetChannelCondition(gnb, place).IsLos()) for place in places])
        plain, *shadowed = (models(ns, "always", sigma_db)[0] for sigma_db in (0.0, None, SIGMA_DB))
        without_dbm = plain.CalcRxPower(0.0, gnb, places[0])
        return *sights, *([without_dbm - model.CalcRxPower(0.0, gnb, at) for at in places] for model in shadowed)


SCENARIOS["dice"] = Dice


def models(ns: Any, sight: propagation.Sight, sigma_db: float | None, is_moving: bool = False) -> tuple[Any, Any]:
    """Of path loss and line of sight, of UMi at 3.5 GHz."""
    given = {"exponent": 3.0, "line_of_sight": sight, "shadowing_sigma_db": sigma_db, "is_moving": is_moving}
    return propagation.path_loss(ns, "umi", 3.5e9, **given)


def first_draws(ns: Any) -> list[float]:
    """Of the streams that ns-3 numbers itself, and then of numbered ones."""
    variables = [ns.CreateObject[ns.UniformRandomVariable]() for _ in range(BY_ITSELF + len(NUMBERS))]
    for variable, number in zip(variables[BY_ITSELF:], NUMBERS, strict=True):
        variable.SetStream(number)
    return [variable.GetValue() for variable in variables]


def roll() -> list[tuple[list[Any], ...]]:
    """What each seed gives."""
    rolled = []
    for seed in SEEDS:
        network = open_network("dice", {}, seed)
        rolled.append(network._topology.keep)
        network.close()
    return rolled


@pytest.fixture(scope="module")
def rolled(ns3) -> list[NDArray[np.float64]]:
    """First draws [seeds, streams]; two kinds of line of sight and then of shadowing [seeds, devices]."""
    return [np.array(each, float) for each in zip(*ns3(roll), strict=True)]


def assert_independent(standard: NDArray[np.float64]) -> None:
    """Of standardised values [seeds, columns]: nothing goes with the next seed, or with another column.

    A mean product of n independent pairs is near normal with deviation 1 / sqrt(n).
    """
    seeds, columns = standard.shape
    tests = columns * (columns + 1) / 2 + columns
    bound = stats.norm.isf(CHANCE / tests / 2) / math.sqrt(seeds - 1)
    next_seed = (standard[1:] * standard[:-1]).mean(axis=0)
    assert np.abs(next_seed).max() < bound
    assert abs(next_seed.mean()) < bound / math.sqrt(columns)
    across = standard.T @ standard / seeds
    assert np.abs(across - np.diag(np.diag(across))).max() < bound


def assert_distributed(values: NDArray[np.float64], distribution: Any) -> None:
    """Of values [seeds, columns]: those of every seed, of every column, and all together, by Kolmogorov and Smirnov."""
    samples = [*values, *values.T, values.ravel()]
    worst = min(stats.kstest(sample, distribution.cdf, method="asymp").pvalue for sample in samples)
    assert worst > CHANCE / len(samples)


def test_first_draws_are_uniform_and_independent(rolled):
    draws = rolled[0]
    assert_distributed(draws, stats.uniform)
    assert_independent((draws - 0.5) * math.sqrt(12))


@pytest.mark.parametrize("kind", [1, 2], ids=["stands", "moves"])
def test_line_of_sight_is_a_coin_for_each_device_and_seed(rolled, kind):
    sight = rolled[kind]
    for counts, trials in ((sight.sum(axis=0), len(SEEDS)), (sight.sum(axis=1), DEVICES), (sight.sum(), sight.size)):
        alone = stats.binom(trials, SIGHT)
        chance = CHANCE / np.size(counts) / 2
        assert alone.ppf(chance) <= np.min(counts)
        assert np.max(counts) <= alone.isf(chance)
    assert_independent((sight - SIGHT) / math.sqrt(SIGHT * (1 - SIGHT)))


@pytest.mark.parametrize("kind", [3, 4], ids=["prescribed", "ours"])
def test_shadowing_is_normal_and_independent(rolled, kind):
    normal = rolled[kind] / SIGMA_DB
    assert_distributed(normal, stats.norm)
    assert_independent(normal)


def test_seeds_of_ns3_itself_would_be_no_replications(ns3):
    """Why a seed is ns-3's run: by ns-3's own seed the first draws of seed s are s times those of seed 1, modulo 1.

    But for some 10^-5, as the generator's two parts have slightly different moduli.
    """
    first, *others = (np.array(ns3(by_seed, seed)) for seed in (1, 2, 3, 4))
    for times, draws in enumerate(others, 2):
        off = (draws - times * first) % 1
        assert np.minimum(off, 1 - off).max() < 1e-4


def by_seed(seed: int) -> list[float]:
    network = open_network("dice", {"devices": 1}, 1)
    ns = network._ns
    try:
        ns.Config.SetGlobal("RngSeed", ns.UintegerValue(seed))
        return first_draws(ns)
    finally:
        network.close()


def test_the_ranges_of_fixed_streams_do_not_meet():
    ordered = sorted(RANGES, key=lambda each: each[0])
    assert all(first[-1] < second[0] for first, second in itertools.pairwise(ordered))


WORLD = {
    "movement": {"kind": "random-waypoint", "x_m": [0, 50], "y_m": [0, 50], "speed_mps": [1, 5]},
    "life": [{"kind": "random-absence", "mean_present_s": 0.1, "mean_absent_s": 0.1}],
    "background": [{"kind": "on-off", "device": 0, "rate_bps": 1e6, "mean_on_s": 0.1, "mean_off_s": 0.1}],
}


def live(seed: int, apart: dict[str, int] | None = None) -> dict[str, list[Any]]:
    """What became of each kind of chance within 2 s."""
    network = open_network("dice", {**WORLD, "devices": 5, "rates_bps": [10**7] * 2}, seed, apart)
    try:
        seen: dict[str, list[Any]] = {"radio": list(network._topology.keep), **{kind: [] for kind in streams.APART}}
        for time_ns in range(0, 2 * NS_PER_S, NS_PER_S // 50):
            outcome = network.exchange([], time_ns, time_ns)
            models = [d.node.GetObject[network._ns.MobilityModel]() for d in network._topology.devices]
            seen["movement"] += [(place.x, place.y) for place in (model.GetPosition() for model in models)]
            seen["life"].append([link.connected for link in outcome.links])
            seen["background"].append([flow.GetOfferedBytes() for flow in network._flows])
        return seen
    finally:
        network.close()


@pytest.mark.parametrize("kind", streams.APART)
def test_each_kind_of_chance_can_be_drawn_apart(ns3, kind):
    """By another seed it is what it would be by that one for all, and all else stays as it was."""
    one, other = ns3(live, 1), ns3(live, 2)
    assert all(one[each] != other[each] for each in one)
    assert ns3(live, 1, {kind: 2}) == one | {kind: other[kind]}
    assert ns3(live, 2, dict.fromkeys(streams.APART, 1)) == one | {"radio": other["radio"]}
