# SPDX-License-Identifier: Apache-2.0
"""`fastest`: each token's best ratio of weight to latency."""

from typing import ClassVar

import numpy as np

from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class Fastest(Policy):
    """Of each token's experts the one whose weight is most for its latency; of equal ones the first."""

    name: ClassVar[str] = "fastest"
    formula: ClassVar[str] = "keep argmax_i w_i / t_i alone"
    source: ClassVar[str] = "ours; `weight-to-latency` at threshold 1, the far end of what trades weight for latency"

    def __call__(self, layer: Layer) -> Selection:
        ratio = layer.weights / layer.latency_s
        return layer.leave_out(np.arange(ratio.shape[1]) == ratio.argmax(axis=1)[:, None])
