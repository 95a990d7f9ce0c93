# SPDX-License-Identifier: Apache-2.0
"""The sizes of a model that decide its bytes on the air and its work on BS and devices.

A *wire profile* stands in for a larger model: a small model runs and routes, while every byte and every
operation is counted as if its layers had the profile's sizes.
"""

from dataclasses import asdict, dataclass, replace
from itertools import cycle
from typing import Any

from bridge.names import meant
from bridge.network import RequestError

OWN = "own"


@dataclass(frozen=True)
class Mixer:
    """What mixes the tokens of a decoder layer: attention, a state-space model, linear attention, a convolution.

    `weights`: of its matrices, each of which every new token passes. `pair_operations`: for each pair of a new token
    and one that it sees, of which there are `window` at most, itself among them (0: all before it).
    `cache_elements`: kept of each token that is seen. A latent cache is made keys and values by `latent_weights` again,
    or asked as it is with `latent_pair_operations` for each pair. `state_elements`: read and written by each pass, with
    `state_operations` for each token.
    """

    weights: int
    pair_operations: int = 0
    cache_elements: int = 0
    window: int = 0
    latent_weights: int = 0
    latent_pair_operations: int = 0
    state_elements: int = 0
    state_operations: int = 0


@dataclass(frozen=True)
class FeedForward:
    """A feed-forward network that every token passes: `weights` of its matrices, `inner` elements between them."""

    weights: int
    inner: int = 0


@dataclass(frozen=True)
class DecoderLayer:
    """What the base station computes of one decoder layer, but for the router of one with experts."""

    mixers: tuple[Mixer, ...] = ()
    feed_forwards: tuple[FeedForward, ...] = ()


def grouped_query(hidden: int, heads: int, kv_heads: int, head_dim: int) -> Mixer:
    """Grouped-query attention: query, key, value and output projections, a product of queries and keys and one with
    the values for each pair of tokens, and a cache of keys and values."""
    weights = 2 * hidden * head_dim * (heads + kv_heads)
    return Mixer(weights, 4 * heads * head_dim, 2 * kv_heads * head_dim)


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder-only MoE model.

    `hidden`, `heads`, `kv_heads`, `head_dim`, `vocab`: as in the model's configuration. `intermediate`:
    of one routed expert, which has `expert_matrices` matrices (two, or three with a gate). `latent`: elements of what
    goes into an expert and comes out, if that is not the hidden state (0). `element_bytes`: one element of hidden
    state, weight or KV cache. `decoder_layers`: all of them; `moe_layers`: the indices of those with experts.
    `experts`, `top_k`: of each MoE layer. `layers`: each decoder layer's work; if there are none, all have
    grouped-query attention, and feed-forward networks of `shared_intermediate` beside the experts (0 if none) or of
    `dense_intermediate` in place of them.
    """

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    element_bytes: int
    decoder_layers: int
    moe_layers: tuple[int, ...]
    experts: int
    top_k: int
    shared_intermediate: int = 0
    dense_intermediate: int = 0
    expert_matrices: int = 3
    latent: int = 0
    layers: tuple[DecoderLayer, ...] = ()

    def told(self) -> dict[str, Any]:
        """As plain values; what records had not yet once is left out where it says nothing."""
        later = {"expert_matrices": 3, "latent": 0, "layers": ()}
        return {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}

    @property
    def travelling(self) -> int:
        """Elements that a token has on its way to an expert and back."""
        return self.latent or self.hidden

    @property
    def token_bytes(self) -> int:
        """Bytes of one token on its way to an expert."""
        return self.travelling * self.element_bytes

    def layer(self, number: int) -> DecoderLayer:
        """Decoder layer `number`, from 0."""
        if self.layers:
            return self.layers[number]
        inner = self.shared_intermediate if number in self.moe_layers else self.dense_intermediate
        feeds = (FeedForward(3 * self.hidden * inner, inner),) if inner else ()
        return DecoderLayer((grouped_query(self.hidden, self.heads, self.kv_heads, self.head_dim),), feeds)

    def layers_up_to(self, layer: int) -> tuple[DecoderLayer, ...]:
        """The decoder layers after MoE layer `layer` - 1 (from 0) up to MoE layer `layer`, that one included.

        `layer` equal to the number of MoE layers gives those after the last one.
        """
        bounds = (-1, *self.moe_layers, self.decoder_layers - 1)
        return tuple(map(self.layer, range(bounds[layer] + 1, bounds[layer + 1] + 1)))


# Sizes: config.json of mistralai/Mixtral-8x7B-v0.1, bfloat16.
WIRE_PROFILES = {
    "mixtral-8x7b": ModelShape(
        hidden=4096,
        intermediate=14336,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocab=32000,
        element_bytes=2,
        decoder_layers=32,
        moe_layers=tuple(range(32)),
        experts=8,
        top_k=2,
        dense_intermediate=14336,
    ),
}


def wire_shape(name: str, own: ModelShape) -> ModelShape:
    """The shape that bytes and work are counted with: `own`, or a profile with the layers and experts of `own`.

    Raises `RequestError` naming `model.wire_profile` for a name that is neither `own` nor a known profile.
    """
    if name == OWN:
        return own
    if name not in WIRE_PROFILES:
        there = (OWN, *WIRE_PROFILES)
        raise RequestError("model.wire_profile", f"{name!r} is none of {', '.join(there)}{meant(name, there)}")
    profile = WIRE_PROFILES[name]
    return replace(
        profile,
        layers=_laid_on(profile, own) if profile.layers else (),
        decoder_layers=own.decoder_layers,
        moe_layers=own.moe_layers,
        experts=own.experts,
        top_k=own.top_k,
    )


def _laid_on(profile: ModelShape, own: ModelShape) -> tuple[DecoderLayer, ...]:
    """The profile's layers in the order of `own`: those with experts and those without in turn, each from the first."""
    with_experts = [profile.layers[at] for at in profile.moe_layers]
    others = [layer for at, layer in enumerate(profile.layers) if at not in profile.moe_layers] or with_experts
    turns = {True: cycle(with_experts), False: cycle(others)}
    return tuple(next(turns[at in own.moe_layers]) for at in range(own.decoder_layers))
