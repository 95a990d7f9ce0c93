# SPDX-License-Identifier: Apache-2.0
"""Rows of a channel record (`bridge.network.CHANNEL_ROW`) for NumPy."""

import numpy as np

from bridge.network import CHANNEL_ROW

ROW = np.dtype(
    [
        ("time_ns", "<i8"),
        ("device", "<u2"),
        ("direction", "u1"),
        ("others", "u1"),
        ("pool", "<u4"),
        ("capacity_bps", "<f4"),
        ("sinr_db", "<f4"),
    ]
)
assert ROW.itemsize == CHANNEL_ROW.size

DIRECTIONS = ("down", "up")
DOWN, UP = range(2)
"""As a row numbers them."""
