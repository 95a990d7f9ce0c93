# SPDX-License-Identifier: GPL-2.0-only
"""Networks with background traffic, watched: what each flow of a load came to, beside the transfers."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bridge.network import Transfer
from ns3_scenarios.scenarios import SCENARIOS
from tests.support.leaving import Leaving
from tests.support.ns3_worker import Played, Step, carry_out
from tests.support.still import open_still

Load = dict[str, Any]

MANY: list[Load] = [
    {"kind": "on-off", "users": 3, "rate_bps": 2e6, "mean_on_s": 0.02, "mean_off_s": 0.03},
    {"kind": "on-off", "users": 1, "rate_bps": 2e6, "mean_on_s": 0.02, "mean_off_s": 0.03, "direction": "up"},
    {"kind": "full-buffer", "direction": "up"},
    {"kind": "on-off", "device": 1, "rate_bps": 1e6, "mean_on_s": 0.01, "mean_off_s": 0.01, "direction": "up"},
]


class Flow(Struct, frozen=True):
    """Payload bytes of one user's load up to an instant."""

    offered: int
    dropped: int
    arrived: int


class Observed(Struct, frozen=True):
    """What came of the steps, and each flow at the end of each."""

    played: Played
    flows: list[list[Flow]]


def observe(scenario: str, background: Sequence[Load], steps: Sequence[Step], seed: int = 1, **parameters: Any):
    SCENARIOS[Leaving.name] = Leaving  # in the process that ns-3 runs in
    network = open_still(scenario, {"background": list(background), **parameters}, seed)
    try:
        observed = Observed(Played(network.info, [], []), [])
        for step in steps:
            observed.played.departed_ns.append(network.now_ns + step.gap_ns)
            observed.played.outcomes.append(carry_out(network, step))
            observed.flows.append(
                [Flow(f.GetOfferedBytes(), f.GetDroppedBytes(), f.GetArrivedBytes()) for f in network._flows]
            )
        return observed
    finally:
        network.close()


def down(size_bytes: int, device: int = 0) -> Transfer:
    return Transfer(device, size_bytes, 0, 1)


def up(size_bytes: int, device: int = 0, compute_ns: int = 0) -> Transfer:
    return Transfer(device, 1, compute_ns, size_bytes)


def down_ns(observed: Observed, step: int) -> int:
    return observed.played.outcomes[step].transfers[0].downlink_end_ns - observed.played.departed_ns[step]


def up_ns(observed: Observed, step: int) -> int:
    came = observed.played.outcomes[step].transfers[0]
    return came.uplink_end_ns - came.compute_end_ns


def until(time_ns: int) -> Step:
    """From a network that is ready at virtual time 0."""
    return Step([], time_ns, 0)
