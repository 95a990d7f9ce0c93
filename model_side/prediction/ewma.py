# SPDX-License-Identifier: Apache-2.0
"""`ewma`: a fixed part, and an exponentially weighted mean of the time a byte takes beyond it."""

import numpy as np

from model_side.prediction.predictor import Done, Load, Predictor
from model_side.routing import Floats

WEIGHT = 0.3  # of the latest transfer in the mean
RISE = 0.05  # by which part the fixed part follows a transfer that shows more of it


class Ewma(Predictor):
    """Seconds = fixed + bytes * mean, for each direction of each device.

    The fixed part is the least that transfers took beyond their bytes over the link state's rate; it falls at once and
    rises slowly. The mean is of (seconds - fixed) / bytes, in which the latest transfer weighs `WEIGHT`. Before the
    first transfer the rate of the link state stands in. A smoothed mean as in RFC 6298; the fixed part is ours.
    """

    def __init__(self, devices: int):
        super().__init__(devices)
        self._fixed_s = np.full((2, devices), np.inf)
        self._byte_s = np.zeros((2, devices))

    def times(self, load: Load) -> tuple[Floats, Floats]:
        unseen = np.isinf(self._fixed_s)
        fixed_s = np.where(unseen, 0, self._fixed_s)
        byte_s = np.where(unseen, 8 / self.rate_bps, self._byte_s)
        return fixed_s[0] + load.down_bytes * byte_s[0], fixed_s[1] + load.up_bytes * byte_s[1]

    def learn(self, done: Done) -> None:
        fixed_s, byte_s = self._fixed_s[:, done.devices], self._byte_s[:, done.devices]
        shown_s = np.maximum(done.seconds - 8 * done.bytes / self.rate_bps[:, done.devices], 0)
        weight = np.where(np.isinf(fixed_s), 1.0, WEIGHT)
        fixed_s = np.where(shown_s < fixed_s, shown_s, fixed_s + RISE * (shown_s - np.minimum(fixed_s, shown_s)))
        now_s = (done.seconds - fixed_s) / done.bytes
        self._fixed_s[:, done.devices] = fixed_s
        self._byte_s[:, done.devices] = byte_s + weight * (now_s - byte_s)
