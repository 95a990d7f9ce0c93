# SPDX-License-Identifier: Apache-2.0
"""`wdmoe-wlr`: raise the layer's total ratio of weight to latency directly."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import heaviest
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class WdmoeWlr(Policy):
    """Leave out slots, the least ratio of weight to latency first, as long as the layer's ratio of both totals rises.

    The layer's ratio is the weight of all slots that stay over their latencies, both summed over all tokens; weight
    that is left out counts as lost here, so that a slot goes only if its own ratio is below the total's. A token's
    heaviest expert stays. To the end, as with a large `gain`, this gives the highest total ratio that there is, and on
    equal links the lighter half of all slots is gone by then. Latencies are those that were predicted for what had been
    chosen before.

    `gain`: stop as soon as the total has grown by this, relatively, or grows no further.
    """

    name: ClassVar[str] = "wdmoe-wlr"
    formula: ClassVar[str] = "max sum_ni q_ni w_ni / sum_ni q_ni t_ni, each token's heaviest in"
    source: ClassVar[str] = (
        "ours. WDMoE (arXiv 2405.03131) names its metric the weight-to-latency ratio, as a summary of others says; how "
        "its paper totals it and raises it could not be read. Totals over totals, the weight that is lost, and the "
        "greedy order are ours."
    )

    gain: Annotated[float, Meta(ge=0)] = 0.01

    def __call__(self, layer: Layer) -> Selection:
        asked = layer.indices < layer.experts
        best = heaviest(layer.weights)
        weights, seconds = layer.weights[asked].astype(np.float64), layer.latency_s[asked]
        may_go = np.flatnonzero(asked & ~best)
        going_w, going_s = (values.ravel()[may_go].astype(np.float64) for values in (layer.weights, layer.latency_s))
        order = np.argsort(going_w / going_s, kind="stable")
        gone_w, gone_s = (np.cumsum(values[order]) for values in (going_w, going_s))
        total_w, total_s = weights.sum(), seconds.sum()
        ratio = (total_w - gone_w) / np.maximum(total_s - gone_s, np.finfo(float).tiny)
        before = np.append(total_w / total_s if total_s else 0.0, ratio)[:-1]
        worth = before > (going_w / going_s)[order]
        worth &= before < (1 + self.gain) * (total_w / total_s if total_s else 0.0)
        number = int(worth.argmin()) if not worth.all() else len(worth)
        keep = np.ones(asked.size, dtype=bool)
        keep[may_go[order[:number]]] = False
        return layer.leave_out(keep.reshape(asked.shape))
