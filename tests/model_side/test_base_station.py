# SPDX-License-Identifier: Apache-2.0
"""The base station over networks of closed form: what is sent, when, and what the links leave of the sum."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch

from bridge.network import Status, Wait
from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.exchange import LayerExchange
from model_side.model.inference import routed_by
from model_side.model.moe import GateOutput, SplitModel
from model_side.placement import place
from model_side.policies import Policy, Steps, make_policy
from model_side.prediction.line import Line
from model_side.selection import Layer, Phase, Selection
from tests.support.fixed_network import FixedNetwork
from tests.support.small_models import expert_by_expert, random_prompt, small_model
from tests.support.times import FixedTimes

TOKEN_BYTES = 1000
LONG_NS = 10**12
PROMPT = random_prompt(16)


class Bench:
    """A small model behind a base station, with everything that was recorded."""

    def __init__(
        self,
        family: str = "mixtral",
        network: FixedNetwork | None = None,
        policy: Policy | str = "top-k",
        where: Any = "round-robin",
        deadline_ns: int = LONG_NS,
        wait: Wait = Wait.ALL,
        **changes: Any,
    ):
        self.split = SplitModel(small_model(family, **changes))
        self.network = network or FixedNetwork(devices=4)
        self.placement = place(len(self.split.blocks), self.split.num_experts, len(self.network.info.devices), where)
        self.records: list[LayerExchange] = []
        self.blocks: list[tuple[torch.Tensor, torch.Tensor]] = []
        for block in self.split.blocks:
            block.block.register_forward_hook(lambda _, given, output: self.blocks.append((given[0][0], output[0])))
        self.base_station = BaseStation(
            self.network,
            self.placement,
            FixedTimes(self.placement.devices),
            make_policy(policy) if isinstance(policy, str) else Steps([policy]),
            Line(self.placement.devices),
            WireFormat(TOKEN_BYTES),
            deadline_ns,
            wait,
            on_exchange=self.records.append,
        )

    @torch.no_grad()
    def read(self, prompt: tuple[int, ...] = PROMPT) -> torch.Tensor:
        """One prefill; logits."""
        self.base_station.begin(Phase.PREFILL, 0, 0)
        with self.split.routed(routed_by(self.base_station)):
            logits: torch.Tensor = self.split.model(torch.tensor([prompt])).logits
        self.base_station.finish()
        return logits

    def expect_blocks_without(self, dead: set[int]) -> None:
        """Each MoE block gave what its definition gives without the experts on devices `dead`."""
        assert len(self.records) == len(self.blocks) == len(self.split.blocks)
        for record, block, (given, output) in zip(self.records, self.split.blocks, self.blocks, strict=True):
            weights, indices = np.zeros(record.gate.weights.shape), record.gate.indices.copy()
            for token, own in enumerate(record.gate.indices.tolist()):
                stays = [slot for slot, expert in enumerate(own) if self.placement.device_of[0, expert] not in dead]
                left = sum(record.gate.weights[token, slot] for slot in stays)
                for slot in range(len(own)):
                    assert record.delivered[token, slot] == (slot in stays)
                    if slot in stays:
                        weights[token, slot] = (
                            record.gate.weights[token, slot] * record.gate.weights[token].sum() / left
                        )
                    else:
                        indices[token, slot] = self.split.num_experts
            expected = expert_by_expert(block.block, given, torch.from_numpy(weights), torch.from_numpy(indices))
            torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "olmoe"])
@torch.no_grad()
def test_in_bfloat16_too_the_logits_are_the_stock_models(family: str):
    bench, stock = Bench(family), small_model(family).to(torch.bfloat16)
    bench.split.model.to(torch.bfloat16)
    logits = bench.read()
    assert logits.dtype is torch.bfloat16
    assert torch.equal(logits, stock(torch.tensor([PROMPT])).logits)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "olmoe"])
def test_an_unreachable_devices_experts_are_left_out_and_the_others_renormalised(family: str):
    bench = Bench(family, FixedNetwork(devices=4, dead=1), deadline_ns=10**9)
    bench.read()
    bench.expect_blocks_without({1})
    assert all(record.outcome.now_ns == record.deadline_ns for record in bench.records)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "olmoe"])
def test_late_devices_experts_are_left_out_and_the_others_renormalised(family: str):
    where = [expert % 2 * 3 for expert in range(8 if family == "mixtral" else 16)]
    # At 1 Mb/s device 0 needs 16 ms a token for the link, and device 3 four times that.
    bench = Bench(family, FixedNetwork(devices=4, rate_bps=1e6), where=where, deadline_ns=330_000_000)
    bench.read()
    for record in bench.records:
        taken_s = [
            (device + 1) * (16 * record.work.tokens[device] + computed) / 1000
            for device in (0, 3)
            for computed in [np.isin(record.gate.indices, np.flatnonzero(np.array(where) == device)).sum()]
        ]
        assert taken_s[0] < 0.33 < taken_s[1]
        assert [outcome.status for outcome in record.outcome.transfers] == [Status.DONE, Status.LATE]
    bench.expect_blocks_without({3})


def test_a_deadline_too_short_for_anyone_leaves_the_residual_stream_alone():
    bench = Bench(deadline_ns=1)
    logits = bench.read()
    bench.expect_blocks_without({0, 1, 2, 3})
    assert not any(output.any() for _, output in bench.blocks)
    assert logits.isfinite().all()
    assert bench.base_station.begin(Phase.DECODE, 0, 16) == 3 * (3_000_000 + 1) + 7_000_000


class EverythingOut(Policy):
    """Asks nobody."""

    def __call__(self, layer: Layer) -> Selection:
        return layer.leave_out(np.zeros(layer.indices.shape, dtype=bool))


def test_a_policy_that_asks_nobody_makes_exchanges_without_transfers():
    bench = Bench(policy=EverythingOut())
    bench.read()
    assert not any(output.any() for _, output in bench.blocks)
    for number, record in enumerate(bench.records):
        assert record.transfers == ()
        assert not record.delivered.any()
        assert record.outcome.now_ns == record.depart_ns == 3_000_000 * (number + 1)


def test_a_layer_without_tokens():
    for policy in ("top-k", "weight-to-latency"):
        bench = Bench(policy=policy)
        bench.base_station.begin(Phase.PREFILL, 0, 0)
        nothing = GateOutput(0, torch.zeros(0, 8), torch.zeros(0, 2), torch.zeros(0, 2, dtype=torch.long))
        weights, indices = routed_by(bench.base_station)(nothing)
        assert weights.shape == indices.shape == (0, 2)
        assert bench.records[0].transfers == ()


def test_bytes_and_computing_count_a_token_once_a_device_and_each_expert_apart():
    bench = Bench(where=[0, 0, 1, 1, 2, 2, 3, 3])
    bench.base_station.begin(Phase.PREFILL, 0, 0)
    indices = torch.tensor([[0, 1], [0, 2], [3, 2], [6, 0]])
    gate = GateOutput(0, torch.zeros(4, 8), torch.full((4, 2), 0.5), indices)
    routed_by(bench.base_station)(gate)
    record = bench.records[0]
    assert record.work.tokens.tolist() == [3, 2, 0, 1]
    ms = 1_000_000
    assert [tuple(getattr(transfer, name) for name in transfer.__struct_fields__) for transfer in record.transfers] == [
        (0, 3000, 4 * ms, 3000),
        (1, 2000, 2 * 3 * ms, 2000),
        (3, 1000, 4 * 1 * ms, 1000),
    ]


def test_time_goes_on_by_the_network_and_the_bs_alone():
    bench = Bench(where=[0] * 8, network=FixedNetwork(devices=1, rate_bps=8e6, now_ns=5_000_000))
    assert bench.base_station.begin(Phase.PREFILL, 0, 0) == 5_000_000
    bench.read()
    ms = 1_000_000
    exchange_ns = (16 + 2 * 16 + 16) * ms  # 16 tokens of 1 ms each way, computed by two experts of 1 ms
    for layer, record in enumerate(bench.records):
        assert record.bs_compute_ns == 3 * ms
        assert record.depart_ns == 5 * ms + layer * (3 * ms + exchange_ns) + 3 * ms
        assert record.outcome.now_ns == record.depart_ns + exchange_ns
        assert (record.phase, record.request, record.position, record.layer) == (Phase.PREFILL, 0, 0, layer)
    assert bench.base_station.begin(Phase.DECODE, 0, 16) == bench.records[-1].outcome.now_ns + 7 * ms


def test_waiting_for_any_takes_what_came_first():
    bench = Bench(wait=Wait.ANY)
    bench.read()
    for record in bench.records:
        done = [transfer for transfer in record.outcome.transfers if transfer.status is Status.DONE]
        assert 0 < len(done) < len(record.transfers)
        assert {transfer.uplink_end_ns for transfer in done} == {record.outcome.now_ns}
        came = [transfer.device for transfer in done]
        assert (record.delivered == np.isin(bench.placement.device_of[0][record.gate.indices], came)).all()


def test_from_its_second_exchange_the_bs_expects_what_a_steady_link_does():
    bench = Bench(where=[0] * 8, network=FixedNetwork(devices=1, rate_bps=8e6))
    bench.read()
    taken_s = [(record.outcome.now_ns - record.depart_ns) / 1e9 for record in bench.records]
    assert bench.records[0].prediction.seconds[0] != pytest.approx(taken_s[0])
    assert [record.prediction.seconds[0] for record in bench.records[1:]] == pytest.approx(taken_s[1:])


def test_weight_to_latency_asks_slow_devices_less_and_takes_less_time():
    def network() -> FixedNetwork:
        return FixedNetwork(devices=8, rate_bps=8e6)

    own, latency_aware = Bench(network=network()), Bench(network=network(), policy="weight-to-latency")
    own.read()
    latency_aware.read()
    by_device = [sum(r.work.tokens for r in bench.records) for bench in (own, latency_aware)]
    assert by_device[1].sum() < by_device[0].sum()
    assert (by_device[1][:4] / by_device[0][:4]).mean() > (by_device[1][4:] / by_device[0][4:]).mean()
    assert latency_aware.network.now_ns < own.network.now_ns


def test_a_device_that_comes_back_is_asked_again():
    bench = Bench(network=FixedNetwork(devices=8, dead=0), policy="weight-to-latency", deadline_ns=50_000_000)
    bench.read()
    asked = [0 in [transfer.device for transfer in record.transfers] for record in bench.records]
    assert asked == [True, False, False]
    bench.network._dead = None
    for _ in range(100):
        bench.read()
        if 0 in [transfer.device for transfer in bench.records[-1].transfers]:
            break
    assert bench.records[-1].transfers[0].device == 0
    assert bench.records[-1].outcome.transfers[0].status is Status.DONE


@pytest.mark.parametrize(("experts", "devices"), [(128, 64), (128, 1), (8, 8), (4, 64)])
def test_many_experts_and_many_devices(experts: int, devices: int):
    bench = Bench("qwen3_moe", FixedNetwork(devices=devices), num_experts=experts)
    stock = small_model("qwen3_moe", num_experts=experts)
    with torch.no_grad():
        assert torch.equal(bench.read(), stock(torch.tensor([PROMPT])).logits)
    for record in bench.records:
        wanted = [{int(bench.placement.device_of[0, e]) for e in token} for token in record.gate.indices]
        assert record.work.tokens.tolist() == [sum(d in want for want in wanted) for d in range(devices)]


@pytest.mark.parametrize("policy", ["top-k", "weight-to-latency"])
def test_the_same_run_twice_gives_the_same_records(policy: str):
    runs = []
    for _ in range(2):
        bench = Bench("olmoe", FixedNetwork(devices=5, dead=2), policy, deadline_ns=40_000_000)
        bench.read()
        bench.read(PROMPT[:5])
        runs.append(bench.records)
    assert len(runs[0]) == len(runs[1]) == 6
    for one, other in zip(*runs, strict=True):
        for field in fields(LayerExchange):
            if not field.name.endswith("wall_s"):
                assert_equal(getattr(one, field.name), getattr(other, field.name), field.name)


def assert_equal(one: Any, other: Any, name: str) -> None:
    """Arrays, and what holds arrays."""
    if is_dataclass(one):
        for field in fields(one):
            assert_equal(getattr(one, field.name), getattr(other, field.name), f"{name}.{field.name}")
    else:
        np.testing.assert_array_equal(one, other, err_msg=name)
