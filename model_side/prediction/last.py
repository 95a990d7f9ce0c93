# SPDX-License-Identifier: Apache-2.0
"""`last`: as much time a byte as the latest transfer took."""

import numpy as np

from model_side.prediction.predictor import Done, Load, Predictor
from model_side.routing import Floats


class Last(Predictor):
    """Seconds = bytes * (seconds / bytes of the latest transfer), for each direction of each device.

    Before the first transfer the rate of the link state stands in. The form is the plainest there is: nothing fixed,
    nothing of others, no memory.
    """

    def __init__(self, devices: int):
        super().__init__(devices)
        self._byte_s = np.full((2, devices), np.nan)

    def times(self, load: Load) -> tuple[Floats, Floats]:
        byte_s = np.where(np.isnan(self._byte_s), 8 / self.rate_bps, self._byte_s)
        return load.down_bytes * byte_s[0], load.up_bytes * byte_s[1]

    def learn(self, done: Done) -> None:
        self._byte_s[:, done.devices] = done.seconds / done.bytes
