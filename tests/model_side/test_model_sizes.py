# SPDX-License-Identifier: Apache-2.0
"""The sizes read from a model's modules: against the parameter counts of real configurations, and their papers."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from model_side.hardware.memory import expert_bytes
from model_side.hardware.profiles import attention_work, mixer_work
from model_side.model.loaded_model import shape_of
from model_side.model.moe import SplitModel
from model_side.model.routers import find_blocks
from model_side.model_sizes import sizes
from model_side.shapes import DecoderLayer, Mixer, ModelShape
from model_side.wire_profiles import WIRE_PROFILES, wire_shape
from tests.support.small_models import SIZES, small_model

NEMOTRON_3_NANO = {
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    **{"hidden_size": 2688, "num_attention_heads": 32, "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 131072},
    **{"mamba_num_heads": 64, "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4},
    **{"n_routed_experts": 128, "num_experts_per_tok": 6, "moe_intermediate_size": 1856, "intermediate_size": 1856},
    "moe_shared_expert_intermediate_size": 3712,
}
"""As its public config.json says."""

# Configuration; billions of parameters as published; decoder layers with a cache, a window, a state; matrices of an
# expert. The defaults of transformers are the configurations of DeepSeek-V3, Qwen3-Next 80B-A3B, gpt-oss-120b,
# Jamba v0.1, Mixtral 8x7B, and the text part of Llama 4 Scout.
REAL: dict[str, tuple[str, dict[str, Any], float, tuple[int, int, int], int]] = {
    "DeepSeek-V3": ("deepseek_v3", {}, 671, (61, 0, 0), 3),
    "Qwen3-Next 80B-A3B": ("qwen3_next", {}, 80, (12, 0, 36), 3),
    "gpt-oss-120b": ("gpt_oss", {}, 117, (36, 18, 0), 3),
    "Jamba v0.1": ("jamba", {}, 52, (4, 0, 28), 3),
    "Mixtral 8x7B": ("mixtral", {}, 46.7, (32, 0, 0), 3),
    "Nemotron 3 Nano": ("nemotron_h", NEMOTRON_3_NANO, 31.6, (6, 0, 23), 2),
    "Llama 4 Scout, text": ("llama4_text", {}, 108, (48, 36, 0), 3),
}


@pytest.mark.parametrize("name", REAL)
def test_every_matrix_of_a_real_model_is_counted_once_and_by_its_kind(name: str):
    kind, changes, billions, (cached, windowed, recurrent), matrices = REAL[name]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **changes))
    blocks = find_blocks(model)
    shape = msgspec.convert(sizes(model, blocks, 1), ModelShape)
    routed = len(blocks) * shape.experts * shape.expert_matrices * shape.travelling * shape.intermediate
    at_the_base_station = sum(part.weights for layer in shape.layers for part in (*layer.mixers, *layer.feed_forwards))
    apart = ("A_log", "_bias", "embed_tokens", "embeddings", "lm_head")
    others = sum(
        parameter.numel()
        for parameter_name, parameter in model.named_parameters()
        if parameter.dim() == 1 or any(part in parameter_name for part in apart)
    )
    routers = sum(
        parameter.numel() for block in blocks for parameter in block.router.parameters() if parameter.dim() > 1
    )
    assert routed + at_the_base_station + routers + others == model.num_parameters()
    assert model.num_parameters() / 1e9 == pytest.approx(billions, rel=0.01)
    mixers = [mixer for layer in shape.layers for mixer in layer.mixers]
    assert sum(mixer.cache_elements > 0 for mixer in mixers) == cached
    assert sum(mixer.window > 0 for mixer in mixers) == windowed
    assert sum(mixer.state_elements > 0 for mixer in mixers) == recurrent
    assert shape.expert_matrices == matrices


def test_latent_attention_keeps_the_latent_and_one_rotary_key():
    """DeepSeek-V3: 512 + 64 elements a token, of 128 heads of 128 + 64 and 128."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model("deepseek_v3", num_hidden_layers=4))
    (mixer,) = set(msgspec.convert(sizes(model, find_blocks(model), 8), ModelShape).layers[0].mixers)
    assert (mixer.cache_elements, mixer.latent_weights) == (576, 512 * 128 * 256)
    assert (mixer.pair_operations, mixer.latent_pair_operations) == (2 * 128 * (192 + 128), 2 * 128 * (576 + 512))


