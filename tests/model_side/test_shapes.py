# SPDX-License-Identifier: Apache-2.0
"""The sizes that are counted: against the configurations that the models were made from."""

import pytest
import torch
import transformers

from bridge.network import RequestError
from model_side.model.loaded_model import shape_of
from model_side.model.moe import SplitModel
from model_side.wire_profiles import WIRE_PROFILES, wire_shape
from tests.support.small_models import small_model


def test_own_shape_is_that_of_the_configuration():
    shape = shape_of(SplitModel(small_model("qwen3_moe", mlp_only_layers=[1], num_hidden_layers=4)))
    assert (shape.hidden, shape.intermediate, shape.vocab) == (32, 24, 160)
    assert (shape.heads, shape.kv_heads, shape.head_dim) == (4, 2, 8)
    assert (shape.experts, shape.top_k, shape.element_bytes) == (16, 4, 4)
    assert (shape.decoder_layers, shape.moe_layers) == (4, (0, 2, 3))
    assert (shape.shared_intermediate, shape.dense_intermediate) == (0, 64)
    assert [len(shape.layers_up_to(layer)) for layer in range(4)] == [1, 2, 1, 0]
    assert shape.token_bytes == 128


def test_shared_experts_and_leading_dense_layers_are_seen():
    assert shape_of(SplitModel(small_model("qwen2_moe"))).shared_intermediate == 40
    deepseek = shape_of(SplitModel(small_model("deepseek_v3", n_shared_experts=2)))
    assert (deepseek.shared_intermediate, deepseek.moe_layers) == (48, (1, 2))
    assert [len(deepseek.layers_up_to(layer)) for layer in range(3)] == [2, 1, 0]


def test_trailing_dense_layers_are_seen():
    shape = shape_of(SplitModel(small_model("qwen3_moe", mlp_only_layers=[2])))
    assert [len(shape.layers_up_to(layer)) for layer in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("family", ["mixtral", "granitemoe", "gpt_oss", "olmoe"])
def test_intermediate_size_comes_from_the_weights_in_any_layout(family: str):
    assert shape_of(SplitModel(small_model(family))).intermediate == 64


def test_bfloat16_has_two_bytes():
    assert shape_of(SplitModel(small_model("mixtral").to(torch.bfloat16))).token_bytes == 64


def test_the_mixtral_profile_has_the_parameters_that_its_configuration_gives():
    with torch.device("meta"):
        config = transformers.MixtralConfig(num_key_value_heads=8, intermediate_size=14336)
        parameters = transformers.MixtralForCausalLM(config).num_parameters()
    shape = WIRE_PROFILES["mixtral-8x7b"]
    attention = 2 * shape.hidden * shape.head_dim * (shape.heads + shape.kv_heads)
    norms_and_router = shape.hidden * (2 + shape.experts)
    layer = attention + norms_and_router + 3 * shape.experts * shape.hidden * shape.intermediate
    assert 32 * layer + shape.hidden * (2 * shape.vocab + 1) == parameters == 46_702_792_704
    assert shape.token_bytes == 8192


def test_a_profile_takes_layers_and_experts_from_the_running_model():
    own = shape_of(SplitModel(small_model("qwen3_moe")))
    assert wire_shape("own", own) is own
    wire = wire_shape("mixtral-8x7b", own)
    assert (wire.hidden, wire.token_bytes, wire.experts, wire.top_k) == (4096, 8192, 16, 4)
    assert (wire.decoder_layers, wire.moe_layers) == (3, (0, 1, 2))
    with pytest.raises(RequestError, match="'gpt-9' is none of own, mixtral-8x7b") as caught:
        wire_shape("gpt-9", own)
    assert caught.value.field == "model.wire_profile"
