# SPDX-License-Identifier: Apache-2.0
"""The environment is a run: an agent that does what a policy does has that policy's latencies and losses."""

import math
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from bridge.network import NS_PER_S, PartnerLost, RequestError
from cosim.config import load
from cosim.env import ExpertSelection
from cosim.episodes import worlds
from cosim.experiment import run, what_if
from cosim.record.journal import Journal
from tests.support.routing_traces import SHAPE, make_rows, write_rows
from tests.support.small_run import ChannelNetwork, Side, small_run

EXPERTS, LAYERS = SHAPE["experts"], len(SHAPE["moe_layers"])
BETA = 0.6


class Fixed(Side):
    """In place of ns-3, networks that count how many are open; one of them may be lost at an exchange."""

    made: ClassVar[list["Fixed"]] = []
    lost_at: ClassVar[int | None] = None

    def __init__(self, *_: object):
        self.config, self.networks, self.abandoned = None, [], 0
        self.made.append(self)

    def open(self, name: str) -> ChannelNetwork:
        network = ChannelNetwork()
        if self.lost_at is not None:
            at, type(self).lost_at = self.lost_at, None
            exchange = network.exchange

            def lost(*asked):
                if network.exchanges == at:
                    raise PartnerLost("gone")
                return exchange(*asked)

            network.exchange = lost
        self.networks.append(network)
        return network

    def abandon(self) -> None:
        self.abandoned += 1


@pytest.fixture(autouse=True)
def no_ns3(monkeypatch):
    monkeypatch.setattr(worlds, "Ns3Side", Fixed)
    monkeypatch.setattr(worlds, "check_scenario", lambda asked: None)
    monkeypatch.setattr("cosim.experiment.Ns3Side", Side)
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)
    Fixed.made, Fixed.lost_at = [], None


@pytest.fixture(name="record", scope="module")
def one_record(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("record"))


@pytest.fixture(name="trace")
def one_trace(tmp_path) -> Path:
    return write_rows(make_rows(6, 4, 2), tmp_path / "trace.parquet")


def fixed(trace: Path, *settings: str, **given) -> ExpertSelection:
    asked = [f"model.routing={trace}", "workload.requests=2", "radio.scenario=fixed", *settings]
    return ExpertSelection(settings=asked, **given)


def played(env: ExpertSelection, threshold: float, seed: int | None = 1) -> tuple[list[float], list[dict]]:
    """Rewards and infos of an episode in which all thresholds are this."""
    env.reset(seed=seed)
    rewards, infos, over = [], [], False
    while not over:
        _, reward, over, _, info = env.step(np.full(EXPERTS, threshold, np.float32))
        rewards.append(reward)
        infos.append(info)
    return rewards, infos


def recorded(folder: Path, policy: str) -> tuple[list[float], float]:
    """Of a run's policy, each layer's seconds, and the part of the gate's weight that was lost by the proxy."""
    with closing(Journal.open(folder)) as journal:
        exchanges = "SELECT depart_ns, end_ns FROM exchanges JOIN variants USING (variant) WHERE policy = ?"
        seconds = [(end - depart) / NS_PER_S for depart, end in journal.rows(exchanges, policy)]
        metrics = (
            "SELECT metric, sum(value) FROM quality JOIN variants USING (variant) WHERE policy = ? GROUP BY metric"
        )
        sums = dict(journal.rows(metrics, policy))
    return seconds, 1 - sums["proxy_kept_weight"] / sums["proxy_gate_weight"]


def lost(infos: list[dict]) -> float:
    """Of an episode whose tokens weigh 1 each."""
    tokens = [info["tokens"] for info in infos]
    return sum(info["lost"] * count for info, count in zip(infos, tokens, strict=True)) / sum(tokens)


@pytest.mark.parametrize("network", ["live", "analytic"])
def test_it_passes_gymnasium_s_own_check(trace, network):
    with closing(fixed(trace, network=network)) as env:
        check_env(env, skip_render_check=True)


def test_it_passes_that_check_on_records_as_gymnasium_makes_it(record, trace):
    made = gymnasium.make("cosim.env:cosim/ExpertSelection-v0", records=record, routing=trace)
    check_env(made.unwrapped)


@pytest.mark.parametrize(("policy", "threshold"), [("top-k", 0.0), ("ratio", BETA)])
@pytest.mark.parametrize("network", ["live", "analytic"])
def test_an_agent_that_does_as_a_policy_has_its_latencies_and_its_losses(tmp_path, policy, threshold, network):
    trace = write_rows(make_rows(2, 4, 2), tmp_path / "two.parquet")
    with closing(fixed(trace, network=network)) as env:
        _, infos = played(env, threshold)
    asked = [f"model.routing={trace}", "radio.scenario=fixed", f"policy.ratio.beta={BETA}"]
    done = run(
        load(None, asked if policy == "ratio" else asked[:2], [policy], networks=[network]), out=tmp_path / "run"
    )
    seconds, share = recorded(done, policy)
    assert [info["layer_s"] for info in infos] == seconds
    assert lost(infos) == pytest.approx(share, abs=1e-7)
    assert (share > 0.01) == (policy == "ratio")


def test_on_a_record_it_is_the_what_if(record, tmp_path):
    with closing(ExpertSelection(records=record)) as env:
        _, infos = played(env, BETA)
    answer = what_if(record, [f"policy.ratio.beta={BETA}"], policies=["ratio"], out=tmp_path / "answer")
    seconds, share = recorded(answer, "ratio")
    assert [info["layer_s"] for info in infos] == seconds
    assert lost(infos) == pytest.approx(share, abs=1e-7)


