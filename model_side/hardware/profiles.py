# SPDX-License-Identifier: Apache-2.0
"""How long a device or the BS computes: real hardware, a roofline, and the work of a decoder layer's parts.

A piece of work is a count of operations (a multiplication and an addition are two) and of bytes moved
between processor and memory. The roofline (Williams, Waterman and Patterson 2009) takes whichever lasts
longer. Decode of one token is bound by memory, prefill of many by arithmetic; the roofline tells which.
Weights may be stored narrower than the arithmetic (`weight_bits`); arithmetic is 16 bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bridge.network import NS_PER_S, RequestError
from model_side.shapes import FeedForward, Mixer, grouped_query

Work = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Hardware:
    """One processor with its memory.

    `peak_flops`: 16-bit dense operations per second. `memory_bandwidth_bytes_per_s`, `memory_bytes`: of
    the memory that holds the weights. `prefill_efficiency`: share of `peak_flops` that a transformer's
    large matrix products reach. `decode_efficiency`: share of the bandwidth that reading its weights
    reaches. `overhead_s`: time to start one piece of work (kernel launches, synchronisation).
    `source` says where peak, bandwidth and memory come from. `compute_w`: what it draws while it computes, None where
    nobody says, and `power_source` what kind of figure that is.
    """

    name: str
    peak_flops: float
    memory_bandwidth_bytes_per_s: float
    memory_bytes: int
    prefill_efficiency: float
    decode_efficiency: float
    overhead_s: float
    source: str
    compute_w: float | None = None
    power_source: str = ""

    def __post_init__(self) -> None:
        for field in ("peak_flops", "memory_bandwidth_bytes_per_s", "memory_bytes"):
            if not 0 < getattr(self, field) < float("inf"):
                raise RequestError(f"hardware.{field}", f"{getattr(self, field)} is not above 0 and finite")
        for field in ("prefill_efficiency", "decode_efficiency"):
            if not 0 < getattr(self, field) <= 1:
                raise RequestError(f"hardware.{field}", f"{getattr(self, field)} is not above 0 and at most 1")
        if not 0 <= self.overhead_s < float("inf"):
            raise RequestError("hardware.overhead_s", f"{self.overhead_s} is negative or not finite")
        if self.compute_w is not None and not 0 <= self.compute_w < float("inf"):
            raise RequestError("hardware.compute_w", f"{self.compute_w} is negative or not finite")

    def latency_s(self, operations: ArrayLike, memory_bytes: ArrayLike) -> NDArray[np.float64]:
        """Seconds for each piece of work; no work takes no time. Arrays broadcast.

        `max(operations / (peak_flops * prefill_efficiency), bytes / (bandwidth * decode_efficiency)) + overhead_s`
        """
        operations, memory_bytes = np.asarray(operations, np.float64), np.asarray(memory_bytes, np.float64)
        arithmetic_s = operations / (self.peak_flops * self.prefill_efficiency)
        memory_s = memory_bytes / (self.memory_bandwidth_bytes_per_s * self.decode_efficiency)
        busy_s = np.maximum(arithmetic_s, memory_s)
        return np.where(busy_s > 0, busy_s + self.overhead_s, 0.0)


def to_ns(seconds: ArrayLike) -> NDArray[np.int64]:
    """Whole nanoseconds nearest to `seconds`."""
    return np.rint(np.asarray(seconds, np.float64) * NS_PER_S).astype(np.int64)


def expert_work(
    tokens: ArrayLike, hidden: int, intermediate: int, element_bytes: float, weight_bits: float, matrices: int = 3
) -> Work:
    """Work of MLP experts of `matrices` matrices (gate, up and down, or up and down), one entry for each of `tokens`.

    `tokens` counts the tokens that each expert computes. An expert without tokens is not read; one of
    `intermediate` 0 is none, and does nothing.

    operations = 2 * matrices * tokens * hidden * intermediate
    bytes = matrices * hidden * intermediate * weight_bits / 8 where tokens > 0
            + 2 * tokens * (hidden + intermediate) * element_bytes

    Each token's hidden state is read and written once, and its intermediate state written and read once.
    """
    tokens = np.asarray(tokens, np.float64) * (intermediate > 0)
    return feed_forward_work(
        tokens, FeedForward(matrices * hidden * intermediate, intermediate), hidden, element_bytes, weight_bits
    )


def feed_forward_work(
    tokens: ArrayLike, network: FeedForward, hidden: int, element_bytes: float, weight_bits: float
) -> Work:
    """Work of a feed-forward network, of `w` weights and `inner` elements between its matrices.

    operations = 2 * tokens * w
    bytes = w * weight_bits / 8 where tokens > 0 + 2 * tokens * (hidden + inner) * element_bytes
    """
    tokens = np.asarray(tokens, np.float64)
    weight_bytes = np.where(tokens > 0, network.weights * weight_bits / 8, 0.0)
    return 2 * tokens * network.weights, weight_bytes + 2 * tokens * (hidden + network.inner) * element_bytes


def attention_work(
    tokens: ArrayLike,
    context: ArrayLike,
    hidden: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    element_bytes: float,
    weight_bits: float,
) -> Work:
    """Work of one layer's grouped-query attention over `tokens` new tokens, the last of `context` tokens."""
    mixer = grouped_query(hidden, heads, kv_heads, head_dim)
    return mixer_work(tokens, context, mixer, hidden, element_bytes, weight_bits)


