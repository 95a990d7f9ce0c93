# SPDX-License-Identifier: Apache-2.0
"""The page on learning does what it says, its table is the view's, and the example writes what it trained."""

import re
import runpy

import numpy as np

from model_side.layer_view import FEATURES, view
from model_side.policies import make_policy
from tests import ROOT
from tests.support.layers import gate_of, layer_of, one_each
from tests.support.listings import play, text


def test_the_table_has_each_column_in_order():
    table = text("learning.md").partition("## What the agent sees")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(FEATURES)


def test_every_listing_runs_as_it_stands_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    played = play("learning.md", tmp_path)
    assert (played.files, len(played.commands)) == (["agent.py"], 3)
    (listing,) = (each for each in re.findall(r"```python\n(.*?)```", text("learning.md"), re.DOTALL) if "env" in each)
    exec(listing, {})
    assert re.fullmatch(r"return -\d+\.\d\d\n", capsys.readouterr().out)


def test_the_example_gets_better_and_writes_the_agent_that_it_trained(tmp_path):
    """On a layer that is slower the more it is asked of one device: leaving that one out is what is to be learnt."""
    example = runpy.run_path(str(ROOT / "examples/train_agent.py"))

    class Toy:
        """One layer an episode; the reward wants the threshold of expert 0 high and the others low."""

        def reset(self, seed):
            return np.eye(3, len(FEATURES), dtype=np.float32), {}

        def step(self, action):
            return None, float(action[0] - action[1] - action[2]), True, False, {}

    toy = Toy()
    agent = example["train"](toy, generations=8)
    assert np.array_equal(agent, example["train"](toy, generations=8))
    act = example["thresholds"]
    before = np.zeros_like(agent)
    before[-1] = -3
    returns = [example["play"](toy, lambda seen, each=each: act(each, seen), [1]) for each in (before, agent)]
    assert returns[1] > returns[0] + 0.5

    example["write_policy"](agent, tmp_path / "agent.py")
    (policy,) = make_policy(str(tmp_path / "agent.py")).steps
    layer = layer_of(gate_of(np.random.default_rng(1).normal(0, 1, (5, 8)).astype(np.float32), 3), one_each(8, 4))
    chosen = policy(layer)
    least = np.append(act(agent, view(layer)), 0)[layer.indices]
    assert np.array_equal(chosen.indices == 8, layer.weights < least * layer.weights.max(axis=1, keepdims=True))
