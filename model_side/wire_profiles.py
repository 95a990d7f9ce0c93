# SPDX-License-Identifier: Apache-2.0
"""Published models whose sizes stand in for those of a small one.

A small model runs and routes, while every byte and every operation is counted as if its layers had the profile's sizes.
Sizes are those of each model's public config.json on the Hugging Face hub, under the id that stands as its source; all
of these models are published in 16 bits, gpt-oss-20b but for its experts (MXFP4), which devices store as they are told.
"""

from dataclasses import dataclass, replace
from itertools import cycle

from bridge.names import meant
from bridge.network import RequestError
from model_side.shapes import DecoderLayer, FeedForward, Mixer, ModelShape, grouped_query

OWN = "own"
BESIDE_A_PROFILE = "llama-2-70b"
"""The dense model that WDMoE (arXiv 2411.06681) is compared with."""


@dataclass(frozen=True)
class Published:
    """A model's sizes, and the hub id whose config.json has them."""

    source: str
    shape: ModelShape


def _moe(
    hidden: int,
    intermediate: int,
    heads: tuple[int, int, int],
    vocab: int,
    layers: int,
    experts: tuple[int, int],
    dense: int,
) -> ModelShape:
    """Of which every layer has experts; `heads`: of queries, of keys, and their size; `experts`: E and k.

    `dense`: the width of a layer without experts, which only a running model can have.
    """
    return ModelShape(
        hidden, intermediate, *heads, vocab, 2, layers, tuple(range(layers)), *experts, dense_intermediate=dense
    )


def _dense(hidden: int, intermediate: int, heads: tuple[int, int, int], vocab: int, layers: int) -> ModelShape:
    """Without experts; `heads`: of queries, of keys, and their size."""
    return ModelShape(hidden, 0, *heads, vocab, 2, layers, (), 0, 0, dense_intermediate=intermediate)


def _deepseek_v2_lite() -> ModelShape:
    """16 heads with a latent of 512 and a rotary key of 64 in 27 layers, of which the first is dense."""
    hidden, heads, rank, rope, nope, value, layers = 2048, 16, 512, 64, 128, 128, 27
    latent_weights = rank * heads * (nope + value)
    projections = hidden * heads * (nope + rope) + hidden * (rank + rope) + heads * value * hidden
    mixer = Mixer(
        weights=projections + latent_weights,
        pair_operations=2 * heads * (nope + rope + value),
        cache_elements=rank + rope,
        latent_weights=latent_weights,
        latent_pair_operations=2 * heads * (2 * rank + rope),
    )
    dense, shared = (DecoderLayer((mixer,), (FeedForward(3 * hidden * wide, wide),)) for wide in (10944, 2 * 1408))
    return replace(
        _moe(hidden, 1408, (heads, heads, rope), 102400, layers, (64, 6), 10944),
        moe_layers=tuple(range(1, layers)),
        shared_intermediate=2 * 1408,
        layers=(dense, *[shared] * (layers - 1)),
    )


