# SPDX-License-Identifier: Apache-2.0
"""When requests arrive: all at once, at random, or as they were recorded (`model_side.service.request_trace`).

Times are whole nanoseconds from the beginning of the service. They are made one after the other, so that any number of
them takes no memory.
"""

from collections.abc import Iterator
from enum import StrEnum
from itertools import count, repeat

import numpy as np

from bridge.network import NS_PER_S

_BLOCK = 1024


class Process(StrEnum):
    """How requests arrive.

    `one-by-one`: each when the one before has its answer. `offline`: all at the beginning, as MLPerf Inference calls
    it. `poisson`: independently of each other, with exponential times between them. `gamma`: in bursts, with times
    between them that are gamma distributed. `trace`: as they were recorded.
    """

    ONE_BY_ONE = "one-by-one"
    OFFLINE = "offline"
    POISSON = "poisson"
    GAMMA = "gamma"
    TRACE = "trace"


def offline() -> Iterator[int]:
    """All at the beginning."""
    return repeat(0)


def drawn(rate_per_s: float, variation: float, seed: int) -> Iterator[int]:
    """Arrivals at random: `rate_per_s` in the mean, with gaps of a coefficient of variation `variation`.

    The gaps are gamma distributed, of shape 1 / variation^2. With 1 that is the exponential distribution, and the
    arrivals are a Poisson process; above 1 they come in bursts, below 1 more evenly than by chance.
    """
    chance = np.random.default_rng(seed)
    shape = variation**-2
    at_s = 0.0
    while True:
        times_s = at_s + np.cumsum(chance.gamma(shape, 1 / (shape * rate_per_s), _BLOCK))
        at_s = float(times_s[-1])
        yield from np.rint(times_s * NS_PER_S).astype(np.int64).tolist()


def patience(mean_s: float, seed: int) -> Iterator[int | None]:
    """How long each user waits for the whole answer before leaving, in ns: exponential, or None, for ever, if 0."""
    if not mean_s:
        yield from repeat(None)
    chance = np.random.default_rng((seed, 1))  # not those of the arrivals
    while True:
        yield from np.rint(chance.exponential(mean_s, _BLOCK) * NS_PER_S).astype(np.int64).tolist()


def askers(users: int, wired_share: float, seed: int) -> Iterator[int | None]:
    """Which of the cell's `users` asks each request: in turn, but for a `wired_share` of them, by chance, that come
    from the wired side (None), as all do where there are no users."""
    if not users:
        yield from repeat(None)
    chance = np.random.default_rng((seed, 2))
    for block in count():
        turns = (np.arange(_BLOCK) + block * _BLOCK) % users
        is_wired = chance.random(_BLOCK) < wired_share
        yield from (None if wired else user for user, wired in zip(turns.tolist(), is_wired.tolist(), strict=True))
