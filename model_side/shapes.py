# SPDX-License-Identifier: Apache-2.0
"""The sizes of a model that decide its bytes on the air and its work on BS and devices."""

from dataclasses import asdict, dataclass
from typing import Any


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

    @property
    def parts(self) -> tuple[Mixer | FeedForward, ...]:
        """All of it."""
        return (*self.mixers, *self.feed_forwards)


def grouped_query(hidden: int, heads: int, kv_heads: int, head_dim: int) -> Mixer:
    """Grouped-query attention: query, key, value and output projections, a product of queries and keys and one with
    the values for each pair of tokens, and a cache of keys and values."""
    weights = 2 * hidden * head_dim * (heads + kv_heads)
    return Mixer(weights, 4 * heads * head_dim, 2 * kv_heads * head_dim)


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder-only model, by default one with experts; a dense one has no `moe_layers` and 0 experts.

    `hidden`, `heads`, `kv_heads`, `head_dim`, `vocab`: as in the model's configuration. `intermediate`:
    of one routed expert, which has `expert_matrices` matrices (two, or three with a gate). `latent`: elements of what
    goes into an expert and comes out, if that is not the hidden state (0). `element_bytes`: one element of hidden
    state, weight or KV cache. `decoder_layers`: all of them; `moe_layers`: the indices of those with experts.
    `experts`, `top_k`: of each MoE layer. `layers`: each decoder layer's work; if there are none, all have
    grouped-query attention, and feed-forward networks of `shared_intermediate` beside the experts (0 if none) or of
    `dense_intermediate` in place of them. `tied`: whether the head's matrix is that of the embeddings.
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
    tied: bool = False

    @property
    def weights(self) -> int:
        """Of all its matrices; norms and biases are not counted."""
        parts = [part for layer in map(self.layer, range(self.decoder_layers)) for part in layer.parts]
        routers = len(self.moe_layers) * self.experts * self.hidden
        vocabulary = self.vocab * self.hidden * (1 if self.tied else 2)
        return sum(part.weights for part in parts) + self.routed_weights + routers + vocabulary

    @property
    def routed_weights(self) -> int:
        """Of all routed experts together."""
        return len(self.moe_layers) * self.experts * self.expert_matrices * self.travelling * self.intermediate

    def told(self) -> dict[str, Any]:
        """As plain values; what records had not yet once is left out where it says nothing."""
        later = {"expert_matrices": 3, "latent": 0, "layers": (), "tied": False}
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
