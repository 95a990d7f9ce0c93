# SPDX-License-Identifier: Apache-2.0
"""Steering a model's routing: nothing changes unless asked, and what is left out is left out of the sum."""

import pytest
import torch
import transformers
from torch import Tensor

from model_side.model.moe import GateOutput, ModelError, SplitModel
from tests.support.small_models import FAMILIES, SIZES, expert_by_expert, random_prompt, small_model

PROMPT = torch.tensor([random_prompt(24)])


def unchanged(gate: GateOutput) -> tuple[Tensor, Tensor]:
    return gate.weights.clone(), gate.indices.clone()


@pytest.mark.parametrize("implementation", ["as it comes", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_unchanged_routing_gives_the_stock_models_logits_bit_for_bit(family: str, implementation: str):
    stock, ours = small_model(family), small_model(family)
    if implementation == "eager":
        stock.set_experts_implementation("eager")
        ours.set_experts_implementation("eager")
    split = SplitModel(ours)
    expected = stock(PROMPT).logits
    with split.routed(unchanged):
        assert torch.equal(ours(PROMPT).logits, expected)
    assert torch.equal(ours(PROMPT).logits, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_generation_through_the_hooks_gives_the_stock_tokens(family: str):
    split = SplitModel(small_model(family))
    expected = small_model(family).generate(PROMPT, max_new_tokens=12, do_sample=False)
    with split.routed(unchanged):
        assert torch.equal(split.model.generate(PROMPT, max_new_tokens=12, do_sample=False), expected)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "olmoe"])
@torch.no_grad()
def test_left_out_experts_are_missing_from_the_blocks_sum(family: str):
    split = SplitModel(small_model(family))
    chosen: list[tuple[Tensor, Tensor]] = []
    blocks: list[tuple[Tensor, Tensor]] = []
    generator = torch.Generator().manual_seed(3)

    def leave_some_out(gate: GateOutput) -> tuple[Tensor, Tensor]:
        goes = torch.rand(gate.indices.shape, generator=generator) < 0.5
        goes[0] = True  # the first token keeps none
        indices = torch.where(goes, split.num_experts, gate.indices)
        weights = torch.rand(gate.weights.shape, generator=generator)
        chosen.append((weights, indices))
        return weights, indices

    hooks = [
        block.block.register_forward_hook(lambda _, given, output: blocks.append((given[0][0], output[0])))
        for block in split.blocks
    ]
    with split.routed(leave_some_out):
        split.model(PROMPT)
    for hook in hooks:
        hook.remove()

    assert len(chosen) == len(blocks) == len(split.blocks)
    for block, (weights, indices), (given, output) in zip(split.blocks, chosen, blocks, strict=True):
        expected = expert_by_expert(block.block, given, weights, indices)
        torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-5)
        assert not output[0].any()
        assert output[1:].any()


@pytest.mark.parametrize("implementation", ["as it comes", "eager"])
@torch.no_grad()
def test_an_expert_that_is_left_out_is_not_computed(implementation: str):
    """What a lost device would have answered, be it not a number, reaches nothing."""
    lost = 3
    split, whole = SplitModel(small_model("mixtral")), SplitModel(small_model("mixtral"))
    if implementation == "eager":
        split.model.set_experts_implementation("eager")
        whole.model.set_experts_implementation("eager")
    for block in split.blocks:
        block.experts.down_proj[lost] = torch.nan

    def without(gate: GateOutput) -> tuple[Tensor, Tensor]:
        indices = gate.indices.masked_fill(gate.indices == lost, split.num_experts)
        return gate.weights, indices

    with split.routed(without), whole.routed(without):
        logits = split.model(PROMPT).logits
        assert torch.equal(logits, whole.model(PROMPT).logits)
    assert logits.isfinite().all()


@torch.no_grad()
def test_experts_that_the_model_did_not_choose_can_be_asked():
    split = SplitModel(small_model("mixtral"))
    seen = []

    def next_expert(gate: GateOutput) -> tuple[Tensor, Tensor]:
        return gate.weights, (gate.indices + 1) % split.num_experts

    hook = split.blocks[0].block.register_forward_hook(lambda _, given, output: seen.append((given[0][0], output[0])))
    gates = []
    with split.routed(lambda gate: gates.append(gate) or next_expert(gate)):
        split.model(PROMPT)
    hook.remove()
    expected = expert_by_expert(split.blocks[0].block, seen[0][0], *next_expert(gates[0]))
    torch.testing.assert_close(seen[0][1].double(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_gate_output_is_the_routers_own():
    model = small_model("qwen3_moe")
    split = SplitModel(model)
    gates: list[GateOutput] = []
    with split.routed(lambda gate: gates.append(gate) or (gate.weights, gate.indices)):
        output = model(PROMPT, output_router_logits=True)
    assert [gate.layer for gate in gates] == [0, 1, 2]
    assert (split.num_experts, split.top_k) == (16, 4)
    for gate, logits in zip(gates, output.router_logits, strict=True):
        assert torch.equal(gate.logits, logits)
        assert gate.weights.shape == gate.indices.shape == (24, 4)
        top = logits.softmax(dim=-1).topk(4)
        assert torch.equal(gate.indices, top.indices)


def test_no_hook_stays_behind_even_after_an_error():
    split = SplitModel(small_model("mixtral"))

    def broken(gate: GateOutput) -> tuple[Tensor, Tensor]:
        raise ArithmeticError

    with pytest.raises(ArithmeticError), split.routed(broken):
        split.model(PROMPT)
    assert not any(module._forward_hooks for module in split.model.modules())


@torch.no_grad()
def test_128_experts():
    stock = small_model("qwen3_moe", num_experts=128, num_experts_per_tok=8)
    split = SplitModel(small_model("qwen3_moe", num_experts=128, num_experts_per_tok=8))
    assert (split.num_experts, split.top_k) == (128, 8)
    with split.routed(unchanged):
        assert torch.equal(split.model(PROMPT).logits, stock(PROMPT).logits)


def test_a_dense_model_is_refused_by_name():
    config = transformers.LlamaConfig(**SIZES)
    with pytest.raises(ModelError, match=r"^model\.path: LlamaForCausalLM has no MoE block"):
        SplitModel(transformers.LlamaForCausalLM(config))


def test_experts_that_do_not_obey_the_weights_are_refused(monkeypatch: pytest.MonkeyPatch):
    model = small_model("mixtral")
    experts = type(model.model.layers[0].mlp.experts)
    stock_forward = experts.forward
    monkeypatch.setattr(experts, "forward", lambda *arguments: stock_forward(*arguments) + 1)
    with pytest.raises(ModelError, match=r"the experts of model\.layers\.0\.mlp do not obey the router's weights"):
        SplitModel(model)
