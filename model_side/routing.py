# SPDX-License-Identifier: Apache-2.0
"""One MoE layer's routing as arrays, and what becomes of the weight of an expert that is missing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError

Weights: TypeAlias = NDArray[np.float32]
Indices: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Probabilities: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gate:
    """What the router of one MoE layer gives for N tokens.

    `layer` counts the MoE layers from 0. `experts` is E. `weights`, `indices` [N, k]: the model's own choice.
    `probabilities` [N, E]: softmax of the router's logits, None in a recording without them. `scores` [N, E]: by
    which the router ranks the experts, as logits or, with a sigmoid router, sigmoids and their bias; None where only
    the probabilities are known.
    """

    layer: int
    experts: int
    probabilities: Probabilities | None
    weights: Weights
    indices: Indices
    scores: Weights | None = None


class Remainder(StrEnum):
    """What becomes of the weight of experts that are missing, left out by a policy or lost by the links.

    `shared`: the token's other experts get it, in proportion, so that its total stays. `kept`: they weigh what they
    weighed, and the sum is smaller. `top-n`: they weigh what they would if the router had normalised over its n best
    experts, n above k; after arXiv 2609.04575, which was seen in notes of others: the restatement is ours.
    """

    SHARED = "shared"
    KEPT = "kept"
    TOP_N = "top-n"


@dataclass(frozen=True, slots=True)
class Missing:
    """The rule for the weight of what is missing, of policy and links alike; `top_n` is the n of `Remainder.TOP_N`."""

    remainder: Remainder = Remainder.SHARED
    top_n: int = 0

    def leave_out(self, gate: Gate, weights: Weights, indices: Indices, keep: Mask) -> tuple[Weights, Indices]:
        """Keep the slots in `keep` [N, k'] of a choice for the tokens of `gate`; a slot that goes has index E.

        A token that keeps all it has keeps its weights bit for bit; one that keeps nothing has weights 0. E is above
        every index, and what had index E already is as if it had never been there.
        """
        keep = keep | (indices == gate.experts)
        if keep.all():
            return weights, indices
        kept = np.where(keep, weights, 0).astype(np.float64)
        whole = keep.all(axis=1, keepdims=True)
        if self.remainder is Remainder.SHARED:
            left = kept.sum(axis=1, keepdims=True)
            total = weights.sum(axis=1, keepdims=True, dtype=np.float64)
            kept = kept * np.divide(total, left, out=np.zeros_like(left), where=left > 0)
        else:
            kept = kept * self.shrunk(gate, weights)
        return np.where(whole, weights, kept.astype(weights.dtype)), np.where(keep, indices, gate.experts)

    def shrunk(self, gate: Gate, weights: Weights) -> Floats:
        """What is left [N, 1] of the weights of a token with missing experts, if they did not shrink before."""
        if self.remainder is not Remainder.TOP_N:
            return np.ones((len(weights), 1))
        probabilities = known(gate.probabilities)
        best = -np.partition(-probabilities, self.top_n - 1, axis=1)[:, : self.top_n]
        own = np.take_along_axis(probabilities, gate.indices, axis=1)
        shrunk = own.sum(axis=1, dtype=np.float64) / best.sum(axis=1, dtype=np.float64)
        total = gate.weights.sum(axis=1, dtype=np.float64)
        is_whole = weights.sum(axis=1, dtype=np.float64) >= total * (1 - 1e-6)
        return np.where(is_whole, shrunk, 1.0)[:, None]


SHARED = Missing()
"""What is missing is shared among the token's others."""


def known(probabilities: Probabilities | None) -> Probabilities:
    """The router's probabilities. Raises `RequestError` where they were not recorded."""
    if probabilities is None:
        raise RequestError("model.routing", "has no column probabilities, which are needed here; record them")
    return probabilities


def kept_of(gate: Gate, came: Indices) -> tuple[float, int]:
    """The gate's weight of the experts in `came` [N, k'], and how many tokens miss the best of their own."""
    there: Mask = (gate.indices[:, :, None] == came[:, None, :]).any(axis=2)
    best = gate.weights.argmax(axis=1)
    return float(gate.weights.sum(where=there, dtype=np.float64)), int((~there[np.arange(len(best)), best]).sum())
