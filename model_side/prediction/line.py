# SPDX-License-Identifier: Apache-2.0
"""`line`: a fixed overhead and bytes over rate, by a least-squares line through what came before."""

import numpy as np

from model_side.prediction.predictor import Done, Load, Predictor
from model_side.routing import Floats, Indices

MEMORY = 0.7  # what one observation leaves of the weight of those before it
ZERO = 0.1  # weight of "no bytes take no time", where past transfers together weigh 1


class Line(Predictor):
    """For each direction of each device, a line of seconds over bytes.

    It is a least-squares line through the past transfers, weighted exponentially towards the latest, and weakly
    through zero: while the transfers had one size, their time is taken as proportional to bytes. Before the first
    transfer the rate of the link state stands in. The times within a transfer are those that the device stamps on
    its answer. The form is ours.
    """

    def __init__(self, devices: int):
        super().__init__(devices)
        self._learned = np.zeros((4, 2, devices))  # mean bytes, mean seconds, their variance and covariance
        self._slope = np.zeros((2, devices))  # seconds a byte
        self._fresh = np.ones(devices)  # the weight of the next observation

    def times(self, load: Load) -> tuple[Floats, Floats]:
        mean_bytes, mean_s = self._learned[:2]
        slope = np.where(self._fresh == 1, 8 / self.rate_bps, self._slope)
        down_s, up_s = (
            mean_s[way] + slope[way] * (size - mean_bytes[way])
            for way, size in enumerate((load.down_bytes, load.up_bytes))
        )
        return down_s, up_s

    def learn(self, done: Done) -> None:
        self._move(done.devices, done.bytes, done.seconds)

    def _move(self, devices: Indices, size: Floats, seconds: Floats) -> None:
        """Move means, variance and covariance by one observation of each of `devices` (values [2, len])."""
        fresh = self._fresh[devices]
        mean_bytes, mean_s, variance, covariance = learned = self._learned[:, :, devices]
        off_bytes, off_s = size - mean_bytes, seconds - mean_s
        moved = fresh * off_bytes
        variance += moved * off_bytes
        covariance += moved * off_s
        learned[2:] *= 1 - fresh
        mean_bytes += moved
        mean_s += fresh * off_s
        self._learned[:, :, devices] = learned
        self._fresh[devices] = 1 - MEMORY
        slope = (covariance + ZERO * mean_bytes * mean_s) / (variance + ZERO * mean_bytes**2)
        # Neither rate nor overhead is negative.
        self._slope[:, devices] = np.maximum(np.minimum(slope, mean_s / mean_bytes), 0)
