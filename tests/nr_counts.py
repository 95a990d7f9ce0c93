# SPDX-License-Identifier: GPL-2.0-only
"""An NR cell in a process of its own, with what its links have counted."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bridge.network import Outcome
from ns3_scenarios.simulation import open_network
from tests.ns3_worker import Step, carry_out

FIELDS = ("blocks", "firstBlocks", "firstErrors", "givenUp", "bytes", "prbs", "dropped")


class Counts(Struct, frozen=True):
    """As ns3::cosim::NrCount."""

    blocks: int
    first_blocks: int
    first_errors: int
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


def counted(steps: Sequence[Step], parameters: dict[str, Any], seed: int = 1, run: int = 1) -> Counted:
    """Open an NR network in this process, carry out the steps and close it."""
    network = open_network("nr", parameters, seed, run)
    try:
        cell = network._topology.keep[0]
        played = Counted([], [], [_counts(cell)])
        for step in steps:
            played.departed_ns.append(network.now_ns + step.gap_ns)
            played.outcomes.append(carry_out(network, step))
            played.counts.append(_counts(cell))
        return played
    finally:
        network.close()


def _counts(cell: Any) -> list[tuple[Counts, Counts]]:
    def of(device: int, is_uplink: bool) -> Counts:
        count = cell.GetCount(device, is_uplink)
        return Counts(*(int(getattr(count, name)) for name in FIELDS))

    return [(of(device, False), of(device, True)) for device in range(cell.CountDevices())]
