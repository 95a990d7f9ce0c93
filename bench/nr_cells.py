# SPDX-License-Identifier: GPL-2.0-only
"""NR's neighbours that are computed against cells that are simulated: `python -m bench.nr_cells`.

Devices of the cell in the middle, dropped at random, and what their SINRs are while the six cells around it are full.
"""

import math
import random

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge.network import Outcome, Transfer, Wait
from ns3_scenarios.scenarios.neighbour_sites import grid
from ns3_scenarios.simulation import Simulation, open_network
from ns3_scenarios.world.movement import Point

MS = 1_000_000
SITE_M, HEIGHT_M = 200.0, 10.0
LEAST_M = 10.0
DROPS = 6
INNER, OUTER = 40, 10  # devices of the cell in the middle, and of each around it
PERCENTILES = (5, 20, 35, 50, 65, 80, 95)
LOADS = (1.0, 1 / 3)
"""Of each of a site's three sectors: as many PRBs in use as a full cell has, or as many transmissions on each PRB."""
RADIO: dict[str, object] = {"line_of_sight": "never", "shadowing_sigma_db": 0.0, "fading": False}


def drop(draw: random.Random, site: tuple[float, float]) -> Point:
    """A place for which this site is the nearest of the grid."""
    around_m = [(x + site[0], y + site[1]) for x, y, _ in grid(6, SITE_M, HEIGHT_M)]
    while True:
        place = (site[0] + draw.uniform(-SITE_M, SITE_M), site[1] + draw.uniform(-SITE_M, SITE_M))
        own_m = math.dist(place, site)
        if LEAST_M < own_m < min(math.dist(place, other) for other in around_m):
            return (*place, 1.5)


def idle(network: Simulation, time_ns: int) -> Outcome:
    return network.exchange([], network.now_ns, network.now_ns + time_ns, Wait.DEADLINE)


def computed(places_m: list[Point], direction: str, load: float) -> list[float | None]:
    """SINRs in dB with neighbours of this load."""
    given = RADIO | {"positions_m": places_m, "neighbours": {"sites": 6, "load": load}}
    network = open_network("nr", given, 1)
    links = idle(network, 100 * MS).links
    network.close()
    return [link.downlink_sinr_db if direction == "down" else link.uplink_sinr_db for link in links]


def simulated(places_m: list[Point], others_m: list[Point], direction: str) -> list[float | None]:
    """SINRs in dB of those that the cell in the middle serves, None of the others, when all other cells are full."""
    all_m = [*places_m, *others_m]
    movement = {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * len(all_m)}
    network = open_network("nr-multicell", RADIO | {"cells": 7, "positions_m": all_m, "movement": movement}, 1)
    size = (6_000_000, 1) if direction == "down" else (1, 3_000_000)
    asked = [Transfer(len(places_m) + i, size[0], 0, size[1]) for i in range(len(others_m))]
    links = network.exchange(asked, network.now_ns, network.now_ns + 250 * MS, Wait.DEADLINE).links[: len(places_m)]
    network.close()
    found = [link.downlink_sinr_db if direction == "down" else link.uplink_sinr_db for link in links]
    return [sinr_db if link.cell == 1 else None for link, sinr_db in zip(links, found, strict=True)]


def compare(direction: str) -> list[NDArray[np.float64]]:
    """Percentiles over all drops, of the same devices: by each load, and with full cells."""
    found: list[list[float]] = []
    for seed in range(DROPS):
        draw = random.Random(seed)
        places_m = [drop(draw, (0.0, 0.0)) for _ in range(INNER)]
        others_m = [drop(draw, (x, y)) for x, y, _ in grid(6, SITE_M, HEIGHT_M) for _ in range(OUTER)]
        columns = [computed(places_m, direction, load) for load in LOADS]
        columns.append(simulated(places_m, others_m, direction))
        for row in zip(*columns, strict=True):
            known = [sinr_db for sinr_db in row if sinr_db is not None]
            if len(known) == len(row):
                found.append(known)
    return [np.percentile(column, PERCENTILES) for column in np.array(found).T]


def main() -> None:
    """Print the percentiles."""
    table = Table("SINR in dB at percentile", *map(str, PERCENTILES))
    for direction in ("down", "up"):
        *by_load, full = compare(direction)
        table.add_row(f"{direction}, full cells", *(f"{value:.1f}" for value in full))
        for load, row in zip(LOADS, by_load, strict=True):
            table.add_row(f"{direction}, load {load:.2f}", *(f"{value:.1f}" for value in row))
            table.add_row("full cells less that", *(f"{value:.1f}" for value in full - row))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
