# SPDX-License-Identifier: Apache-2.0
"""How long a policy's decisions took on the machine that ran it: wall-clock time, in which no two runs are equal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decisions:
    """Of `count` decisions the mean, the median, the 95th percentile and the longest, in wall-clock seconds."""

    count: int
    mean_s: float
    p50_s: float
    p95_s: float
    max_s: float

    @classmethod
    def of(cls, took_s: Sequence[float]) -> "Decisions":
        """Those that took so long, of which there is at least one."""
        p50_s, p95_s = np.quantile(took_s, [0.5, 0.95]).tolist()
        return cls(len(took_s), float(np.mean(took_s)), p50_s, p95_s, float(max(took_s)))
