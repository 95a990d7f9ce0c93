# SPDX-License-Identifier: Apache-2.0
"""`top-p`: as many experts as make up a share of the weight."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import ROUNDING, best, choose, of_totals, ranks
from model_side.policies.policy import Policy
from model_side.routing import Floats, Mask
from model_side.selection import Layer, Selection


class TopP(Policy):
    """The fewest experts that together weigh enough, whatever the links do.

    `tau`: the share of the weight that they reach.

    `k_max`: where it is left out, the experts are the model's own, and the share is of their weight. Else they are the
    most probable of all, at most so many, be that more than the model's k, and the share is of all probability; that
    needs the router's probabilities. A token whose `k_max` best experts do not reach it has these.
    """

    name: ClassVar[str] = "top-p"
    formula: ClassVar[str] = "keep the smallest j with w_(1) + ... + w_(j) >= tau * sum_i w_i"
    source: ClassVar[str] = (
        "XMoE and Dynamic-MoE train with it; seen in notes of others. To apply it to the own experts of a model that "
        "was trained with top-k is ours."
    )

    tau: Annotated[float, Meta(gt=0, le=1)] = 0.8
    k_max: Annotated[int, Meta(ge=1)] | None = None

    def __call__(self, layer: Layer) -> Selection:
        if self.k_max is None:
            rank = ranks(layer.weights)
            falling = -np.sort(-of_totals(layer.weights), axis=1)
            return layer.leave_out(np.take_along_axis(self._enough(falling), rank, axis=1))
        indices = best(layer.probabilities, min(self.k_max, layer.experts))
        falling = np.take_along_axis(layer.probabilities, indices, axis=1).astype(np.float64)
        return choose(layer, np.where(self._enough(falling), indices, layer.experts))

    def _enough(self, falling: Floats) -> Mask:
        """Which of the shares [N, k], largest first, are needed: those before which `tau` is not reached."""
        before = np.cumsum(falling, axis=1) - falling
        return np.asarray(before < self.tau * (1 - ROUNDING))
