# SPDX-License-Identifier: Apache-2.0
"""Means with the interval that chance leaves them, by bootstrap over runs.

B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979); the interval is that of the
percentiles. With the same values it is the same each time.
"""

from collections.abc import Sequence

import numpy as np

from model_side.routing import Floats

RESAMPLES = 10_000
LEVEL = 0.95


def resampled_means(values: Floats) -> Floats:
    """Means of as many values drawn with replacement, `RESAMPLES` times."""
    picks = np.random.default_rng(len(values)).integers(0, len(values), (RESAMPLES, len(values)))
    return np.asarray(values[picks].mean(axis=1))


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and where the interval of 95 % begins and ends; of a single value all three are that."""
    given = np.array(values, dtype=np.float64)
    if len(given) < 2:
        return (float(given[0]),) * 3
    low, high = np.quantile(resampled_means(given), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(given.mean()), float(low), float(high)
