# SPDX-License-Identifier: Apache-2.0
"""The roofline, and the work of a layer's parts against PyTorch's own counting of real modules."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from bridge.network import RequestError
from model_side.hardware import published
from model_side.hardware.profiles import PROFILES, Hardware, attention_work, expert_work, lm_head_work, to_ns

SLOW = Hardware(
    "slow", 1e9, 1e8, 2**30, prefill_efficiency=0.5, decode_efficiency=0.8, overhead_s=1e-3, source="made up"
)


def test_latency_by_hand() -> None:
    assert SLOW.latency_s(1e9, 0) == pytest.approx(2.001)  # 1e9 / (1e9 * .5) + 1 ms
    assert SLOW.latency_s(0, 8e7) == pytest.approx(1.001)  # 8e7 / (1e8 * .8) + 1 ms
    assert SLOW.latency_s([1e9, 1e9, 0], [8e7, 8e8, 0]) == pytest.approx([2.001, 10.001, 0.0])


amounts = st.floats(0, 1e18)


@settings(deadline=None)
@given(st.sampled_from(sorted(PROFILES)), amounts, amounts, st.floats(1, 1e3))
def test_more_work_never_takes_less_time(name: str, operations: float, memory_bytes: float, factor: float) -> None:
    hardware = PROFILES[name]
    latency = hardware.latency_s(operations, memory_bytes)
    assert hardware.latency_s(operations * factor, memory_bytes) >= latency
    assert hardware.latency_s(operations, memory_bytes * factor) >= latency


def test_nanoseconds_are_the_nearest() -> None:
    assert to_ns([0.0, 1e-9, 1.6e-9, 2.5]).tolist() == [0, 1, 2, 2_500_000_000]
    assert to_ns(0.1).dtype == np.int64


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peak_flops", 0.0),
        ("memory_bandwidth_bytes_per_s", float("nan")),
        ("memory_bytes", -1),
        ("prefill_efficiency", 1.1),
        ("decode_efficiency", 0.0),
        ("overhead_s", -1e-6),
    ],
)
def test_an_impossible_profile_is_refused_by_field(field: str, value: float) -> None:
    with pytest.raises(RequestError, match=f"hardware.{field}"):
        dataclasses.replace(SLOW, **{field: value})


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_expert_operations_are_those_that_pytorch_counts(tokens: int, hidden: int, intermediate: int) -> None:
    x, up, down = torch.ones(tokens, hidden), torch.ones(2 * intermediate, hidden), torch.ones(hidden, intermediate)
    with FlopCounterMode(display=False) as counter:
        gate, value = functional.linear(x, up).chunk(2, dim=-1)
        functional.linear(functional.silu(gate) * value, down)
    operations, memory_bytes = expert_work(tokens, hidden, intermediate, element_bytes=2, weight_bits=16)
    assert operations == counter.get_total_flops()
    activations = 2 * (x.numel() + value.numel())
    assert memory_bytes == 2 * (up.numel() + down.numel() + activations)


def test_an_expert_without_tokens_costs_nothing_and_one_token_reads_the_whole_expert() -> None:
    operations, memory_bytes = expert_work([0, 1, 10], 4096, 14336, element_bytes=2, weight_bits=4)
    assert operations.tolist() == [0, 6 * 4096 * 14336, 60 * 4096 * 14336]
    assert memory_bytes[0] == 0
    assert memory_bytes[1] == pytest.approx(3 * 4096 * 14336 / 2, rel=1e-3)
    assert [float(part) for part in expert_work(5, 4096, 0, 2, 16)] == [0, 0]
    times = PROFILES["jetson-agx-orin"].latency_s(operations, memory_bytes)
    assert times[0] == 0
    assert times[1] < times[2] < 1.1 * times[1]  # ten tokens share one reading of the weights


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 12), st.integers(1, 3), st.integers(1, 4), st.integers(1, 8))
def test_attention_operations_are_those_that_pytorch_counts(
    tokens: int, past: int, kv_heads: int, group: int, head_dim: int
) -> None:
    hidden, heads, context = 24, kv_heads * group, tokens + past
    x, cache = torch.ones(tokens, hidden), torch.ones(heads, context, head_dim)
    with FlopCounterMode(display=False) as counter:
        for width in (heads, kv_heads, kv_heads):
            functional.linear(x, torch.ones(width * head_dim, hidden))
        for token in range(tokens):  # only what a token may see
            visible = cache[:, : past + token + 1]
            scores = torch.ones(heads, 1, head_dim) @ visible.transpose(1, 2)
            scores.softmax(dim=-1) @ visible
        functional.linear(torch.ones(tokens, heads * head_dim), torch.ones(hidden, heads * head_dim))
    operations, memory_bytes = attention_work(tokens, context, hidden, heads, kv_heads, head_dim, 2, 16)
    assert operations == counter.get_total_flops()
    weights = 2 * hidden * (heads + kv_heads) * head_dim
    assert memory_bytes == 2 * (weights + 2 * context * kv_heads * head_dim + 2 * x.numel())


def test_attention_refuses_a_context_that_lacks_its_own_tokens() -> None:
    with pytest.raises(RequestError, match="context"):
        attention_work(5, 4, 64, 2, 2, 32, 2, 16)


def test_head_operations_are_those_that_pytorch_counts() -> None:
    with FlopCounterMode(display=False) as counter:
        functional.linear(torch.ones(3, 64), torch.ones(1000, 64))
    operations, memory_bytes = lm_head_work(3, 64, 1000, element_bytes=2, weight_bits=16)
    assert operations == counter.get_total_flops()
    assert memory_bytes == 2 * (64 * 1000 + 3 * 64 + 3 * 1000)
    assert [float(part) for part in lm_head_work(0, 64, 1000, 2, 16)] == [0, 0]


MODEL_TYPES = {
    published.LLAMA_3_1_8B: "llama",
    published.LLAMA_3_2_3B: "llama",
    published.LLAMA_2_13B: "llama",
    published.QWEN2_5_7B: "qwen2",
    published.QWEN2_5_1_5B: "qwen2",
    published.GEMMA_2_2B: "gemma2",
    published.QWEN3_1_7B: "qwen3",
    published.QWEN3_0_6B: "qwen3",
}


@pytest.mark.parametrize("sizes", MODEL_TYPES, ids=lambda sizes: sizes.name)
def test_one_token_of_a_dense_model_reads_its_weights_once(sizes: published.PublishedModel) -> None:
    """The weights that the formulas read are those of the model that transformers builds from the same sizes."""
    config = AutoConfig.for_model(
        MODEL_TYPES[sizes],
        num_hidden_layers=sizes.layers,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        vocab_size=sizes.vocab,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    read = sum(times * work[1] for times, work in sizes.work(published.BF16, tokens=1, context=1))
    assert read == pytest.approx(2 * sum(parameter.numel() for parameter in model.parameters()), rel=2e-3)


def test_the_active_weights_of_a_mixture_are_read() -> None:
    """Qwen3.5 35B-A3B has 3 B active parameters; 2.95 B are built from its sizes, without the embedding."""
    config = AutoConfig.for_model("qwen3_5_moe_text")
    sizes = published.QWEN3_5_35B
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    total = {name: parameter.numel() for name, parameter in model.named_parameters()}
    routed = sum(size for name, size in total.items() if ".experts." in name)
    embedding = sum(size for name, size in total.items() if "embed_tokens" in name)
    active = sum(total.values()) - embedding - routed * (1 - sizes.top_k / sizes.experts)
    read = sum(times * work[1] for times, work in sizes.work(published.BF16, tokens=1, context=1))
    assert read == pytest.approx(2 * active, rel=0.01)
