# SPDX-License-Identifier: Apache-2.0
"""How sure a score is: intervals of 95 %, and whether two models that answered the same items differ."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

Z = 1.959963984540054
"""The standard normal distribution's quantile at 0.975."""
RESAMPLES = 1000
SEED = 1


class Estimate(NamedTuple):
    """A figure and the ends of its interval of 95 %."""

    value: float
    low: float
    high: float


class Paired(NamedTuple):
    """Two models on the same items: how many only this one answers rightly, how many only that, and McNemar's p."""

    only_here: int
    only_there: int
    p: float


def wilson(right: int, items: int) -> Estimate:
    """The share of items that are right, with Wilson's score interval (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share, spread = right / items, Z * Z / items
    centre = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / items + spread / (4 * items))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(share, 0.0 if right == 0 else low, 1.0 if right == items else high)


def mcnemar(here: Values, there: Values) -> Paired:
    """McNemar's exact test, two-sided: of the items on which the two differ, each is as likely to be right.

    `here`, `there` [items]: 1 for an item that is right, else 0.
    """
    only_here, only_there = int(((here == 1) & (there == 0)).sum()), int(((here == 0) & (there == 1)).sum())
    differ = only_here + only_there
    tail = sum(math.comb(differ, k) for k in range(min(only_here, only_there) + 1))
    return Paired(only_here, only_there, min(1.0, 2 * tail / 2**differ))


def ratio_of_sums(above: Values, below: Values) -> Estimate:
    """The sum of `above` [items] over that of `below`, with the bootstrap's percentile interval over items.

    `RESAMPLES` resamples are drawn by `SEED`, always the same for so many items, so that two models on the same items
    are resampled alike.
    """
    drawn = np.random.default_rng(SEED)
    ratios = np.empty(RESAMPLES)
    for each in range(RESAMPLES):
        picked = drawn.integers(len(above), size=len(above))
        ratios[each] = above[picked].sum() / below[picked].sum()
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Estimate(float(above.sum() / below.sum()), float(low), float(high))


def mean(values: Values) -> Estimate:
    """The mean over items, with the bootstrap's interval."""
    return ratio_of_sums(values, np.ones(len(values)))


def exponential(estimate: Estimate) -> Estimate:
    """As perplexity is of nats."""
    return Estimate(*(math.exp(part) if part < _MOST_NATS else math.inf for part in estimate))


_MOST_NATS = 709
