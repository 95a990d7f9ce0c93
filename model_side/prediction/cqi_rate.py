# SPDX-License-Identifier: Apache-2.0
"""`cqi-rate`: what the link state says, divided by those who transmit, behind a learned floor."""

import numpy as np

from model_side.prediction.predictor import Done, Load, Predictor
from model_side.routing import Floats

WEIGHT = 0.3  # of the latest transfer in the floor


class CqiRate(Predictor):
    """Seconds = floor + 8 * bytes / (rate / n), for each direction of each device.

    `rate` is the link state's for the whole band, from channel quality (MCS or CQI), n the number of devices that
    transmit in the work that is asked, this one included. The floor is an exponentially weighted mean of what
    transfers took beyond that, never below 0. So WDMoE's formulas (arXiv 2405.03131) take a link, with Shannon's rate
    in the place of the link state's; the floor is ours.
    """

    def __init__(self, devices: int):
        super().__init__(devices)
        self._floor_s = np.zeros((2, devices))
        self._fresh = np.ones(devices)  # the weight of the next transfer

    def times(self, load: Load) -> tuple[Floats, Floats]:
        air_s = 8 * self._transmitting(load) / self.rate_bps[:, *[None] * (load.down_bytes.ndim - 1)]
        return self._floor_s[0] + load.down_bytes * air_s[0], self._floor_s[1] + load.up_bytes * air_s[1]

    def learn(self, done: Done) -> None:
        air_s = 8 * done.bytes * self._transmitting(done.load)[done.devices] / self.rate_bps[:, done.devices]
        floor_s = self._floor_s[:, done.devices]
        floor_s += self._fresh[done.devices] * (np.maximum(done.seconds - air_s, 0) - floor_s)
        self._floor_s[:, done.devices] = floor_s
        self._fresh[done.devices] = WEIGHT

    def _transmitting(self, load: Load) -> Floats:
        """How many devices [..., D] transmit if each of them does."""
        return np.asarray(load.asked.sum(axis=-1, keepdims=True) + ~load.asked, dtype=np.float64)
