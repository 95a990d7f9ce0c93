# SPDX-License-Identifier: Apache-2.0
"""What BS and devices radiate for so many bytes, by what the radio has counted of past transfers."""

from collections.abc import Sequence

import numpy as np

from bridge.network import Status, Transfer, TransferOutcome
from model_side.routing import Floats

WEIGHT = 0.3  # of the latest transfer in the mean


class Radiated:
    """Joules for each byte, a mean in which the latest transfer weighs `WEIGHT`, of each direction of D devices.

    Only transfers that were done count. `byte_j` [2, D]; NaN until one was counted. The form is ours.
    """

    def __init__(self, devices: int):
        self.byte_j = np.full((2, devices), np.nan)

    def expect(self, down_bytes: Floats, up_bytes: Floats) -> Floats:
        """Joules [2, ..., D] for so many bytes [..., D]; NaN where nothing was counted yet."""
        down_j, up_j = self.byte_j
        return np.stack([down_j * down_bytes, up_j * up_bytes])

    def observe(self, transfers: Sequence[Transfer], outcomes: Sequence[TransferOutcome]) -> None:
        """Learn from the transfers of an exchange."""
        done = [
            (asked.device, came.downlink_air_j, came.uplink_air_j, asked.downlink_bytes, asked.uplink_bytes)
            for asked, came in zip(transfers, outcomes, strict=True)
            if came.status is Status.DONE and came.downlink_air_j is not None and came.uplink_air_j is not None
        ]
        if not done:
            return
        devices, down_j, up_j, down_bytes, up_bytes = (np.array(part) for part in zip(*done, strict=True))
        now_j = np.stack([down_j / down_bytes, up_j / up_bytes])
        before_j = self.byte_j[:, devices]
        self.byte_j[:, devices] = np.where(np.isnan(before_j), now_j, before_j + WEIGHT * (now_j - before_j))
