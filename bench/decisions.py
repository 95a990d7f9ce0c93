# SPDX-License-Identifier: Apache-2.0
"""How long each policy takes for a layer of 4,096 tokens: `python -m bench.decisions`.

Weights are of random logits, devices differ by a factor of 30 in time. A decision includes what the policy asks of the
forecast; the figure is the median CPU time over several layers, after one that compiles.
"""

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge.network import LinkState, Outcome
from model_side.base_station import LayerForecast
from model_side.calibration import LEVELS, Calibration, Outputs
from model_side.element import WireFormat
from model_side.energy import Powers
from model_side.placement import LayerPlacement
from model_side.policies import POLICIES, make_policy
from model_side.prediction import Radiated
from model_side.prediction.line import Line
from model_side.routing import Floats, Gate, Indices, Missing
from model_side.selection import Layer, Phase, Selection

SEED = 1
TOKENS = 4096
TOKEN_BYTES = 8192
SIZES = ((8, 2, 8), (64, 8, 32), (256, 8, 64))  # experts, k, devices
SCALE = 2.0  # standard deviation of the logits
LAYERS = 7
OPTIONS: dict[str, dict[str, dict[str, object]]] = {
    "top-p, k_max 12": {"top-p": {"k_max": 12}},
    "static, half": {"static": {"devices": [0, 1, 2, 3]}},
    "substitute, eps 0.5": {"substitute": {"eps": 0.5}},
    "des, gamma0 0.7": {"des": {"gamma0": 0.7}},
    "des, gamma0 0.5": {"des": {"gamma0": 0.5}},
}


@dataclass
class Compute:
    """Each device's `token_s` [D] a token of an expert."""

    token_s: Floats

    def layer_s(self, layer: int, tokens: int, context: int) -> float:
        """Nothing."""
        return 0.0

    def head_s(self, tokens: int, context: int) -> float:
        """Nothing."""
        return 0.0

    def batch_layer_s(self, layer: int, rows: tuple[tuple[int, int], ...]) -> float:
        """Nothing."""
        return 0.0

    def batch_head_s(self, rows: tuple[tuple[int, int], ...], given: int) -> float:
        """Nothing."""
        return 0.0

    def devices_s(self, tokens: NDArray[np.int64], device: Indices) -> Floats:
        """See `model_side.base_station.ComputeTimes`."""
        return np.asarray((tokens * self.token_s[device]) @ np.eye(len(self.token_s))[device])


def layer(experts: int, k: int, devices: int, seed: int) -> Layer:
    """A layer of a prompt's pass, expert e on device e modulo `devices`."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, SCALE, (TOKENS, experts)).astype(np.float32)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    indices = np.argsort(-scores, axis=1)[:, :k].astype(np.int64)
    weights = np.take_along_axis(probabilities, indices, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    holds = np.eye(devices, dtype=bool)[np.arange(experts) % devices]
    placement = LayerPlacement(holds)
    rates_bps, token_s = np.exp(rng.uniform(0, np.log(30), (2, devices))) * [[1e7], [1e-4]]
    links = tuple(LinkState(device, True, downlink_rate_bps=rate) for device, rate in enumerate(rates_bps.tolist()))
    predictor = Line(devices)
    predictor.rate_bps[:] = rates_bps
    predictor.observe((), Outcome(0, (), links), 0, 0, np.ones(devices))
    return Layer(
        gate=Gate(0, experts, probabilities, weights, indices, scores),
        layers=4,
        phase=Phase.PREFILL,
        request=0,
        position=0,
        deadline_s=600.0,
        placement=placement,
        links=links,
        missing=Missing(),
        forecast=LayerForecast(
            placement,
            Compute(token_s),
            predictor,
            WireFormat(TOKEN_BYTES),
            0,
            Powers.unknown(devices),
            Radiated(devices),
        ),
        selection=Selection(weights, indices),
        table=table(experts, k, rng),
    )


def table(experts: int, k: int, rng: np.random.Generator, layers: int = 4) -> Calibration:
    """Experts that put out random vectors about as far from each other as from nothing, as the shipped model's do."""
    outputs = rng.normal(0.5, 1, (experts, 64))
    distance = np.linalg.norm(outputs[:, None] - np.vstack([outputs, np.zeros(64)])[None], axis=2)
    shares = np.tile(LEVELS, (layers, k, 1))
    distances, together = (np.tile(part, (layers, 1, 1)) for part in (distance, np.eye(experts)))
    worth = np.linspace(1, 5, layers)
    norms = np.repeat(distances[:, None, :, -1], experts, axis=1)
    outputs_of = Outputs(distances, norms, np.full(layers, 6.0), worth, worth / 36)
    return Calibration("", "", 1, shares, shares[:, 0], together, outputs_of)


def decision_ms(name: str, options: dict[str, dict[str, object]], layers: list[Layer]) -> float:
    """The median over the layers but the first, in CPU time: what else the machine does is left out."""
    policy = make_policy(name, options)
    took_ms = []
    for seen in layers:
        fresh = replace(seen)  # with nothing cached
        began = time.thread_time()
        policy(fresh)
        took_ms.append(1e3 * (time.thread_time() - began))
    return statistics.median(took_ms[1:])


def main() -> None:
    """Print a table."""
    table = Table("policy", *(f"{e} experts, k = {k}, {d} devices" for e, k, d in SIZES))
    table.title = f"median CPU ms a decision, {TOKENS} tokens"
    seen = [[layer(*size, SEED + number) for number in range(LAYERS + 1)] for size in SIZES]
    for row in (*(name for name, kind in POLICIES.items() if not kind.foresees), *OPTIONS):
        name, options = row.split(",")[0], OPTIONS.get(row, {})
        table.add_row(row, *(f"{decision_ms(name, options, layers):.1f}" for layers in seen))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
