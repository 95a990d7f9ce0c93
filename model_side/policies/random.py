# SPDX-License-Identifier: Apache-2.0
"""`random`: experts left out by chance."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import heaviest
from model_side.policies.policy import Policy
from model_side.routing import Floats
from model_side.selection import Layer, Part, Selection


class Random(Policy):
    """Leave out each of a token's experts with the same probability, but never its heaviest.

    `share`: the probability with which a slot that is not its token's heaviest goes.

    `seed`: of the draws, which besides depend on request, position and layer alone: whatever was drawn before, the same
    layer has the same ones.
    """

    name: ClassVar[str] = "random"
    formula: ClassVar[str] = "keep i if i = argmax_j w_j or u_i >= share, u_i uniform in [0, 1)"
    source: ClassVar[str] = "ours; a baseline that knows nothing"

    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    seed: Annotated[int, Meta(ge=0)] = 1

    def __call__(self, layer: Layer) -> Selection:
        drawn = np.concatenate([self._draw(layer, part) for part in layer.rows])
        return layer.leave_out((drawn >= self.share) | heaviest(layer.weights))

    def _draw(self, layer: Layer, part: Part) -> Floats:
        """For the slots of one request."""
        seed = np.random.SeedSequence((self.seed, part.request, part.position, layer.number))
        return np.random.default_rng(seed).random((part.tokens, layer.weights.shape[1]))
