# SPDX-License-Identifier: Apache-2.0
"""How long each policy takes for a layer of 4,096 tokens: `python -m bench.decisions`.

Weights are of random logits, devices differ by a factor of 30 in time. A decision includes what the policy asks of the
forecast; the figure is the median CPU time over several layers, after one that compiles.
"""

import statistics
import time
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from model_side.placement import LayerPlacement
from model_side.policies import POLICIES, make_policy
from model_side.selection import Layer
from tests.support.layers import gate_of, layer_of

SEED = 1
TOKENS = 4096
SIZES = ((8, 2, 8), (64, 8, 32), (256, 8, 64))  # experts, k, devices
SCALE = 2.0  # standard deviation of the logits
LAYERS = 7
OPTIONS: dict[str, dict[str, dict[str, object]]] = {
    "top-p, k_max 12": {"top-p": {"k_max": 12}},
    "static, half": {"static": {"devices": [0, 1, 2, 3]}},
    "des, gamma0 0.7": {"des": {"gamma0": 0.7}},
    "des, gamma0 0.5": {"des": {"gamma0": 0.5}},
}


def layer(experts: int, k: int, devices: int, seed: int) -> Layer:
    """A layer of a prompt's pass, expert e on device e modulo `devices`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, SCALE, (TOKENS, experts)).astype(np.float32)
    times = {
        name: np.exp(rng.uniform(np.log(1e-6), np.log(30e-6), devices)) for name in ("fixed_s", "token_s", "expert_s")
    }
    holds = np.eye(devices, dtype=bool)[np.arange(experts) % devices]
    return layer_of(gate_of(logits, k), LayerPlacement(holds), **times)


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
    for row in (*POLICIES, *OPTIONS):
        name, options = row.split(",")[0], OPTIONS.get(row, {})
        table.add_row(row, *(f"{decision_ms(name, options, layers):.1f}" for layers in seen))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
