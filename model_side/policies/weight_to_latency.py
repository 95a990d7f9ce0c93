# SPDX-License-Identifier: Apache-2.0
"""`weight-to-latency`: gate weight over predicted latency."""

from typing import Annotated, ClassVar

from msgspec import Meta

from model_side.policies.choosing import one_of_2k
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class WeightToLatency(Policy):
    """Leave out the experts whose weight is not worth their latency. A token's best expert always stays.

    `threshold`: a slot goes whose ratio of weight to latency is below this times the token's best ratio: 0 keeps all,
    1 each token's best ratio alone. Where it is left out it is 1 / (2 k), so that at equal latencies the second of two
    experts goes when it weighs less than a fifth of both, and many lighter ones do not go by the dozen.
    """

    name: ClassVar[str] = "weight-to-latency"
    formula: ClassVar[str] = "keep i if w_i / t_i >= threshold * max_j w_j / t_j"
    source: ClassVar[str] = (
        "ours, after the idea of WDMoE (arXiv 2405.03131) to weigh experts by weight and latency; neither of its "
        "algorithms. At equal latencies it is the ratio rule (`ratio`)."
    )

    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None

    def __call__(self, layer: Layer) -> Selection:
        threshold = one_of_2k(layer) if self.threshold is None else self.threshold
        ratio = layer.weights / layer.latency_s
        return layer.leave_out(ratio >= threshold * ratio.max(axis=1, keepdims=True))
