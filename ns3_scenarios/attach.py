# SPDX-License-Identifier: GPL-2.0-only
"""The virtual time before the first exchange, in which devices connect and routes are found."""

import math
from typing import Any

from bridge.network import NS_PER_S

from .scenario import Scenario
from .scripts.hang import bounded
from .topology import ScriptError, Topology

POLL_NS = 10_000_000  # between two looks at `ready`
SLICE_NS = 100_000_000  # a step


def attach(engine: Any, scenario: Scenario, topology: Topology, limit_s: float | None) -> None:
    """Run until `topology.ready` says so and every device is connected, for `scenario.attach_s` at most.

    Where all are connected from the beginning and nobody says more, run for just so long. Raises `ScriptError` if
    `ready` never says so. `limit_s` is the wall-clock time that each step of it may take.
    """
    limit_ns = _limit_ns(scenario, topology)
    if topology.ready is not None:
        _wait(engine, scenario, topology, limit_ns, limit_s)
    elif engine.IsAttached():
        _run(engine, limit_ns, limit_s)
    for until_ns in (*range(engine.GetNow(), limit_ns, SLICE_NS), limit_ns):
        with bounded(limit_s):
            if engine.Attach(until_ns):
                break
    engine.BeginRecords()


def _limit_ns(scenario: Scenario, topology: Topology) -> int:
    attach_s = scenario.attach_s
    if not isinstance(attach_s, (int, float)) or not 0 <= attach_s <= 1e6 or math.isnan(attach_s):
        raise ScriptError(f"attach_s of {scenario.name} is a time in s from 0 on, not {attach_s!r}")
    if topology.ready is not None and attach_s == 0:
        raise ScriptError(f"{scenario.name} has a function `ready`, but an attach_s of 0; say how long it may take")
    return round(attach_s * NS_PER_S)


def _run(engine: Any, until_ns: int, limit_s: float | None) -> None:
    while engine.GetNow() < until_ns:
        with bounded(limit_s):
            engine.RunUntil(min(engine.GetNow() + SLICE_NS, until_ns))


def _wait(engine: Any, scenario: Scenario, topology: Topology, limit_ns: int, limit_s: float | None) -> None:
    assert topology.ready is not None
    while True:
        with bounded(limit_s):
            if topology.ready():
                return
            if engine.GetNow() >= limit_ns:
                reason = f"ready of {scenario.name} still says no after attach_s, {scenario.attach_s:g} s"
                raise ScriptError(f"{reason}; give it longer, or look at what it waits for")
            engine.RunUntil(min(engine.GetNow() + POLL_NS, limit_ns))
