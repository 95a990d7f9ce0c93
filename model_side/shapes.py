# SPDX-License-Identifier: Apache-2.0
"""The sizes of a model that decide its bytes on the air and its work on BS and devices.

A *wire profile* stands in for a larger model: a small model runs and routes, while every byte and every
operation is counted as if its layers had the profile's sizes.
"""

from dataclasses import dataclass, replace

from bridge.names import meant
from bridge.network import RequestError

OWN = "own"


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder-only MoE model.

    `hidden`, `heads`, `kv_heads`, `head_dim`, `vocab`: as in the model's configuration. `intermediate`:
    of one routed expert. `shared_intermediate`: of the experts that every token passes, which stay at the
    BS (0 if none). `dense_intermediate`: of the feed-forward network in decoder layers without experts.
    `element_bytes`: one element of hidden state, weight or KV cache. `decoder_layers`: all of them;
    `moe_layers`: the indices of those with experts. `experts`, `top_k`: of each MoE layer.
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

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's hidden state."""
        return self.hidden * self.element_bytes

    def dense_layers_before(self, layer: int) -> int:
        """Decoder layers without experts between MoE layer `layer` (from 0) and the one before it.

        `layer` equal to the number of MoE layers gives those after the last one.
        """
        bounds = (-1, *self.moe_layers, self.decoder_layers)
        return bounds[layer + 1] - bounds[layer] - 1


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
    return replace(
        WIRE_PROFILES[name],
        decoder_layers=own.decoder_layers,
        moe_layers=own.moe_layers,
        experts=own.experts,
        top_k=own.top_k,
    )
