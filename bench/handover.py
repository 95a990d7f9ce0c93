# SPDX-License-Identifier: Apache-2.0
"""What a handover costs a transfer, and several cells the CPU, of LTE and of NR: `python -m bench.handover`."""

import math
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from bridge.network import NS_PER_S, Outcome, Status, Transfer, Wait
from ns3_scenarios.simulation import open_network

SEED = 1
BEGIN_S = 0.4  # of the first exchange; the handover comes two seconds later
SITE_M, BEGIN_M, SPEED_MPS = 300.0, 130.0, 20.0
TURNS = {"lte-multicell": 0.0, "nr-multicell": math.pi / 6}  # of the way from the first BS to the second, from x on
SIZES = {
    "lte-multicell": ((1_000, 1_000), (2_000_000, 1_000), (1_000, 1_000_000)),
    "nr-multicell": ((1_000, 1_000), (20_000_000, 1_000), (1_000, 4_000_000)),
}
IDLE_S, FULL_S = 1.0, 0.5
DOWN_BYTES, UP_BYTES = 10_000_000, 3_000_000
COSTS = (
    ("lte", 8, 1),
    ("lte-multicell", 8, 3),
    ("lte-multicell", 8, 7),
    ("lte-multicell", 64, 3),
    ("nr", 8, 1),
    ("nr-multicell", 24, 3),
    ("nr-multicell", 56, 7),
)
"""Scenario, devices and cells; as they are by default, NR with fading."""


def drive(scenario: str) -> dict[str, object]:
    """One device, alone, from the first BS to the second."""
    x, y = math.cos(TURNS[scenario]), math.sin(TURNS[scenario])
    return {
        "path_loss": "log-distance",
        "inter_site_distance_m": SITE_M,
        "positions_m": [[BEGIN_M * x, BEGIN_M * y, 1.5]],
        "movement": {"kind": "constant-velocity", "velocities_mps": [[SPEED_MPS * x, SPEED_MPS * y, 0.0]]},
    }


def across(
    scenario: str, rlc: str, transport: str, downlink_bytes: int, uplink_bytes: int
) -> tuple[float | None, list[float]]:
    """How long the transfer during which the device is handed over takes, in s, None if it is lost, and all others."""
    network = open_network(scenario, {**drive(scenario), "rlc": rlc, "transport": transport}, SEED)
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


def cost(scenario: str, devices: int, parameters: dict[str, object]) -> tuple[float, float]:
    """CPU seconds of this process for one virtual second: idle, and with more to send than fits, every other up."""
    network = open_network(scenario, {"devices": devices, **parameters}, SEED)
    size = (DOWN_BYTES, UP_BYTES)
    asked = [Transfer(i, *(1, 0, size[1]) if i % 2 else (size[0], 0, 1)) for i in range(devices)]
    found = []
    for transfers, time_s in (([], 0.0), ([], IDLE_S), (asked, FULL_S)):  # the first one compiles its bindings
        begin_s = time.process_time()
        network.exchange(transfers, network.now_ns, network.now_ns + round(time_s * NS_PER_S), Wait.DEADLINE)
        found.append((time.process_time() - begin_s) / max(time_s, 1e-9))
    network.close()
    return found[1], found[2]


def main() -> None:
    """Print two tables."""
    console = Console()
    table = Table("scenario", "RLC", "transport", "bytes down, up", "others: fastest to slowest", "during the handover")
    for scenario, sizes in SIZES.items():
        for rlc in ("am", "um"):
            for transport in ("udp", "tcp"):
                for size in sizes:
                    took_s, others_s = across(scenario, rlc, transport, *size)
                    spread = f"{1000 * min(others_s):.0f} to {1000 * max(others_s):.0f} ms"
                    told = "lost" if took_s is None else f"{1000 * took_s:.0f} ms"
                    table.add_row(scenario, rlc, transport, f"{size[0]}, {size[1]}", spread, told)
    console.print(table)
    costs = Table("scenario", "devices", "cells", "idle: CPU s per virtual s", "full")
    for scenario, devices, cells in COSTS:
        given = {"cells": cells} if "multicell" in scenario else {}
        code = f"from bench.handover import *; print(*cost({scenario!r}, {devices}, {given!r}))"
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
        idle_s, full_s = map(float, done.stdout.split())
        costs.add_row(scenario, str(devices), str(cells), f"{idle_s:.2f}", f"{full_s:.1f}")
    console.print(costs)


if __name__ == "__main__":
    main()
