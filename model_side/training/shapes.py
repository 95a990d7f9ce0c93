# SPDX-License-Identifier: Apache-2.0
"""The models that are trained for this project: alike in all but what stands in the place of a layer's MLP."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from transformers import LlamaConfig, MixtralConfig, PretrainedConfig, Qwen2MoeConfig

from model_side.training.tokenizer import VOCABULARY

CONTEXT = 2048


class Shape(NamedTuple):
    """A model's architecture.

    `config` makes its configuration, and `mlp` is what the model card says of a layer.
    """

    config: Callable[[], PretrainedConfig]
    mlp: str


def attention() -> dict[str, Any]:
    """What all have: 6 layers of hidden size 192, 6 query and 2 key/value heads of 32, tied embeddings."""
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": CONTEXT,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }


def mixtral() -> MixtralConfig:
    """8 experts, top-2: 11.6 M parameters, of which 3.6 M work on a token."""
    return MixtralConfig(
        **attention(), intermediate_size=384, num_local_experts=8, num_experts_per_tok=2, sliding_window=None
    )


def qwen2_moe() -> Qwen2MoeConfig:
    """32 fine-grained experts, top-4, and a shared one that each token goes to: 12.3 M parameters."""
    return Qwen2MoeConfig(
        **attention(),
        moe_intermediate_size=96,
        shared_expert_intermediate_size=192,
        num_experts=32,
        num_experts_per_tok=4,
        norm_topk_prob=True,
        decoder_sparse_step=1,
        mlp_only_layers=[],
    )


def llama() -> LlamaConfig:
    """Dense, its MLP as wide as all experts of the Mixtral together: 11.6 M parameters."""
    return LlamaConfig(**attention(), intermediate_size=8 * 384)


def small_llama() -> LlamaConfig:
    """Dense, its MLP as wide as the two experts of the Mixtral that work on a token: 3.6 M parameters."""
    return LlamaConfig(**attention(), intermediate_size=2 * 384)


SHAPES: Mapping[str, Shape] = {
    "mixtral-12m": Shape(mixtral, "8 experts of intermediate size 384 with top-2 routing"),
    "qwen2-moe-12m": Shape(
        qwen2_moe,
        "32 experts of intermediate size 96 with top-4 routing and a shared expert of 192 behind a sigmoid gate",
    ),
    "llama-12m": Shape(llama, "a dense MLP of intermediate size 3072"),
    "llama-4m": Shape(small_llama, "a dense MLP of intermediate size 768"),
}
