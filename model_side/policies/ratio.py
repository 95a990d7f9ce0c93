# SPDX-License-Identifier: Apache-2.0
"""`ratio`: weight over the heaviest weight."""

from typing import Annotated, ClassVar

from msgspec import Meta

from model_side.policies.choosing import one_of_2k
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class Ratio(Policy):
    """Leave out the experts that weigh little beside their token's heaviest, whatever the links do (min-p).

    `beta`: a slot goes that weighs less than this times its token's heaviest: 0 keeps all, 1 the heaviest alone. Where
    it is left out it is 1 / (2 k), so that the second of two experts goes when it weighs less than a fifth of both, and
    many lighter ones do not go by the dozen.
    """

    name: ClassVar[str] = "ratio"
    formula: ClassVar[str] = "keep i if w_i >= beta * max_j w_j"
    source: ClassVar[str] = (
        "dynamic skipping of NAEE (arXiv 2402.14800), which was seen in notes of others: there for two experts, with "
        "beta the median of w_2 / w_1 in the layer. One beta for all layers and any number of experts is ours."
    )

    beta: Annotated[float, Meta(ge=0, le=1)] | None = None

    def __call__(self, layer: Layer) -> Selection:
        beta = one_of_2k(layer) if self.beta is None else self.beta
        return layer.leave_out(layer.weights >= beta * layer.weights.max(axis=1, keepdims=True))
