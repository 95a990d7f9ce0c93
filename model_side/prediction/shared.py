# SPDX-License-Identifier: Apache-2.0
"""`shared`: a floor, a device's own bytes, and those of the others that share its band."""

from collections.abc import Sequence

import numpy as np

from bridge.network import LinkState
from model_side.prediction.predictor import Done, Load, Predictor
from model_side.prediction.regression import Regression
from model_side.routing import Floats

NO_CELL = -1


class Shared(Predictor):
    """Seconds = floor + own * x + others * sum over the other devices j of min(x_j, x), for each direction.

    x is a device's airtime, 8 * bytes / the link state's rate for the whole band. Where a band is divided equally at
    every moment (processor sharing) and all begin at once, a device with airtime x is done after the sum of min(x_j, x)
    over all devices: of each one that is there it has waited for as much as its own. So `own` is what a rate lacks of
    the payload's, `others` what others take, 0 on cables and in other cells, and less where they begin apart. Devices
    that are asked in the same work and whose link states name the same cell, or none, share. The coefficients of each
    device are learned as `Regression` says. The form is ours.
    """

    def __init__(self, devices: int):
        super().__init__(devices)
        self._learned = Regression(devices, first=(0.002, 1.1, 0.8), unsure=(0.01, 0.5, 0.5))
        self._cell = np.full(devices, NO_CELL)

    def times(self, load: Load) -> tuple[Floats, Floats]:
        floor_s, own, others = self._learned.coefficients
        down_s, up_s = (
            floor_s[way] + own[way] * air_s + others[way] * self._others_s(air_s, load)
            for way, air_s in enumerate(self._airs_s(load))
        )
        return down_s, up_s

    def learn(self, done: Done) -> None:
        air_s = np.stack(self._airs_s(done.load))
        features = np.stack([air_s, self._others_s(air_s, done.load)])
        self._learned.learn(done.devices, features[..., done.devices], done.seconds)

    def _airs_s(self, load: Load) -> tuple[Floats, Floats]:
        return 8 * load.down_bytes / self.rate_bps[0], 8 * load.up_bytes / self.rate_bps[1]

    def _others_s(self, air_s: Floats, load: Load) -> Floats:
        """Of each device's [..., D], the airtime that others have while it is not done."""
        beside = (self._cell[:, None] == self._cell) & ~np.eye(self.devices, dtype=bool)
        there_s = np.where(load.asked, air_s, 0.0)
        return np.asarray((np.minimum(air_s[..., :, None], there_s[..., None, :]) * beside).sum(axis=-1))

    def _read(self, links: Sequence[LinkState]) -> None:
        super()._read(links)
        for link in links:
            self._cell[link.device] = NO_CELL if link.cell is None else link.cell
