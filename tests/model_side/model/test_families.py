# SPDX-License-Identifier: Apache-2.0
"""Families whose routers, experts or layers are of another make: served exactly, and without what is lost."""

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from bridge.network import RequestError
from model_side.calibrating.measure import measure
from model_side.element import Element
from model_side.model.inference import routed_by
from model_side.model.loaded_model import shape_of
from model_side.model.moe import GateOutput, SplitModel
from model_side.model.wire import carried_by
from model_side.model_sizes import down_of
from model_side.record_routing import gate_arrays
from model_side.selection import Phase
from tests.support.base_stations import serving
from tests.support.small_models import FINE_GRAINED, LATENT_ATTENTION, SIZES, random_prompt

PROMPT = torch.tensor([random_prompt(20)])
_BARE = {name: SIZES[name] for name in ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")}
_LATENT = {**LATENT_ATTENTION, "q_lora_rank": 16}
_TINY_EYES = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}

# model type: what its configuration differs by from SIZES
OTHERS: dict[str, dict[str, Any]] = {
    "llama4_text": {
        **{"num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size_mlp": 48, "head_dim": 8},
        "attention_chunk_size": 8,
    },
    "gemma4_text": {
        **{"enable_moe_block": True, "num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 24, "head_dim": 8},
        **{"hidden_size_per_layer_input": 0, "global_head_dim": 16, "sliding_window": 8},
        "layer_types": ["sliding_attention", "full_attention", "full_attention"],
    },
    "dbrx": {
        **{"d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": 128},
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 1e4},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 8, "moe_top_k": 2, "hidden_size": 32},
    },
    "dots3_note_text": {
        **{"num_local_experts": 8, "n_group": 2, "topk_group": 2, "shared_experts_intermediate_size": 40},
        **{"sliding_window": 8, **FINE_GRAINED, "num_experts_per_tok": 2, **_LATENT},
        **{"index_n_heads": 2, "index_head_dim": 16, "index_topk": 8, "swa_num_attention_heads": 4, "swa_head_dim": 16},
        **{"swa_num_key_value_heads": 4, "swa_q_lora_rank": 16, "swa_kv_lora_rank": 16, "swa_qk_nope_head_dim": 8},
        "swa_v_head_dim": 8,
    },
    "longcat_flash": {
        **{"n_routed_experts": 8, "zero_expert_num": 0, "moe_topk": 2, "expert_ffn_hidden_size": 24},
        **{"ffn_hidden_size": 48, "num_layers": 2, "num_hidden_layers": 4, "head_dim": 8, **_LATENT},
    },
    "nemotron_h": {
        **{"hybrid_override_pattern": "ME*E", "mamba_num_heads": 4, "mamba_head_dim": 8, "ssm_state_size": 8},
        **{"n_groups": 1, "head_dim": 8, "moe_latent_size": 16, "n_group": 1, "topk_group": 1},
        **{"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
        "moe_shared_expert_intermediate_size": 40,
    },
    "granitemoehybrid": {
        **{"num_local_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 40, "mamba_n_heads": 4},
        **{"mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_expand": 2},
        "layer_types": ["mamba", "attention", "mamba"],
    },
    "aria_text": {"moe_num_experts": 8, "moe_topk": 2, "head_dim": 8},
    "qwen3_vl_moe": {"num_experts": 8, "head_dim": 8, **FINE_GRAINED},
    "glm4v_moe": {
        **{"n_routed_experts": 8, "n_group": 2, "topk_group": 1, "head_dim": 128, "first_k_dense_replace": 1},
        **{**FINE_GRAINED, "num_experts_per_tok": 2},
    },
}
NESTED = ("qwen3_vl_moe", "glm4v_moe")


def model_of(kind: str, **changes: Any) -> Any:
    """A random model, the same at each call, with weights large enough that routing matters."""
    differs = {**OTHERS[kind], **changes}
    own_sizes = _BARE if kind in ("dbrx", "nemotron_h") else SIZES
    given = {**own_sizes, **differs}
    if kind == "nemotron_h":
        given |= {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
    auto = transformers.AutoModelForCausalLM
    if kind in NESTED:
        auto = transformers.AutoModelForImageTextToText
        ids = {"image_token_id": 150, "video_token_id": 151}
        given = {"text_config": given, "vision_config": _TINY_EYES | {"deepstack_visual_indexes": [0]}, **ids}
    torch.manual_seed(0)
    model = auto.from_config(transformers.AutoConfig.for_model(kind, **given)).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2, generator=generator)
    return model


def unchanged(gate: GateOutput) -> tuple[Tensor, Tensor]:
    return gate.weights.clone(), gate.indices.clone()


@pytest.mark.parametrize("kind", OTHERS)
def test_unchanged_routing_gives_the_stock_models_logits_with_and_without_a_cache(kind: str):
    split, stock = SplitModel(model_of(kind)), model_of(kind)
    with split.routed(unchanged):
        logits, cache = split.forward(PROMPT, None, "a prompt")
        following, _ = split.forward(PROMPT[:, :1], cache, "a token")
    with torch.no_grad():
        expected = stock(input_ids=PROMPT, use_cache=True)
        assert torch.equal(logits, expected.logits[0])
        after = stock(input_ids=PROMPT[:, :1], past_key_values=expected.past_key_values, use_cache=True)
        assert torch.equal(following, after.logits[0])


@pytest.mark.parametrize("kind", OTHERS)
def test_without_an_expert_a_model_is_one_whose_expert_gives_nothing(kind: str):
    """Its output matrix is 0 in every layer, and none of these families has a bias there."""
    lost = 3
    split, mute = SplitModel(model_of(kind)), SplitModel(model_of(kind))
    with torch.no_grad():
        for block in mute.blocks:
            down = down_of(block.experts)
            down.view(split.num_experts, -1)[lost] = 0
    seen: list[bool] = []

    def without(gate: GateOutput) -> tuple[Tensor, Tensor]:
        seen.append(bool((gate.indices == lost).any()))
        return gate.weights, gate.indices.masked_fill(gate.indices == lost, split.num_experts)

    with split.routed(without):
        logits, _ = split.forward(PROMPT, None, "a prompt")
    expected, _ = mute.forward(PROMPT, None, "a prompt")
    assert any(seen)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", OTHERS)
def test_what_the_router_ranks_by_are_logits(kind: str):
    """Their softmax are its probabilities, and the experts that it chooses are among those that have the largest."""
    split = SplitModel(model_of(kind))
    gates: list[GateOutput] = []
    with split.routed(lambda gate: gates.append(gate) or unchanged(gate)):
        split.forward(PROMPT, None, "a prompt")
    for gate in gates:
        assert gate.logits.shape == (20, 8)
        assert bool((gate.logits < 0).any())
    if kind == "gemma4_text":
        module = split.blocks[0].router
        given: list[Tensor] = []
        hook = module.register_forward_hook(lambda _, __, output: given.append(output[0]))
        split.forward(PROMPT, None, "a prompt")
        hook.remove()
        torch.testing.assert_close(gates[0].logits.softmax(dim=-1), given[0])


def test_probabilities_are_recorded_as_what_they_are():
    probabilities = torch.tensor([[0.7, 0.2, 0.1, 0.0], [0.25, 0.25, 0.25, 0.25]])
    found = gate_arrays(probabilities, torch.ones(2, 1), torch.zeros(2, 1, dtype=torch.long)).probabilities
    assert found == pytest.approx(probabilities.numpy(), abs=1e-6)
    masked = torch.tensor([[1.0, 2.0, -torch.inf, 0.5]])
    found = gate_arrays(masked, torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.long)).probabilities
    assert found == pytest.approx(masked.softmax(dim=-1).numpy())


