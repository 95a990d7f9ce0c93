# SPDX-License-Identifier: Apache-2.0
"""`shared`: a floor, a device's own bytes, and those of the others that share its band."""

from collections.abc import Sequence

import numpy as np

from bridge.network import LinkState
from model_side.prediction.predictor import Done, Load, Predictor
from model_side.prediction.regression import Regression
from model_side.routing import Floats, Mask

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
        self._cells = [NO_CELL] * devices
        self._beside = ~np.eye(devices, dtype=bool)

    def times(self, load: Load) -> tuple[Floats, Floats]:
        floor_s, own, others = self._learned.coefficients
        down_s, up_s = (
            floor_s[way] + own[way] * air_s + others[way] * self._others_s(air_s, load.asked)
            for way, air_s in enumerate((8 * load.down_bytes / self.rate_bps[0], 8 * load.up_bytes / self.rate_bps[1]))
        )
        return down_s, up_s

    def learn(self, done: Done) -> None:
        load = done.load
        air_s = 8 * np.stack([load.down_bytes, load.up_bytes]) / self.rate_bps
        features = np.stack([air_s, self._others_s(air_s, load.asked)])
        self._learned.learn(done.devices, features[..., done.devices], done.seconds)

    def _others_s(self, air_s: Floats, asked: Mask) -> Floats:
        """Of each device's `air_s` [..., D], the airtime that others have while it is not done."""
        there_s = np.where(asked, air_s, 0.0)
        return np.asarray((np.minimum(air_s[..., :, None], there_s[..., None, :]) * self._beside).sum(axis=-1))

    def _read(self, links: Sequence[LinkState]) -> None:
        super()._read(links)
        cells = self._cells.copy()
        for link in links:
            cells[link.device] = NO_CELL if link.cell is None else link.cell
        if cells != self._cells:
            self._cells = cells
            self._beside = (np.array(cells)[:, None] == np.array(cells)) & ~np.eye(self.devices, dtype=bool)
