# SPDX-License-Identifier: Apache-2.0
"""`expected-weight`: what an expert is expected to deliver in time, against what it takes."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import of_totals
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class ExpectedWeight(Policy):
    """Leave out the experts whose weight, times the probability to have it in time, is not worth their latency.

    Weights count as shares of their token's total, latencies as shares of the layer's deadline. The slot that is worth
    most always stays, of equal ones the first.

    `mu`: the share of a token's weight that the whole deadline is worth: 0 leaves out only what is hopeless, and at 1
    an expert that takes a tenth of the deadline must be expected to deliver more than a tenth of the weight.
    """

    name: ClassVar[str] = "expected-weight"
    formula: ClassVar[str] = "keep i if w_i P(t_i <= T) > mu t_i / T"
    source: ClassVar[str] = "ours: the term of one slot in max sum_i q_i (w_i P(t_i <= T) - mu t_i / T)"

    mu: Annotated[float, Meta(ge=0)] = 1.0

    def __call__(self, layer: Layer) -> Selection:
        prediction = layer.prediction
        in_time = np.append(prediction.done_by(layer.deadline_s), 0)[layer.slot_devices]
        part = np.append(prediction.seconds, 0)[layer.slot_devices] / layer.deadline_s
        worth = of_totals(layer.weights) * in_time - self.mu * part
        worth[layer.indices == layer.experts] = -np.inf
        return layer.leave_out((worth > 0) | (np.arange(worth.shape[1]) == worth.argmax(axis=1)[:, None]))