def test_experts_that_are_all_run_at_once_are_not_measured_one_by_one():
    with pytest.raises(RequestError, match="Llama4ForCausalLM runs all its experts at once"):
        measure(SplitModel(model_of("llama4_text")), [PROMPT[0].tolist()], "made-up", "made-up")


def test_layers_of_different_sizes_are_refused_by_name():
    model, other = model_of("aria_text"), model_of("aria_text", intermediate_size=48)
    model.model.layers[1].mlp = other.model.layers[1].mlp
    with pytest.raises(RequestError, match=r"layers with different sizes of experts: \(8, 64, 32\), \(8, 48, 32\)"):
        SplitModel(model)


def test_what_travels_is_rounded_for_llama_4_too():
    """Its experts are all run at once; over the wire each device's answers are rounded as of any other model."""
    split = SplitModel(model_of("llama4_text"))
    plain, _ = split.forward(PROMPT, None, "a prompt")
    found = {}
    for element in (Element.BF16, Element.INT4):
        base_station = serving(split)
        base_station.begin(Phase.PREFILL, 0, 0)
        with split.routed(routed_by(base_station), carried_by(base_station, element, torch.float32)):
            found[element], _ = split.forward(PROMPT, None, "a prompt")
    away = {element: float((logits - plain).norm() / plain.norm()) for element, logits in found.items()}
    assert 0 < away[Element.BF16] < 0.05
    assert away[Element.BF16] < away[Element.INT4]


def test_a_profile_of_attention_by_layer_is_read_by_layer():
    shape = shape_of(SplitModel(model_of("gemma4_text")))
    mixers = [layer.mixers[0] for layer in shape.layers]
    assert [mixer.window for mixer in mixers] == [8, 0, 0]
    assert [mixer.pair_operations for mixer in mixers] == [4 * 4 * 8, 4 * 4 * 16, 4 * 4 * 16]


def test_experts_that_compute_nothing_are_refused_by_name():
    with pytest.raises(RequestError, match="has experts that compute nothing, and so no device has them"):
        SplitModel(model_of("longcat_flash", zero_expert_num=4))
