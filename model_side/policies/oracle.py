# SPDX-License-Identifier: Apache-2.0
"""`oracle`: what `lookahead` would do if it knew what comes."""

from typing import ClassVar

import numpy as np

from model_side.policies.lookahead import Lookahead
from model_side.routing import Floats
from model_side.selection import DeviceWork, Layer


class Oracle(Lookahead):
    """As `lookahead`, with the times that exchanges will truly take in the place of predictions: a bound.

    What will not be done by the deadline counts as done then, and to take slots from there harms nothing. Only a
    what-if knows that. What an expert truly puts out it does not know either, nor what later layers will ask.

    `loss_nats`: so many nats may the model's answers be off, a token, by the calibration.
    """

    name: ClassVar[str] = "oracle"
    formula: ClassVar[str] = "lookahead with t_d as it will be"
    source: ClassVar[str] = "ours, for the bound that papers draw."
    foresees: ClassVar[bool] = True

    def _seconds(self, layer: Layer, work: DeviceWork) -> Floats:
        rows = [DeviceWork(*row) for row in zip(work.tokens, work.compute_s, strict=True)]
        return np.stack([np.minimum(layer.forecast.foresee(row), layer.deadline_s) for row in rows])

    def _worth(self, layer: Layer) -> Floats:
        return np.isfinite(layer.forecast.foresee(layer.work)).astype(np.float64)