def test_experts_of_two_matrices_in_a_latent_space_are_seen_and_the_latent_travels():
    config = transformers.NemotronHConfig(
        hidden_size=32,
        vocab_size=160,
        hybrid_override_pattern="ME*E",
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "moe_latent_size": 16},
        **{"mamba_num_heads": 4, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "n_routed_experts": 8},
        **{"moe_intermediate_size": 24, "moe_shared_expert_intermediate_size": 40, "num_experts_per_tok": 2},
        **{"n_group": 1, "topk_group": 1, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None},
    )
    torch.manual_seed(0)
    split = SplitModel(transformers.NemotronHForCausalLM(config))
    shape = shape_of(split, "bfloat16")
    assert (shape.expert_matrices, shape.latent, shape.intermediate, shape.moe_layers) == (2, 16, 24, (1, 3))
    assert shape.token_bytes == 16 * 2
    assert expert_bytes(shape, 16) == 2 * 16 * 24 * 2
    entering: list[int] = []
    hook = split.blocks[0].experts.register_forward_hook(lambda _, given, __: entering.append(given[0].shape[-1]))
    split.forward(torch.tensor([[1, 2]]), None, "a pass")
    hook.remove()
    assert entering == [16]
    to_latent_and_back = 2 * 32 * 16
    shared = shape.layers[1].feed_forwards
    assert (sum(part.weights for part in shared), shared[0].inner) == (2 * 32 * 40 + to_latent_and_back, 40)


def test_a_shared_network_outside_the_block_is_charged():
    sizes_of = {"num_local_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 40}
    model = transformers.GraniteMoeSharedForCausalLM(transformers.GraniteMoeSharedConfig(**SIZES, **sizes_of))
    shape = shape_of(SplitModel(model))
    assert [layer.feed_forwards[0].weights for layer in shape.layers] == [3 * 32 * 40] * 3
    assert shape.shared_intermediate == 40


@pytest.mark.parametrize("window", [0, 1, 5, 40])
@pytest.mark.parametrize(("tokens", "context"), [(1, 1), (1, 30), (7, 7), (6, 20), (20, 20)])
def test_a_window_bounds_what_a_token_sees_and_what_is_read(tokens: int, context: int, window: int):
    mixer = Mixer(weights=0, pair_operations=3, cache_elements=5, window=window)
    seen = [set(range(max(0, at + 1 - (window or context)), at + 1)) for at in range(context - tokens, context)]
    operations, moved = mixer_work(tokens, context, mixer, 0, 2, 16)
    assert operations == 3 * sum(map(len, seen))
    assert moved == 5 * 2 * len(set.union(*seen))


def test_a_latent_cache_takes_the_cheaper_way():
    mixer = Mixer(weights=0, pair_operations=10, latent_weights=1000, latent_pair_operations=100)
    assert mixer_work(8, 8, mixer, 0, 2, 16)[0] == 10 * 36  # nothing is there to be made again
    assert mixer_work(1, 50, mixer, 0, 2, 16)[0] == 100 * 50
    assert mixer_work(300, 301, mixer, 0, 2, 16)[0] == 10 * (301 * 302 / 2 - 1) + 2 * 1000


def test_a_state_costs_the_same_after_any_context():
    mixer = Mixer(weights=10, state_elements=100, state_operations=500)
    first, later = (mixer_work(4, context, mixer, 8, 2, 16) for context in (4, 4000))
    assert first == later == (2 * 4 * 10 + 500 * 4, 10 * 2 + 2 * 100 * 2 + 2 * 4 * 8 * 2)


def test_attention_of_a_model_is_charged_as_its_configuration_says():
    shape = shape_of(SplitModel(small_model("mixtral")))
    ours = mixer_work(5, 9, shape.layers[0].mixers[0], 32, 2, 16)
    assert np.array_equal(ours, attention_work(5, 9, 32, 4, 2, 8, 2, 16))


def test_elements_are_those_that_the_model_was_made_in_whatever_it_computes_in_here():
    split = SplitModel(small_model("mixtral"))
    assert (shape_of(split).element_bytes, shape_of(split, "bfloat16").element_bytes) == (4, 2)
    assert shape_of(SplitModel(split.model.to(torch.bfloat16)), "float32").element_bytes == 4


def test_a_profile_with_layers_of_its_own_is_laid_on_those_of_the_model(monkeypatch: pytest.MonkeyPatch):
    own = shape_of(SplitModel(small_model("qwen3_moe", mlp_only_layers=[1], num_hidden_layers=5)))
    dense, first, second = (DecoderLayer((Mixer(weights),)) for weights in (1, 2, 3))
    profile = WIRE_PROFILES["mixtral-8x7b"]
    shape = replace(profile, decoder_layers=3, moe_layers=(1, 2), layers=(dense, first, second))
    monkeypatch.setitem(WIRE_PROFILES, "made-up", shape)
    laid = wire_shape("made-up", own)
    assert laid.layers == (first, dense, second, first, second)
    assert laid.moe_layers == own.moe_layers
