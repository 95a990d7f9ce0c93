# SPDX-License-Identifier: Apache-2.0
"""`layer-weighted`: a threshold on weight that counts as much as the layer does."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from model_side.calibration import Calibration
from model_side.policies.choosing import heaviest, of_totals
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class LayerWeighted(Policy):
    """Leave out the experts whose share of their token's weight, times what the layer is worth, is small.

    What a layer is worth is the calibration's sensitivity, what it costs in nats to leave out all of its experts, over
    the mean of all layers. So little is left out where little harms much, whatever the links do. A token's heaviest
    expert always stays.

    `tau`: a slot goes whose product is below; where it is left out, `skip` decides.

    `skip`: the share of all slots that goes, by the calibration's quantiles of weights; no more can go than all but the
    heaviest.
    """

    name: ClassVar[str] = "layer-weighted"
    formula: ClassVar[str] = "keep i if alpha_l w_i >= tau, alpha_l the layer's sensitivity over the mean"
    source: ClassVar[str] = (
        "MoDES (arXiv 2511.15690), which was seen in notes of others: there alpha_l p_e, alpha_l the mean KL without "
        "the layer's experts, tau by the wanted share. The gate weight in place of p_e, the scale of alpha and that "
        "the heaviest stays are ours."
    )
    needs_calibration: ClassVar[Literal["", "routing", "outputs"]] = "outputs"

    tau: Annotated[float, Meta(ge=0)] | None = None
    skip: Annotated[float, Meta(ge=0, le=1)] = 0.25

    def __post_init__(self) -> None:
        self._tau = self.tau

    def __call__(self, layer: Layer) -> Selection:
        worth = _worth(layer.calibration)
        if self._tau is None:
            self._tau = _threshold(layer.calibration, self.skip)
        score = worth[layer.number] * of_totals(layer.weights)
        return layer.leave_out((score >= self._tau) | heaviest(layer.weights))


def _worth(table: Calibration) -> np.ndarray:
    """alpha [L], with a mean of 1."""
    return np.asarray(table.sensitivity / max(table.sensitivity.mean(), np.finfo(float).tiny))


def _threshold(table: Calibration, skip: float) -> float:
    """The tau below which the share `skip` of all slots lies, none of them a token's heaviest."""
    k = table.share_quantiles.shape[1]
    products = (_worth(table)[:, None, None] * table.share_quantiles)[:, 1:]
    if not products.size:
        return 0.0
    part = skip * k / (k - 1)
    return float(np.quantile(products, part)) if part < 1 else np.inf
