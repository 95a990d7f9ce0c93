# SPDX-License-Identifier: Apache-2.0
"""What a handover costs a transfer, and several LTE cells the CPU: `python -m bench.handover`."""

import time

from rich.console import Console
from rich.table import Table

from bridge.network import NS_PER_S, Outcome, Status, Transfer, Wait
from ns3_scenarios.simulation import open_network

SEED = 1
BEGIN_S = 0.4  # of the first exchange; the handover comes two seconds later
DRIVE: dict[str, object] = {
    "path_loss": "log-distance",
    "inter_site_distance_m": 300.0,
    "positions_m": [[130.0, 0.0, 1.5]],
    "movement": {"kind": "constant-velocity", "velocities_mps": [[20.0, 0.0, 0.0]]},
}
SIZES = ((1_000, 1_000), (2_000_000, 1_000), (1_000, 1_000_000))


def across(rlc: str, transport: str, downlink_bytes: int, uplink_bytes: int) -> tuple[float | None, list[float]]:
    """How long the transfer during which the device is handed over takes, in s, None if it is lost, and all others."""
    network = open_network("lte-multicell", {**DRIVE, "rlc": rlc, "transport": transport}, SEED)
    outcomes: list[Outcome] = []
    depart_ns = round(BEGIN_S * NS_PER_S)
    while not outcomes or outcomes[-1].now_ns < 4 * NS_PER_S:
        asked = [Transfer(0, downlink_bytes, 0, uplink_bytes)]
        outcomes.append(network.exchange(asked, depart_ns, depart_ns + 3 * NS_PER_S))
        depart_ns = network.now_ns
    network.close()
    took = [_took_s(outcome) for outcome in outcomes]
    cells = [outcome.links[0].cell for outcome in outcomes]
    handover = next(i for i in range(1, len(cells)) if cells[i] != cells[i - 1])
    return took[handover], [time_s for i, time_s in enumerate(took) if i != handover and time_s is not None]


def _took_s(outcome: Outcome) -> float | None:
    came = outcome.transfers[0]
    if came.status is not Status.DONE or came.uplink_end_ns is None or came.downlink_begin_ns is None:
        return None
    return (came.uplink_end_ns - came.downlink_begin_ns) / NS_PER_S


def idle_cpu_s(devices: int, cells: int) -> float:
    """CPU seconds for one virtual second without transfers."""
    network = open_network("lte-multicell", {"devices": devices, "cells": cells}, SEED)
    begin_s = time.process_time()
    network.exchange([], network.now_ns, network.now_ns + NS_PER_S, Wait.DEADLINE)
    cpu_s = time.process_time() - begin_s
    network.close()
    return cpu_s


def main() -> None:
    """Print two tables."""
    console = Console()
    table = Table("RLC", "transport", "bytes down, up", "others: fastest to slowest", "during the handover")
    for rlc in ("am", "um"):
        for transport in ("udp", "tcp"):
            for size in SIZES:
                took_s, others_s = across(rlc, transport, *size)
                spread = f"{1000 * min(others_s):.0f} to {1000 * max(others_s):.0f} ms"
                told = "lost" if took_s is None else f"{1000 * took_s:.0f} ms"
                table.add_row(rlc, transport, f"{size[0]}, {size[1]}", spread, told)
    console.print(table)
    costs = Table("devices", "cells", "idle CPU s per virtual s")
    for devices, cells in ((8, 3), (8, 7), (64, 3)):
        costs.add_row(str(devices), str(cells), f"{idle_cpu_s(devices, cells):.1f}")
    console.print(costs)


if __name__ == "__main__":
    main()
