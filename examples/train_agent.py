# SPDX-License-Identifier: Apache-2.0
"""
A small agent, trained and run as a policy
==========================================

``python examples/train_agent.py FOLDER`` takes some minutes on a CPU. It records two cells, trains a network of 81
numbers on what-ifs of them, writes it as a policy file, and runs that against top-k on a third cell, live and with the
model.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cosim
from cosim.env import ExpertSelection
from cosim.results.routing_trace import write_routing
from model_side.layer_view import FEATURES

Parameters = NDArray[np.float64]

HIDDEN = 4
COUNT = (len(FEATURES) + 2) * HIDDEN + 1
CONFIG = {"workload": {"requests": 8, "prompt_tokens": 32, "new_tokens": 12}}

# %%
# The agent
# ---------
# One network for all experts: it reads an expert's features and gives its threshold. So it fits any number of them.


def thresholds(parameters: Parameters, observation: NDArray[np.float32], hidden: int = 4) -> Parameters:
    """Of each expert [E], from what is seen of it [E, F]: a layer of `hidden` neurons, then one."""
    first, second = np.split(parameters, [-hidden - 1])
    inner = np.tanh(observation @ first[hidden:].reshape(-1, hidden) + first[:hidden])
    return 1 / (1 + np.exp(-(inner @ second[:-1] + second[-1])))


# %%
# Training
# --------
# The cross-entropy method (Rubinstein): draw agents from a normal distribution, keep the best, fit it to these, again.
# All agents of a generation play the same episodes, so that they differ by what they do alone.


def play(env: ExpertSelection, act: Callable[[NDArray[np.float32]], Parameters], seeds: Sequence[int]) -> float:
    """The mean return of a step over the episodes of these seeds."""
    total, steps = 0.0, 0
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            observation, reward, over, _, _ = env.step(act(observation))
            total, steps = total + float(reward), steps + 1
    return total / steps


def train(env: ExpertSelection, generations: int = 16, population: int = 24, episodes: int = 2) -> Parameters:
    """The mean of the last generation's best quarter; the same call gives the same agent."""
    chance = np.random.default_rng(1)
    mean, spread = np.zeros(COUNT), np.ones(COUNT)
    mean[-1] = -3  # thresholds of 0.05: nearly the model's own choice
    for generation in range(generations):
        seeds = range(1000 + episodes * generation, 1000 + episodes * (generation + 1))
        agents = mean + spread * chance.normal(size=(population, COUNT))
        returns = np.array([play(env, lambda seen, each=each: thresholds(each, seen), seeds) for each in agents])
        best = agents[np.argsort(-returns)[: population // 4]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.3 * 0.85**generation
        print(f"generation {generation + 1:2}: return a layer {returns.mean():.4f}, the best {returns.max():.4f}")
    return mean


# %%
# As a policy
# -----------
# The numbers stand in the file itself, so that its digest, which the journal keeps, is that of the agent.

POLICY = """# written by examples/train_agent.py
import numpy as np

from model_side.layer_view import keep_above, view
from model_side.policies import Policy

Parameters = NDArray = np.ndarray
PARAMETERS = np.array({numbers})


{thresholds}

class Agent(Policy):
    \"\"\"Leave out the experts whose weight does not reach what a trained network asks of them.\"\"\"

    def __call__(self, layer):
        return keep_above(layer, thresholds(PARAMETERS, view(layer)))
"""


def write_policy(parameters: Parameters, path: Path) -> None:
    """A policy file of the agent."""
    source = inspect.getsource(thresholds)
    numbers = [float(f"{value:.6g}") for value in parameters]
    path.write_text(POLICY.format(numbers=numbers, thresholds=source))


# %%
# All of it
# ---------


def main(folder: Path) -> None:
    """Record, train, and run against top-k where the agent has not been."""
    records = [cosim.run({**CONFIG, "seed": seed}, out=folder / f"cell-{seed}") for seed in (1, 2)]
    write_routing(records[0], folder / "own.parquet")
    env = ExpertSelection(records=records, routing=folder / "own.parquet", settings=["workload.requests=1"])
    agent = train(env)
    for name, act in (("top-k", lambda seen: np.zeros(len(seen))), ("agent", lambda seen: thresholds(agent, seen))):
        print(f"{name}: return a layer {play(env, act, range(1, 9)):.4f} on what-ifs")
    write_policy(agent, folder / "agent.py")

    run = cosim.run({**CONFIG, "seed": 3}, policies=["top-k", str(folder / "agent.py")], out=folder / "cell-3")
    for variant in cosim.summarise(run):
        ttft_ms, tpot_ms = 1e3 * variant.ttft_s.mean(), 1e3 * variant.tpot_s.mean()
        quality, left_out = variant.quality, variant.slots.left_out / variant.slots.own
        assert quality is not None
        print(
            f"{Path(variant.policy).name}, live: TTFT {ttft_ms:.0f} ms, TPOT {tpot_ms:.1f} ms, "
            f"{left_out:.1%} left out, KL {quality.mean_kl_nats:.4f} nats, the same next token {quality.agreement:.1%}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "agent"))
