# SPDX-License-Identifier: Apache-2.0
"""`top-n`: fewer experts for every token."""

from typing import Annotated, ClassVar

from msgspec import Meta

from model_side.policies.choosing import ranks
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class TopN(Policy):
    """The heaviest of each token's own experts, the same number for all tokens.

    `n`: how many stay; all of them where it is the model's k or more.
    """

    name: ClassVar[str] = "top-n"
    formula: ClassVar[str] = "keep i if it is one of the n largest w_j of its token"
    source: ClassVar[str] = "the usual baseline (top-k' with k' < k)"

    n: Annotated[int, Meta(ge=1)] = 1

    def __call__(self, layer: Layer) -> Selection:
        return layer.leave_out(ranks(layer.weights) < self.n)