def _gpt_oss_20b() -> ModelShape:
    """Every other layer, from the first on, sees the last 128 tokens."""
    shape = _moe(2880, 2880, (64, 8, 64), 201088, 24, (32, 4), 4 * 2880)
    whole = grouped_query(shape.hidden, shape.heads, shape.kv_heads, shape.head_dim)
    pair = (DecoderLayer((replace(whole, window=128),)), DecoderLayer((whole,)))
    return replace(shape, layers=pair * (shape.decoder_layers // 2))


PUBLISHED = {
    "mixtral-8x7b": Published("mistralai/Mixtral-8x7B-v0.1", _moe(4096, 14336, (32, 8, 128), 32000, 32, (8, 2), 14336)),
    "mixtral-8x22b": Published(
        "mistralai/Mixtral-8x22B-Instruct-v0.1", _moe(6144, 16384, (48, 8, 128), 32768, 56, (8, 2), 16384)
    ),
    "qwen3-30b-a3b": Published("Qwen/Qwen3-30B-A3B", _moe(2048, 768, (32, 4, 128), 151936, 48, (128, 8), 6144)),
    "olmoe-1b-7b": Published("allenai/OLMoE-1B-7B-0924", _moe(2048, 1024, (16, 16, 128), 50304, 16, (64, 8), 8 * 1024)),
    "deepseek-v2-lite": Published("deepseek-ai/DeepSeek-V2-Lite", _deepseek_v2_lite()),
    "gpt-oss-20b": Published("openai/gpt-oss-20b", _gpt_oss_20b()),
    "llama-2-7b": Published("meta-llama/Llama-2-7b-hf", _dense(4096, 11008, (32, 32, 128), 32000, 32)),
    "llama-2-13b": Published("meta-llama/Llama-2-13b-hf", _dense(5120, 13824, (40, 40, 128), 32000, 40)),
    "llama-2-70b": Published("meta-llama/Llama-2-70b-hf", _dense(8192, 28672, (64, 8, 128), 32000, 80)),
    "llama-3.1-8b": Published("meta-llama/Llama-3.1-8B", _dense(4096, 14336, (32, 8, 128), 128256, 32)),
    "llama-3.1-70b": Published("meta-llama/Llama-3.1-70B", _dense(8192, 28672, (64, 8, 128), 128256, 80)),
}
WIRE_PROFILES = {name: each.shape for name, each in PUBLISHED.items() if each.shape.moe_layers}
"""Those with experts, for `model.wire_profile`."""
DENSE_PROFILES = {name: each.shape for name, each in PUBLISHED.items() if not each.shape.moe_layers}
"""Those without, for `model.baseline_profile`."""


def wire_shape(name: str, own: ModelShape) -> ModelShape:
    """The shape that bytes and work are counted with: `own`, or a profile with the layers and experts of `own`.

    Raises `RequestError` as `check_wire_profile`.
    """
    if name == OWN:
        return own
    check_wire_profile(name)
    profile = WIRE_PROFILES[name]
    return replace(
        profile,
        layers=_laid_on(profile, own) if profile.layers else (),
        decoder_layers=own.decoder_layers,
        moe_layers=own.moe_layers,
        experts=own.experts,
        top_k=own.top_k,
    )


def dense_profile(given: str, wire_profile: str) -> str:
    """Whose sizes count for a dense model: as given, or what goes with a wire profile."""
    return given or (OWN if wire_profile == OWN else BESIDE_A_PROFILE)


def check_wire_profile(name: str) -> None:
    """Raise `RequestError` naming `model.wire_profile` for a name that is neither `own` nor a profile with experts."""
    if name in DENSE_PROFILES:
        raise RequestError("model.wire_profile", f"{name} is a dense model; it goes to model.baseline_profile")
    _check("model.wire_profile", name, (OWN, *WIRE_PROFILES))


def check_baseline_profile(name: str) -> None:
    """Likewise naming `model.baseline_profile`, for one that is neither `own` nor a dense profile."""
    if name in WIRE_PROFILES:
        raise RequestError("model.baseline_profile", f"{name} has experts; it goes to model.wire_profile")
    _check("model.baseline_profile", name, (OWN, *DENSE_PROFILES))


def _check(field: str, name: str, there: tuple[str, ...]) -> None:
    if name not in there:
        raise RequestError(field, f"{name!r} is none of {', '.join(there)}{meant(name, there)}")


def _laid_on(profile: ModelShape, own: ModelShape) -> tuple[DecoderLayer, ...]:
    """The profile's layers in the order of `own`: those with experts and those without in turn, each from the first."""
    with_experts = [profile.layers[at] for at in profile.moe_layers]
    others = [layer for at, layer in enumerate(profile.layers) if at not in profile.moe_layers] or with_experts
    turns = {True: cycle(with_experts), False: cycle(others)}
    return tuple(next(turns[at in own.moe_layers]) for at in range(own.decoder_layers))
