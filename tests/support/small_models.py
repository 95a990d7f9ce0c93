# SPDX-License-Identifier: Apache-2.0
"""Small random MoE models of several families, each with weights large enough that routing matters."""

from typing import Any

import torch
import transformers
from torch import Tensor

SIZES = {
    "vocab_size": 160,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
LATENT_ATTENTION = {
    "num_key_value_heads": 4,
    "q_lora_rank": None,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
FINE_GRAINED = {"moe_intermediate_size": 24, "num_experts_per_tok": 4}

# family: class prefix and what differs from SIZES
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "qwen3_moe": ("Qwen3Moe", {"num_experts": 16, "head_dim": 8, **FINE_GRAINED}),
    "olmoe": ("Olmoe", {"num_experts": 16, "num_experts_per_tok": 4}),
    "qwen2_moe": ("Qwen2Moe", {"num_experts": 16, "shared_expert_intermediate_size": 40, **FINE_GRAINED}),
    "deepseek_v2": (
        "DeepseekV2",
        {"n_routed_experts": 16, "first_k_dense_replace": 1, **FINE_GRAINED, **LATENT_ATTENTION},
    ),
    "deepseek_v3": (
        "DeepseekV3",
        {
            "n_routed_experts": 16,
            "n_group": 4,
            "topk_group": 2,
            "first_k_dense_replace": 1,
            **FINE_GRAINED,
            **LATENT_ATTENTION,
        },
    ),
    "granitemoe": ("GraniteMoe", {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "phimoe": ("Phimoe", {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "gpt_oss": ("GptOss", {"num_local_experts": 8, "num_experts_per_tok": 4, "head_dim": 8}),
}


def small_model(family: str, seed: int = 0, **changes: Any) -> Any:
    """A random model of `family`, in eval mode; the same seed gives the same weights."""
    prefix, differs = FAMILIES[family]
    config = getattr(transformers, f"{prefix}Config")(**{**SIZES, **differs, **changes})
    torch.manual_seed(seed)
    return getattr(transformers, f"{prefix}ForCausalLM")(config).eval()


def random_prompt(length: int, seed: int = 1) -> tuple[int, ...]:
    """Token ids for the models above."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(1, SIZES["vocab_size"], (length,), generator=generator).tolist())


def expert_by_expert(block: Any, hidden: Tensor, weights: Tensor, indices: Tensor) -> Tensor:
    """The MoE block by its definition, in double precision: one token and one expert after the other."""
    experts = block.experts
    result = torch.zeros(hidden.shape, dtype=torch.float64)
    for token in range(len(hidden)):
        for weight, expert in zip(weights[token].double(), indices[token].tolist(), strict=True):
            if expert == experts.num_experts:
                continue
            gate, up = (experts.gate_up_proj[expert].double() @ hidden[token].double()).chunk(2)
            result[token] += weight * (experts.down_proj[expert].double() @ (experts.act_fn(gate) * up))
    return result
