# SPDX-License-Identifier: Apache-2.0
"""Tokenized training text, and the batches drawn from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from model_side.model.passages import Document

Tokens = NDArray[np.uint16]


def encode(documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast) -> Tokens:
    """All documents in one row of tokens, each followed by the end token."""
    encoded = tokenizer([document.text for document in documents], add_special_tokens=False)["input_ids"]
    return np.concatenate([np.array([*ids, tokenizer.eos_token_id], np.uint16) for ids in encoded])


def save(tokens: Mapping[str, Tokens], folder: Path) -> None:
    """Write each source's tokens to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, row in tokens.items():
        np.save(folder / f"{source}.npy", row)


def load(folder: Path) -> dict[str, Tokens]:
    """Each source's tokens, mapped from disk."""
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}


def batch(tokens: Mapping[str, Tokens], begin: int, sequences: int, length: int, seed: int, step: int) -> Tensor:
    """The batch of one step, [sequences, length + 1] token ids: the token `begin`, then running text.

    A function of `seed` and `step` alone, so that a resumed training draws what an uninterrupted one
    would have. Each source is drawn with a probability in proportion to the square root of its size.
    """
    rng = np.random.default_rng((seed, step))
    rows = list(tokens.values())
    weights = np.sqrt([len(row) for row in rows])
    drawn = rng.choice(len(rows), size=sequences, p=weights / weights.sum())
    result = np.full((sequences, length + 1), begin, np.int64)
    for i, source in enumerate(drawn):
        start = rng.integers(len(rows[source]) - length + 1)
        result[i, 1:] = rows[source][start : start + length]
    return torch.from_numpy(result)
