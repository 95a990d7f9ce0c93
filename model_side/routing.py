# SPDX-License-Identifier: Apache-2.0
"""One MoE layer's routing as arrays, and the one rule for leaving experts out."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError

Weights: TypeAlias = NDArray[np.float32]
Indices: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


Probabilities: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Gate:
    """What the router of one MoE layer gives for N tokens.

    `layer` counts the MoE layers from 0. `weights`, `indices` [N, k]: the model's own choice out of E experts.
    `probabilities` [N, E]: softmax of the router's logits, None in a recording without them.
    """

    layer: int
    probabilities: Probabilities | None
    weights: Weights
    indices: Indices


@dataclass(frozen=True, slots=True)
class LayerRouting:
    """What a policy decides on: N tokens, E experts, the router's k for each token.

    `router` [N, E]: softmax of the router's logits, None in a recording without them. `weights`, `indices`
    [N, k]: the model's own choice; its weights may sum to anything. `latency_s` [E]: what the BS expects
    from asking each expert now, in seconds and above 0, if its device serves the tokens that the model's own
    choice gives it.
    """

    layer: int
    router: Probabilities | None
    weights: Weights
    indices: Indices
    latency_s: NDArray[np.float64]

    @property
    def experts(self) -> int:
        """The number of experts, E, which also is the index of a slot that is left out."""
        return len(self.latency_s)

    @property
    def probabilities(self) -> Probabilities:
        """`router`. Raises `RequestError` where it was not recorded."""
        if self.router is None:
            raise RequestError("model.routing", "has no column probabilities, which the policy needs; record them")
        return self.router


def leave_out(weights: Weights, indices: Indices, keep: Mask, experts: int) -> tuple[Weights, Indices]:
    """Keep the slots in `keep` [N, k], and give what the others weighed to those that stay, in proportion.

    A token's total weight stays what it was, also in a model that does not normalise its weights. A token
    that keeps everything keeps its weights bit for bit; one that keeps nothing has weights 0. A slot that
    goes has index `experts`.
    """
    if keep.all():
        return weights, indices
    kept = np.where(keep, weights, 0).astype(np.float64)
    left = kept.sum(axis=1, keepdims=True)
    total = weights.sum(axis=1, keepdims=True, dtype=np.float64)
    scaled = kept * np.divide(total, left, out=np.zeros_like(left), where=left > 0)
    whole = keep.all(axis=1, keepdims=True)
    return np.where(whole, weights, scaled.astype(weights.dtype)), np.where(keep, indices, experts)
