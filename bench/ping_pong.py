# SPDX-License-Identifier: GPL-2.0-only
"""How often NR devices are handed over and come back at once, by speed: `python -m bench.ping_pong`.

A ping-pong is a handover to the cell that the device left less than a second before (the least time of stay of TR
36.839 clause 5.3.2).
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bridge.network import Wait
from ns3_scenarios.simulation import open_network

MS = 1_000_000
STEP_MS = 50
LEAST_STAY_MS = 1000
SPEEDS_MPS = (1.0, 3.0, 10.0, 30.0)
TIMES_TO_TRIGGER_S = (0.04, 0.256, 0.64)
HYSTERESES_DB = (1.0, 3.0, 6.0)
DEVICES = 24
SEEDS = 3
WAY_M, MOST_S = 120.0, 20.0
AREA_M = 150.0
"""Devices begin on a square of this side around the middle of three sites, 200 m apart, and drive straight on."""


class Count(NamedTuple):
    """Of all devices of a run."""

    handovers: int
    ping_pongs: int
    device_s: float


def count(cells: Sequence[int]) -> tuple[int, int]:
    """Handovers and ping-pongs among them of a device that is in these cells, one every STEP_MS."""
    handovers = ping_pongs = 0
    came_at, came_from = -math.inf, 0
    for i in range(1, len(cells)):
        if cells[i] != cells[i - 1]:
            handovers += 1
            ping_pongs += cells[i] == came_from and (i - came_at) * STEP_MS < LEAST_STAY_MS
            came_at, came_from = i, cells[i - 1]
    return handovers, ping_pongs


def drive(
    speed_mps: float, time_to_trigger_s: float, seed: int, devices: int = DEVICES, hysteresis_db: float = 3.0
) -> Count:
    """Nobody sends anything."""
    draw = random.Random(seed)
    middle_m = (200 / math.sqrt(3) * math.cos(math.pi / 3), 200 / math.sqrt(3) * math.sin(math.pi / 3))
    places_m = [[at + draw.uniform(-AREA_M, AREA_M) / 2 for at in middle_m] + [1.5] for _ in range(devices)]
    turns = [draw.uniform(0, 2 * math.pi) for _ in range(devices)]
    velocities_mps = [[speed_mps * math.cos(turn), speed_mps * math.sin(turn), 0.0] for turn in turns]
    movement = {"kind": "constant-velocity", "velocities_mps": velocities_mps}
    radio: dict[str, object] = {"bandwidth_mhz": 20, "fading": False}
    radio |= {"time_to_trigger_s": time_to_trigger_s, "hysteresis_db": hysteresis_db}
    network = open_network("nr-multicell", {**radio, "positions_m": places_m, "movement": movement}, seed)
    time_s = min(MOST_S, WAY_M / speed_mps)
    cells: list[list[int]] = []
    for _ in range(round(time_s * 1000 / STEP_MS)):
        links = network.exchange([], network.now_ns, network.now_ns + STEP_MS * MS, Wait.DEADLINE).links
        cells.append([link.cell or 0 for link in links])
    network.close()
    found = [count(each) for each in zip(*cells, strict=True)]
    handovers, ping_pongs = (sum(each) for each in zip(*found, strict=True))
    return Count(handovers, ping_pongs, time_s * devices)


def row(speed_mps: float, settings: Sequence[tuple[float, float]]) -> list[str]:
    """For each time to trigger in s and hysteresis in dB."""
    found = []
    for time_s, hysteresis_db in settings:
        every = [drive(speed_mps, time_s, seed, hysteresis_db=hysteresis_db) for seed in range(1, SEEDS + 1)]
        handovers, ping_pongs, device_s = (sum(each) for each in zip(*every, strict=True))
        share = 100 * ping_pongs / handovers if handovers else 0.0
        found.append(f"{60 * handovers / device_s:.1f}, {60 * ping_pongs / device_s:.2f} ({share:.0f} %)")
    return found


def main() -> None:
    """Print two tables."""
    by_time = Table("speed", *(f"{1000 * time_s:.0f} ms" for time_s in TIMES_TO_TRIGGER_S))
    for speed_mps in SPEEDS_MPS:
        by_time.add_row(f"{speed_mps:g} m/s", *row(speed_mps, [(time_s, 3.0) for time_s in TIMES_TO_TRIGGER_S]))
    by_hysteresis = Table("speed", *(f"{hysteresis_db:g} dB" for hysteresis_db in HYSTERESES_DB))
    for speed_mps in SPEEDS_MPS[2:]:
        by_hysteresis.add_row(f"{speed_mps:g} m/s", *row(speed_mps, [(0.256, each) for each in HYSTERESES_DB]))
    console = Console(width=120)
    console.print("Handovers and ping-pongs a minute and device (and their share), by time to trigger with 3 dB")
    console.print(by_time)
    console.print("The same by hysteresis, with 256 ms")
    console.print(by_hysteresis)


if __name__ == "__main__":
    main()
