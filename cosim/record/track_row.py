# SPDX-License-Identifier: Apache-2.0
"""Rows of a track record (`bridge.network.TRACK_ROW`) for NumPy."""

import numpy as np

from bridge.network import TRACK_FIELDS

ROW = np.dtype([(name, np.dtype(f"<{code}").str) for name, code in TRACK_FIELDS])
