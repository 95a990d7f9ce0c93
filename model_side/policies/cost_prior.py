# SPDX-License-Identifier: Apache-2.0
"""`cost-prior`: the router's ranking with a bonus for quick devices."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import best, choose
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class CostPrior(Policy):
    """The k best experts after each one's score has risen by how quick its device is; it may choose any of the layer.

    The bonus is in units of the scores' own range in this layer, from the highest to the lowest of a token, as the mean
    over all tokens so far. A device's quickness is 1 less its predicted latency over the slowest one's. Weights come
    from the router's unchanged probabilities. Whatever an earlier step left out may come back.

    `strength`: of the bonus: 0 is the model's own choice, and the larger, the more the links decide.

    `protect`: so many of a token's truly best experts always stay.
    """

    name: ClassVar[str] = "cost-prior"
    formula: ClassVar[str] = "top-k of z_e + strength * mean range(z) * (1 - t_e / max t), the true top-J always in"
    source: ClassVar[str] = (
        "the cache prior of arXiv 2412.00099, seen in public ports: there the bonus is for experts that are in memory. "
        "Latency in its place is ours."
    )
    needs_probabilities: ClassVar[bool] = True

    strength: Annotated[float, Meta(ge=0)] = 0.3
    protect: Annotated[int, Meta(ge=0)] = 1

    def __post_init__(self) -> None:
        self._ranges: dict[int, tuple[float, int]] = {}

    def __call__(self, layer: Layer) -> Selection:
        scores = layer.scores
        total, count = self._ranges.get(layer.number, (0.0, 0))
        total += float((scores.max(axis=1) - scores.min(axis=1)).sum(dtype=np.float64))
        count += layer.tokens
        self._ranges[layer.number] = (total, count)
        seconds = layer.prediction.seconds[layer.device_of]
        bonus = self.strength * total / max(count, 1) * (1 - seconds / seconds.max())
        raised = scores + bonus.astype(scores.dtype)
        k = layer.gate.indices.shape[1]
        if protected := min(self.protect, k):
            np.put_along_axis(raised, best(scores, protected), np.inf, axis=1)
        return choose(layer, best(raised, k))
