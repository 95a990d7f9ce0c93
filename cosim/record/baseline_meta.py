# SPDX-License-Identifier: Apache-2.0
"""What a journal's `meta` has to say of a dense baseline."""

from msgspec import Struct

from model_side.shapes import ModelShape

KEY = "baseline"


class BaselineWeights(Struct, frozen=True):
    """SHA-256 of the model's folder, and names of stored weights that belong to no part of it."""

    sha256: str
    unused: list[str]


class BaselineMeta(Struct, frozen=True):
    """A dense model that the base station serves whole.

    `name`: as it was asked for; `shape`: the sizes that count for its memory, of the published model `profile` or its
    own. `layers`: how many of the shape's decoder layers count for its time. `weight_bytes`, `cache_bytes`: what it
    takes on `boards` of `hardware`, with weights of `weight_bits`. `own_tokens`: whether its tokens are others than the
    model's beside it; `prompts`: what it was asked, then.
    """

    name: str
    profile: str
    shape: ModelShape
    layers: int
    hardware: str
    weight_bits: int
    boards: int
    weight_bytes: int
    cache_bytes: int
    own_tokens: bool
    prompts: list[list[int]] | None
    weights: BaselineWeights