def test_each_layer_is_a_step_and_each_pass_ends_once(trace):
    with closing(fixed(trace)) as env:
        _, infos = played(env, 0.0)
    assert [info["layer"] for info in infos] == [0, 1, 2] * 4
    assert [info["phase"] for info in infos] == (["prefill"] * LAYERS + ["decode"] * LAYERS) * 2
    assert ["token_s" in info for info in infos] == [False, False, True] * 4


def test_the_reward_is_what_its_weights_say(trace):
    with closing(fixed(trace, per_second=7.0, per_lost=3.0)) as env:
        rewards, infos = played(env, BETA)
    assert rewards == pytest.approx([-(7 * info["layer_s"] + 3 * info["lost"]) for info in infos])
    with closing(fixed(trace, per_second=0, per_lost=1)) as env:
        assert sum(played(env, 0.0)[0]) == 0
        assert sum(played(env, 1.0)[0]) < 0


def test_the_same_seed_is_the_same_episode_and_the_next_follow_from_it(trace):
    with closing(fixed(trace)) as env:
        first = [played(env, BETA, seed) for seed in (5, None, None)]
        again = [played(env, BETA, seed) for seed in (5, None, None)]
        asked = {tuple(info["request"] for info in played(env, BETA, seed)[1]) for seed in range(1, 9)}
    assert first == again
    assert first[1] != first[2]
    assert len(asked) > 1  # drawn of the six of the recording


def test_a_seed_that_no_run_can_have_draws_one(trace):
    with closing(fixed(trace)) as env:
        assert env.reset(seed=7)[1] == {"seed": 7}
        drawn = env.reset(seed=0)[1]["seed"]
        assert drawn > 0
        assert env.reset(seed=0)[1] == {"seed": drawn}
        assert Fixed.made[0].config.seed == drawn


def test_a_record_is_drawn_of_several(tmp_path, record):
    slow = small_run(tmp_path, "devices.hardware=raspberry-pi-5")
    with closing(ExpertSelection(records=[record, slow], routing=tmp_path / "trace.parquet")) as env:
        seconds = {sum(info["layer_s"] for info in played(env, 0.0, seed)[1]) for seed in range(1, 9)}
    assert len(seconds) == 2


def test_an_episode_is_left_at_any_layer_and_holds_no_network(trace):
    env = fixed(trace)
    for _ in range(3):
        env.reset(seed=1)
        env.step(np.zeros(EXPERTS))
    env.close()
    (side,) = Fixed.made
    assert [network.closed for network in side.networks] == [True] * 3


def test_after_the_last_layer_and_before_the_first_there_is_none(trace):
    with closing(fixed(trace)) as env:
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.zeros(EXPERTS))
        played(env, 0.0)
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.zeros(EXPERTS))


@pytest.mark.parametrize("action", [np.zeros(EXPERTS - 1), np.full(EXPERTS, 1.1), np.full(EXPERTS, math.nan), 0.5])
def test_an_action_that_is_none_changes_nothing(trace, action):
    with closing(fixed(trace)) as env:
        env.reset(seed=1)
        with pytest.raises(gymnasium.error.InvalidAction, match="8 thresholds within 0 and 1"):
            env.step(action)
        assert env.step(np.zeros(EXPERTS))[4]["layer"] == 0


def test_ns3_that_is_lost_is_told_and_the_next_episode_has_another(trace):
    with closing(fixed(trace)) as env:
        Fixed.lost_at = 2
        with pytest.raises(PartnerLost):
            played(env, 0.0)
        assert Fixed.made[0].abandoned == 1
        assert len(played(env, 0.0)[0]) == 4 * LAYERS


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"per_second": -1.0}, "per_second"),
        ({"per_lost": math.inf}, "per_lost"),
        ({"per_nat": 1.0}, "per_nat"),
        ({"network": "radio"}, "networks"),
        ({"routing": "nowhere.parquet"}, "model.routing"),
    ],
)
def test_what_cannot_be_is_refused_by_name(trace, given, field):
    with pytest.raises(RequestError) as refused:
        fixed(trace, **given)
    assert refused.value.field == field


def test_a_record_has_a_configuration_of_its_own(record, tmp_path):
    with pytest.raises(RequestError, match="records: have a configuration of their own"):
        ExpertSelection({}, records=record)
    with pytest.raises(RequestError, match="RUN: "):
        ExpertSelection(records=tmp_path)


def test_a_model_tells_its_divergence_and_leaves_the_agent_s_gradients_alone(tiny_model, tmp_path):
    import torch

    settings = [f"model.path={tiny_model}", "radio.scenario=fixed", "workload.requests=1"]
    settings += ["workload.prompt_tokens=4", "workload.new_tokens=2"]
    weight = torch.zeros((), requires_grad=True)
    with closing(ExpertSelection(settings=settings, per_second=0, per_lost=0, per_nat=2)) as env:
        env.reset(seed=1)
        rewards, infos, over = [], [], False
        while not over:
            action = (weight + BETA) * torch.ones(env.action_space.shape)
            _, reward, over, _, info = env.step(action.detach().numpy())
            action.sum().backward()  # which inference would refuse
            rewards.append(reward)
            infos.append(info)
    assert weight.grad is not None
    known = [info["kl_nats"] for info in infos if "kl_nats" in info]
    assert len(known) == 2
    assert sum(rewards) == pytest.approx(-2 * sum(known))
    done = run(load(None, [*settings, f"policy.ratio.beta={BETA}"], ["ratio"]), out=tmp_path / "run")
    with closing(Journal.open(done)) as journal:
        ((kl_nats,),) = journal.rows("SELECT value FROM quality WHERE metric = 'kl_nats'")
    positions = [4, 1]
    assert sum(count * nats for count, nats in zip(positions, known, strict=True)) == pytest.approx(kl_nats, rel=1e-5)
