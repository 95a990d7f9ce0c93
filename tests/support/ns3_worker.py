# SPDX-License-Identifier: GPL-2.0-only
"""ns-3 in a process of its own, since an assertion of ns-3's ends the process that it runs in."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from bridge.network import NS_PER_S, NetworkInfo, Outcome, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.simulation import Simulation
from tests.support.still import open_still
from tests.support.wired_star import WiredStar

SCENARIOS["wired-star"] = WiredStar


class Step(Struct, frozen=True):
    """An exchange that departs `gap_ns` after the one before has ended and lasts `limit_ns` at most."""

    transfers: Sequence[Transfer]
    gap_ns: int = 0
    limit_ns: int = 60 * NS_PER_S
    wait: Wait = Wait.ALL


class Played(Struct, frozen=True):
    """What came of the steps. `departed_ns` is when each departed."""

    info: NetworkInfo
    departed_ns: list[int]
    outcomes: list[Outcome]

    def took_ns(self, step: int) -> list[int | None]:
        """For each transfer, the time from departure to the last byte of the answer."""
        ends = (transfer.uplink_end_ns for transfer in self.outcomes[step].transfers)
        return [None if end is None else end - self.departed_ns[step] for end in ends]


def play(
    steps: Sequence[Step],
    parameters: dict[str, Any] | None = None,
    scenario: str = "lte",
    seed: int = 1,
    apart: dict[str, int] | None = None,
) -> Played:
    """Open a network in this process, carry out the steps and close it."""
    network = open_still(scenario, parameters or {}, seed, apart)
    try:
        played = Played(network.info, [], [])
        for step in steps:
            played.departed_ns.append(network.now_ns + step.gap_ns)
            played.outcomes.append(carry_out(network, step))
        return played
    finally:
        network.close()


def carry_out(network: Simulation, step: Step) -> Outcome:
    depart_ns = network.now_ns + step.gap_ns
    return network.exchange(step.transfers, depart_ns, depart_ns + step.limit_ns, step.wait)


Call = Callable[..., Any]


@contextmanager
def worker() -> Iterator[Call]:
    """A fresh process; what is yielded calls a function in it.

    Where the process dies of it, that call fails, and the next has another process.
    """
    pools = [_pool()]

    def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return pools[-1].submit(function, *arguments, **named).result()
        except BrokenExecutor:
            pools.append(_pool())
            raise

    try:
        yield call
    finally:
        for pool in pools:
            pool.shutdown()


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_know_scenarios)


def _know_scenarios() -> None:
    """The import of this module, which has registered those of the tests, whatever is called first."""
