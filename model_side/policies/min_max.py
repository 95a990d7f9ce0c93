# SPDX-License-Identifier: Apache-2.0
"""`min-max`: the shares of the band with which all devices that are asked are done at once."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from model_side.policies.policy import Policy
from model_side.routing import Floats
from model_side.selection import Layer, Selection

MOST_STEPS = 60
TOLERANCE = 1e-12
LEAST_AIR = 1e-9  # of the slowest device's time


class MinMax(Policy):
    """Of what was chosen so far, give the devices shares of the band that make the slowest as quick as can be.

    A device with share b takes fixed + air / b, fixed what no band changes (computing, floors) and air what its bytes
    take, down and up, with the whole band. All that are asked are done at the time T at which the shares that they
    need for it, air / (T - fixed), come to the whole band.
    """

    name: ClassVar[str] = "min-max"
    formula: ClassVar[str] = "min T: sum_d air_d / (T - fixed_d) = 1"
    source: ClassVar[str] = (
        "the problem is WDMoE's upper level (arXiv 2411.06681) for one layer and the experts that were chosen; this "
        "way of solving it is ours. Rates are taken as proportional to the share."
    )
    allocates: ClassVar[bool] = True

    def __call__(self, layer: Layer) -> Selection:
        asked = layer.work.tokens > 0
        if not asked.any():
            return layer.selection
        whole_s, half_s = (self._seconds(layer, share)[asked] for share in (1.0, 0.5))
        air_s = np.maximum(half_s - whole_s, LEAST_AIR * whole_s.max())
        shares = np.zeros(layer.devices)
        shares[asked] = all_at_once(np.maximum(whole_s - air_s, 0), air_s)
        return replace(layer.selection, shares=shares)

    def _seconds(self, layer: Layer, share: float) -> Floats:
        """What is expected of each device [D] with this share, whatever was waited for it in vain."""
        expected = layer.forecast.predict(layer.work, np.full(layer.devices, share))
        return expected.down_s + expected.compute_s + expected.up_s


def all_at_once(fixed_s: Floats, air_s: Floats) -> Floats:
    """The shares [M], which sum to 1, with which fixed + air / share is the same for all; `air_s` is above 0.

    The band that is needed falls with the time and is convex in it, so Newton's steps from below never overshoot.
    They begin at the later of two times before which it cannot be: that of the slowest device with the whole band, and
    that at which all would be done if they had the mean fixed part, weighted by air, in common. Times count from the
    longest fixed part, beside which the rest may be small.
    """
    ahead_s = fixed_s.max() - fixed_s
    done_s = max(float((air_s - ahead_s).max()), float(air_s.sum() - air_s @ ahead_s / air_s.sum()))
    for _ in range(MOST_STEPS):
        inverse = 1 / (done_s + ahead_s)
        missing = air_s @ inverse - 1
        if missing <= TOLERANCE:
            break
        done_s += float(missing / (air_s @ inverse**2))
    shares = air_s / (done_s + ahead_s)
    return np.asarray(shares / shares.sum())
