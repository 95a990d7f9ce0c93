# SPDX-License-Identifier: Apache-2.0
"""A model with experts that was loaded to be run here."""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import torch

from model_side.model.loading import MEMORY, Checkpoint, Place, load, load_tokenizer
from model_side.model.moe import SplitModel
from model_side.model_sizes import sizes
from model_side.record_routing import model_digest
from model_side.shapes import ModelShape


@dataclass(frozen=True)
class LoadedModel:
    """What `path` named: the model, split, its tokenizer, its shape, and what a journal's `meta` says of its weights.

    It computes on `threads` CPU threads.
    """

    path: str
    split: SplitModel
    tokenizer: Any
    shape: ModelShape
    weights: dict[str, Any]
    threads: int

    def take_threads(self) -> None:
        """Set the number of threads for the calling thread, which need not be the one that loaded the model."""
        torch.set_num_threads(self.threads)


def load_here(path: str, dtype: str, threads: int, place: Place = MEMORY) -> LoadedModel:
    """The model at `path` with its weights in `place`, to compute in `dtype`. Raises as `load_model`."""
    torch.set_num_threads(threads)
    split, checkpoint = load(path, dtype, place)
    if split not in _beside:
        _beside[split] = (load_tokenizer(path), shape_of(split, checkpoint.dtype), weights_of(checkpoint))
    tokenizer, shape, weights = _beside[split]
    return LoadedModel(path, split, tokenizer, shape, weights, threads)


_beside: "WeakKeyDictionary[SplitModel, tuple[Any, ModelShape, dict[str, Any]]]" = WeakKeyDictionary()
"""What belongs to a model, which one that is kept (`loading.keep_loaded`) is not read for again."""


def weights_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a journal's `meta` says of the weights that were loaded."""
    return {
        "sha256": model_digest(checkpoint.folder),
        "loaded": list(checkpoint.loaded),
        "unused": list(checkpoint.unused),
    }


def shape_of(split: SplitModel, stored_dtype: str = "") -> ModelShape:
    """The shape of a running model; `stored_dtype`: of its elements, "" for the one that it computes in."""
    return msgspec.convert(sizes(split.model, split.blocks, split.top_k, stored_dtype), ModelShape)