def mixer_work(
    tokens: ArrayLike, context: ArrayLike, mixer: Mixer, hidden: int, element_bytes: float, weight_bits: float
) -> Work:
    """Work of what mixes the tokens of a layer, over `tokens` new ones, the last of `context`.

    With `w` weights, `v` visible pairs (a token sees itself and those before it, `window` at most), `s` tokens that any
    of the new ones sees, and the mixer's other sizes:

    operations = 2 * tokens * w + pair_operations * v + state_operations * tokens
    bytes = w * weight_bits / 8 + cache_elements * s * element_bytes
            + 2 * state_elements * element_bytes + 2 * tokens * hidden * element_bytes

    The cache is read or written once; scores stay on the chip (as in FlashAttention). Keys and values that are kept as
    a latent are made again of the tokens before, 2 * latent_weights operations each, or each pair takes
    `latent_pair_operations` with the latent itself (as DeepSeek-V2 absorbs the matrices): whichever is less.
    """
    tokens, context = np.asarray(tokens, np.float64), np.asarray(context, np.float64)
    if np.any(context < tokens):
        raise RequestError("context", f"{context} is less than the tokens {tokens} that belong to it")
    window = mixer.window or np.inf
    pairs = _seen_up_to(context, window) - _seen_up_to(context - tokens, window)
    seen = np.minimum(context, tokens + window - 1)
    scores = mixer.pair_operations * pairs
    if mixer.latent_weights:
        again = scores + 2 * mixer.latent_weights * np.maximum(seen - tokens, 0)
        scores = np.minimum(again, mixer.latent_pair_operations * pairs)
    kept_bytes = (mixer.cache_elements * seen + 2 * mixer.state_elements) * element_bytes
    moved = np.where(tokens > 0, mixer.weights * weight_bits / 8 + kept_bytes, 0.0)
    operations = 2 * tokens * mixer.weights + scores + mixer.state_operations * tokens
    return operations, moved + 2 * tokens * hidden * element_bytes


def _seen_up_to(tokens: NDArray[np.float64], window: float) -> NDArray[np.float64]:
    """How many tokens the first `tokens` of a context see together, each itself and those before it."""
    full = np.minimum(tokens, window)
    later = np.where(tokens > full, (tokens - full) * full, 0.0)
    return np.asarray(full * (full + 1) / 2 + later)


def lm_head_work(tokens: ArrayLike, hidden: int, vocab: int, element_bytes: float, weight_bits: float) -> Work:
    """Work of the output projection of `tokens` tokens to logits over `vocab` entries.

    operations = 2 * tokens * hidden * vocab
    bytes = hidden * vocab * weight_bits / 8 + tokens * (hidden + vocab) * element_bytes
    """
    tokens = np.asarray(tokens, np.float64)
    weight_bytes = np.where(tokens > 0, hidden * vocab * weight_bits / 8, 0.0)
    return 2 * tokens * hidden * vocab, weight_bytes + tokens * (hidden + vocab) * element_bytes


GB = 10**9
GIB = 2**30

# Calibrated in `model_side.hardware.check`, on the rows that it names: efficiencies on a Jetson AGX Orin.
ORIN = {"prefill_efficiency": 0.24, "decode_efficiency": 0.82, "overhead_s": 25e-6}

