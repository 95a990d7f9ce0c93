# SPDX-License-Identifier: Apache-2.0
"""`wdmoe`: gate weight over predicted latency.

WDMoE (arXiv 2405.03131) selects experts by the ratio of the gate's weight to the latency of the expert's
device, instead of by weight alone. What stands here is our restatement of that idea, not the paper's
algorithm: among the experts that the model itself chose for a token, one whose ratio is below `threshold`
times the token's best ratio is left out, and the others share its weight.
"""

from typing import Annotated

from msgspec import Meta, Struct

from model_side.routing import Indices, LayerRouting, Weights, leave_out


class WdMoe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Leave out the experts whose weight is not worth their latency.

    `threshold` lies in 0 to 1: 0 keeps the model's own choice, 1 keeps each token's best ratio alone. A
    token's best expert always stays. At equal latencies the default leaves out the second of two experts
    when it weighs less than a fifth of both.
    """

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.25

    def __call__(self, layer: LayerRouting) -> tuple[Weights, Indices]:
        ratio = layer.weights / layer.latency_s[layer.indices]
        keep = ratio >= self.threshold * ratio.max(axis=1, keepdims=True)
        return leave_out(layer.weights, layer.indices, keep, layer.experts)
