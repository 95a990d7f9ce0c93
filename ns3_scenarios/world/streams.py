# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's random streams: the numbers that are given by hand, and the seed by which a stream is drawn.

ns-3 numbers its streams itself, in the order in which they are asked for, unless a number is set; those set begin half
of all streams further on, so that the two never meet. What has numbers of its own draws the same whatever else draws in
a scenario. Each range below belongs to one part.

A seed chooses ns-3's *run*: a substream of 2^76 draws of every stream (L'Ecuyer et al., "An object-oriented
random-number package with many long streams and substreams", Operations Research 50(6), 2002). ns-3's own seed is the
same for all, since its `SetSeed(s)` makes every word of the generator's state s: the draws of seed s are s times those
of seed 1, modulo 1.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bridge.network import RequestError

BACKGROUND = range(10**6, 2 * 10**6)  # one a flow
MOVEMENT = range(10**9, 2 * 10**9)  # five a device: speed, pause, x, y, z
NR = range(2 * 10**9, 3 * 10**9)  # from the first on, channel before cell
NEIGHBOURS = range(3 * 10**9, 4 * 10**9)  # of an NR cell: what they do, path loss and line of sight of their links
LIFE = range(2**40, 2**41)  # 2^20 an entry, of these one a device
RECORDED = range(2**41, 2**42)  # one a link and direction: downlink, uplink of the first, and so on

NS3_SEED = 1
MOST_SEED = 2**32 - 1
APART = ("movement", "life", "background")
"""What can be drawn by another seed than the radio."""


def check_seeds(seed: int, apart: Mapping[str, int]) -> None:
    """Raise `RequestError` naming a seed that is out of bounds, or of something that is not drawn apart."""
    for name in apart:
        if name not in APART:
            raise RequestError(f"seeds.{name}", f"is none of {', '.join(APART)}, which ns-3 draws apart")
    for field, number in {"seed": seed, **{f"seeds.{name}": number for name, number in apart.items()}}.items():
        if not 1 <= number <= MOST_SEED:
            raise RequestError(field, f"{number} is not within 1 and 2**32 - 1")


def begin(ns: Any, seed: int) -> None:
    """For a new simulation: streams are numbered from the beginning, and drawn by `seed`."""
    ns.RngSeedManager.ResetNextStreamIndex()
    ns.RngSeedManager.SetSeed(NS3_SEED)
    ns.RngSeedManager.SetRun(seed)


@contextmanager
def drawn_by(ns: Any, seed: int) -> Iterator[None]:
    """Streams that are given their number within are drawn by `seed`, now and later."""
    before = ns.RngSeedManager.GetRun()
    _set_run(ns, seed)
    try:
        yield
    finally:
        _set_run(ns, before)


def _set_run(ns: Any, run: int) -> None:
    ns.Config.SetGlobal("RngRun", ns.UintegerValue(run))  # `SetRun` is refused while a scenario may call it
