# SPDX-License-Identifier: Apache-2.0
"""Published sizes: against models of those configurations as transformers builds them, without their weights."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bridge.network import RequestError
from model_side.model.routers import find_blocks
from model_side.model_sizes import dense_sizes, sizes
from model_side.shapes import ModelShape
from model_side.wire_profiles import DENSE_PROFILES, PUBLISHED, WIRE_PROFILES, check_baseline_profile, wire_shape


def grouped(hidden: int, intermediate: int, heads: int, kv_heads: int, layers: int, vocab: int) -> dict[str, Any]:
    return {
        **{"hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers, "vocab_size": vocab},
        **{"num_attention_heads": heads, "num_key_value_heads": kv_heads, "tie_word_embeddings": False},
    }


MIXTRAL = {"num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None}
QWEN3 = {"moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8, "head_dim": 128}
LITE = {
    **{"num_key_value_heads": 16, "q_lora_rank": None, "kv_lora_rank": 512, "qk_nope_head_dim": 128},
    **{"qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 64, "n_shared_experts": 2},
    **{"num_experts_per_tok": 6, "moe_intermediate_size": 1408, "first_k_dense_replace": 1},
}
OSS = {"num_local_experts": 32, "num_experts_per_tok": 4, "head_dim": 64, "sliding_window": 128}

# The model type, what config.json of the profile's source says, and the parameters of the published model.
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any], int]] = {
    "mixtral-8x7b": ("mixtral", {**grouped(4096, 14336, 32, 8, 32, 32000), **MIXTRAL}, 46_702_792_704),
    "mixtral-8x22b": ("mixtral", {**grouped(6144, 16384, 48, 8, 56, 32768), **MIXTRAL}, 140_630_071_296),
    "qwen3-30b-a3b": ("qwen3_moe", {**grouped(2048, 6144, 32, 4, 48, 151936), **QWEN3}, 30_532_122_624),
    "olmoe-1b-7b": ("olmoe", {**grouped(2048, 1024, 16, 16, 16, 50304), "num_experts": 64}, 6_919_161_856),
    "deepseek-v2-lite": ("deepseek_v2", {**grouped(2048, 10944, 16, 16, 27, 102400), **LITE}, 15_706_484_224),
    "gpt-oss-20b": ("gpt_oss", {**grouped(2880, 2880, 64, 8, 24, 201088), **OSS}, 20_914_757_184),
    "llama-2-7b": ("llama", grouped(4096, 11008, 32, 32, 32, 32000), 6_738_415_616),
    "llama-2-13b": ("llama", grouped(5120, 13824, 40, 40, 40, 32000), 13_015_864_320),
    "llama-2-70b": ("llama", grouped(8192, 28672, 64, 8, 80, 32000), 68_976_648_192),
    "llama-3.1-8b": ("llama", grouped(4096, 14336, 32, 8, 32, 128256), 8_030_261_248),
    "llama-3.1-70b": ("llama", grouped(8192, 28672, 64, 8, 80, 128256), 70_553_706_496),
}


def test_every_profile_has_a_configuration_here():
    assert [*CONFIGURATIONS] == [*PUBLISHED] == [*WIRE_PROFILES, *DENSE_PROFILES]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_profile_is_what_its_configuration_builds(name: str):
    kind, values, parameters = CONFIGURATIONS[name]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **values), dtype=torch.bfloat16)
    assert model.num_parameters() == parameters
    profile = PUBLISHED[name].shape
    assert profile.weights == pytest.approx(parameters, rel=1e-3)  # without norms and biases
    found = sizes(model, find_blocks(model), profile.top_k) if profile.experts else dense_sizes(model)
    built = msgspec.convert(found, ModelShape)
    layers = tuple(map(profile.layer, range(profile.decoder_layers)))
    named = replace(profile, layers=layers, dense_intermediate=built.dense_intermediate)
    assert named == built


def test_dense_and_expert_profiles_do_not_take_each_other_s_place():
    own = WIRE_PROFILES["mixtral-8x7b"]
    with pytest.raises(RequestError, match=r"llama-2-70b is a dense model; it goes to model\.baseline_profile"):
        wire_shape("llama-2-70b", own)
    with pytest.raises(RequestError, match=r"mixtral-8x7b has experts; it goes to model\.wire_profile"):
        check_baseline_profile("mixtral-8x7b")
    with pytest.raises(RequestError, match=r"'llama-2' is none of own, llama-2-7b, .*did you mean llama-2-"):
        check_baseline_profile("llama-2")


def test_a_profile_with_a_leading_dense_layer_takes_the_layers_of_the_running_model():
    own = replace(WIRE_PROFILES["mixtral-8x7b"], decoder_layers=6, moe_layers=tuple(range(6)), experts=4)
    laid = wire_shape("deepseek-v2-lite", own)
    assert (laid.experts, laid.top_k, laid.decoder_layers) == (4, 2, 6)
    assert {layer.feed_forwards[0].inner for layer in laid.layers} == {2 * 1408}
    assert {mixer.window for layer in wire_shape("gpt-oss-20b", own).layers for mixer in layer.mixers} == {0, 128}
