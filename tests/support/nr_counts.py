# SPDX-License-Identifier: GPL-2.0-only
"""An NR cell in a process of its own, with what its links have counted."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from bridge.network import Outcome, Transfer, Wait
from tests.support.ns3_worker import Step
from tests.support.still import open_still

FIELDS = ("blocks", "firstBlocks", "firstErrors", "firstBlers", "givenUp", "bytes", "prbs", "dropped")


class Counts(Struct, frozen=True):
    """As ns3::cosim::NrCount."""

    blocks: int
    first_blocks: int
    first_errors: int
    first_blers: float
    given_up: int
    bytes: int
    prbs: int
    dropped: int

    @property
    def first_bler(self) -> float:
        return self.first_errors / self.first_blocks


class Counted(Struct, frozen=True):
    """What came of the steps. `counts`: before the first and after each step, of each device, down and up."""

    departed_ns: list[int]
    outcomes: list[Outcome]
    counts: list[list[tuple[Counts, Counts]]]

    def during(self, step: int, device: int, is_uplink: bool) -> Counts:
        """What was counted in one step."""
        before, after = (self.counts[i][device][is_uplink] for i in (step, step + 1))
        return Counts(*(getattr(after, name) - getattr(before, name) for name in Counts.__struct_fields__))


def counted(
    steps: Sequence[Step], parameters: dict[str, Any], seed: int = 1, shares: Sequence[float] | None = None
) -> Counted:
    """Open an NR network in this process, carry out the steps, with these shares of the band, and close it."""
    network = open_still("nr", parameters, seed)
    try:
        cell = network._topology.keep[0]
        played = Counted([], [], [counts_of(cell)])
        for step in steps:
            played.departed_ns.append(network.now_ns + step.gap_ns)
            depart_ns = played.departed_ns[-1]
            outcome = network.exchange(step.transfers, depart_ns, depart_ns + step.limit_ns, step.wait, shares)
            played.outcomes.append(outcome)
            played.counts.append(counts_of(cell))
        return played
    finally:
        network.close()


def shared(
    shares: Sequence[float], is_uplink: bool, parameters: dict[str, Any], size_bytes: int, limit_ns: int
) -> list[Counts]:
    """What each device has counted after so long, all with so much to send and these shares of the band."""
    network = open_still("nr", parameters, 1)
    try:
        sizes = (1, size_bytes) if is_uplink else (size_bytes, 1)
        asked = [Transfer(i, sizes[0], 0, sizes[1]) for i in range(len(shares))]
        network.exchange(asked, network.now_ns, network.now_ns + limit_ns, Wait.DEADLINE, shares)
        return [count[is_uplink] for count in counts_of(network._topology.keep[0])]
    finally:
        network.close()


def aimed(
    parameters: dict[str, Any], target_bler: float, transmissions: int, downlink_bytes: int, limit_ns: int
) -> Counts:
    """What a downlink with so much to send counts whose link adaptation aims at this BLER, by so many transmissions."""
    attributes = {"TargetBler": target_bler, "MostTransmissions": transmissions}
    return _set(attributes, parameters, [Transfer(0, downlink_bytes, 0, 1)], limit_ns)[False]


def without_outer_loop(
    parameters: dict[str, Any], downlink_bytes: int, uplink_bytes: int, limit_ns: int
) -> tuple[Counts, Counts]:
    """What both directions count that have so much to send, one behind the other, by MCSs from the reports alone."""
    asked = [Transfer(0, 1, 0, uplink_bytes), Transfer(0, downlink_bytes, 0, 1)]
    return _set({"OuterLoopStep": 0.0}, parameters, asked, limit_ns)


def _set(
    attributes: dict[str, float], parameters: dict[str, Any], asked: Sequence[Transfer], limit_ns: int
) -> tuple[Counts, Counts]:
    network = open_still("nr", parameters, 1)
    try:
        cell, ns = network._topology.keep[0], network._ns
        for name, value in attributes.items():
            cell.SetAttribute(name, ns.DoubleValue(value) if isinstance(value, float) else ns.UintegerValue(value))
        for transfer in asked:
            network.exchange([transfer], network.now_ns, network.now_ns + limit_ns, Wait.DEADLINE)
        return counts_of(cell)[0]
    finally:
        network.close()


def memory_of_runs(count: int) -> list[int]:
    """Resident memory of this process in kB after each of so many simulations."""
    found = []
    for _ in range(count):
        counted([Step([Transfer(i, 200_000, 0, 200_000) for i in range(8)])], {"fading": True})
        found.append(int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]))
    return found


def counts_of(cell: Any) -> list[tuple[Counts, Counts]]:
    def of(device: int, is_uplink: bool) -> Counts:
        count = cell.GetCount(device, is_uplink)
        return Counts(*(getattr(count, name) for name in FIELDS))

    return [(of(device, False), of(device, True)) for device in range(cell.CountDevices())]