PROFILES: dict[str, Hardware] = {
    profile.name: profile
    for profile in (
        Hardware(
            "jetson-orin-nano",
            peak_flops=10e12,
            memory_bandwidth_bytes_per_s=68 * GB,
            memory_bytes=8 * GIB,
            **ORIN,
            source="NVIDIA Jetson Orin Nano 8GB data sheet: 20 dense INT8 TOPS (FP16 at half), 68 GB/s",
            compute_w=15,
            power_source="NVIDIA Jetson Orin Nano 8GB data sheet: 7 to 15 W; the module's limit, an upper bound",
        ),
        Hardware(
            "jetson-orin-nano-super",
            peak_flops=17e12,
            memory_bandwidth_bytes_per_s=102 * GB,
            memory_bytes=8 * GIB,
            **ORIN,
            source="NVIDIA Jetson Orin Nano Super announcement: 17 FP16 TFLOPS, 102 GB/s",
            compute_w=25,
            power_source="NVIDIA Jetson Orin Nano Super announcement: 7 to 25 W; the module's limit, an upper bound",
        ),
        Hardware(
            "jetson-agx-orin",
            peak_flops=42.5e12,
            memory_bandwidth_bytes_per_s=204.8 * GB,
            memory_bytes=64 * GIB,
            **ORIN,
            source="NVIDIA Jetson AGX Orin technical brief: 170 sparse INT8 TOPS (dense FP16 a quarter), 204.8 GB/s",
            compute_w=60,
            power_source="NVIDIA Jetson AGX Orin 64GB data sheet: 15 to 60 W; the module's limit, an upper bound",
        ),
        Hardware(
            "jetson-agx-thor",
            peak_flops=258e12,
            memory_bandwidth_bytes_per_s=273 * GB,
            memory_bytes=128 * GIB,
            prefill_efficiency=0.10,
            decode_efficiency=ORIN["decode_efficiency"],
            overhead_s=ORIN["overhead_s"],
            source="NVIDIA Jetson T5000 data sheet: 2,070 sparse FP4 TFLOPS (dense FP16 at an eighth), 273 GB/s",
            compute_w=130,
            power_source="NVIDIA Jetson T5000 data sheet: 40 to 130 W; the module's limit, an upper bound",
        ),
        Hardware(
            "nvidia-rtx-4050-laptop",
            peak_flops=48.5e12,
            memory_bandwidth_bytes_per_s=192 * GB,
            memory_bytes=6 * GIB,
            **ORIN,
            source="NVIDIA: 194 sparse INT8 TOPS (dense FP16 at a quarter), 96 bit of GDDR6 at 16 Gbit/s",
            compute_w=115,
            power_source="NVIDIA GeForce RTX 40 laptops: 35 to 115 W of graphics power, an upper bound",
        ),
        Hardware(
            "nvidia-l4",
            peak_flops=121e12,
            memory_bandwidth_bytes_per_s=300 * GB,
            memory_bytes=24 * GIB,
            **ORIN,
            source="NVIDIA L4 data sheet: 242 sparse FP16 TFLOPS (dense at half), 300 GB/s",
            compute_w=72,
            power_source="NVIDIA L4 data sheet: 72 W; the board's limit, an upper bound",
        ),
        Hardware(
            "nvidia-rtx-4090",
            peak_flops=165.2e12,
            memory_bandwidth_bytes_per_s=1008 * GB,
            memory_bytes=24 * GIB,
            **ORIN,
            source="NVIDIA Ada architecture white paper: 165.2 dense FP16 TFLOPS with FP32 sums, 1,008 GB/s",
            compute_w=450,
            power_source="NVIDIA: 450 W of graphics power; the board's limit, an upper bound",
        ),
        Hardware(
            "nvidia-a100-80gb",
            peak_flops=312e12,
            memory_bandwidth_bytes_per_s=2039 * GB,
            memory_bytes=80 * GIB,
            **ORIN,
            source="NVIDIA A100 80GB SXM data sheet: 312 dense FP16 TFLOPS, 2,039 GB/s",
            compute_w=400,
            power_source="NVIDIA A100 80GB SXM data sheet: 400 W; the module's limit, an upper bound",
        ),
        Hardware(
            "snapdragon-8-gen-3",
            peak_flops=2.8e12,
            memory_bandwidth_bytes_per_s=76.8 * GB,
            memory_bytes=12 * GIB,
            prefill_efficiency=0.23,
            decode_efficiency=0.34,
            overhead_s=ORIN["overhead_s"],
            source="Qualcomm product brief: 64-bit LPDDR5X at 4,800 MHz; GPU peak nominal: the maker gives none",
        ),
        Hardware(
            "raspberry-pi-5",
            peak_flops=307e9,
            memory_bandwidth_bytes_per_s=17 * GB,
            memory_bytes=16 * GIB,
            prefill_efficiency=0.30,
            decode_efficiency=0.56,
            overhead_s=0.0,
            source="Raspberry Pi 5 product brief: 4 Cortex-A76 (two 128-bit FMA a cycle), 2.4 GHz, LPDDR4X at 17 GB/s",
            compute_w=13.0,
            power_source="geerlingguy/ai-benchmarks, Pi 5 16GB, DeepSeek R1 14b: measured peak of the whole board",
        ),
    )
}
