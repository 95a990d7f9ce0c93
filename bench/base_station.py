# SPDX-License-Identifier: Apache-2.0
"""What the base station itself costs: wall-clock time of one layer's exchange beside the network call.

Run `python -m bench.base_station`. Gate, policy, prediction, placement, hardware and combination are the
real ones; the network answers at once.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bench.decisions import table as calibration_table
from bridge.network import LinkState, NetworkInfo, Outcome, Status, Transfer, TransferOutcome, Wait
from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.exchange import LayerExchange
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.model.inference import routed_by
from model_side.model.moe import GateOutput
from model_side.placement import place
from model_side.policies import POLICIES, make_policy
from model_side.prediction.shared import Shared
from model_side.selection import Phase
from model_side.wire_profiles import WIRE_PROFILES

REPEATS = 1000


class InstantNetwork:
    """Every transfer is done the moment its computing is."""

    def __init__(self, devices: int):
        self.info = NetworkInfo("instant", tuple(map(str, range(devices))), 0, {}, {})
        self.now_ns = 0
        self._links = tuple(LinkState(device, True) for device in range(devices))

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """Nothing but computing takes time."""
        ends = [depart_ns + transfer.compute_ns for transfer in transfers]
        self.now_ns = max(ends, default=depart_ns)
        done = (
            TransferOutcome(transfer.device, Status.DONE, depart_ns, depart_ns, end_ns, end_ns)
            for transfer, end_ns in zip(transfers, ends, strict=True)
        )
        return Outcome(self.now_ns, tuple(done), self._links)

    def close(self) -> None:
        """Nothing to release."""


def measure(policy: str, devices: int, experts: int, top_k: int, tokens: int) -> tuple[float, float]:
    """Median and 99th percentile of microseconds for one exchange, without the network call."""
    records: list[LayerExchange] = []
    placement = place(1, experts, devices)
    shape = replace(WIRE_PROFILES["mixtral-8x7b"], experts=experts, top_k=top_k)
    hardware = [PROFILES["jetson-agx-orin"]] * devices
    compute = RooflineTimes(shape, PROFILES["nvidia-l4"], hardware, 16, 4)
    base_station = BaseStation(
        InstantNetwork(devices),
        placement,
        compute,
        make_policy(policy),
        Shared(devices),
        WireFormat(shape.token_bytes),
        10**10,
        on_exchange=records.append,
        calibration=calibration_table(experts, top_k, np.random.default_rng(1), layers=1),
    )
    logits = torch.randn(tokens, experts, generator=torch.Generator().manual_seed(1))
    gate = GateOutput(0, logits, *logits.softmax(dim=-1).topk(top_k))
    base_station.begin(Phase.DECODE, 0, 100)
    route = routed_by(base_station)
    spent_us = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            began = time.perf_counter()
            route(gate)
            spent_us.append(1e6 * (time.perf_counter() - began - records[-1].network_wall_s))
    return float(np.median(spent_us)), float(np.percentile(spent_us, 99))


def main() -> None:
    """Print the table."""
    table = Table("policy", "devices", "experts", "top-k", "tokens", "median, µs", "p99, µs", title="Base station")
    for devices, experts, top_k in ((8, 8, 2), (64, 128, 8)):
        for tokens in (1, 64):
            for policy in (name for name, kind in POLICIES.items() if not kind.foresees):
                median, p99 = measure(policy, devices, experts, top_k, tokens)
                sizes = (str(size) for size in (devices, experts, top_k, tokens))
                table.add_row(policy, *sizes, f"{median:.0f}", f"{p99:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
