# SPDX-License-Identifier: Apache-2.0
"""Rows of a channel record (`bridge.network.CHANNEL_ROW`) for NumPy."""

import numpy as np

from bridge.network import CHANNEL_FIELDS

ROW = np.dtype([(name, np.dtype(f"<{code}").str) for name, code in CHANNEL_FIELDS])

DIRECTIONS = ("down", "up")
DOWN, UP = range(2)
"""As a row numbers them."""
