# SPDX-License-Identifier: GPL-2.0-only
"""NR's neighbours that are computed against cells that are simulated: `python -m bench.nr_cells`.

Devices of the cell in the middle, dropped at random, and what their SINRs are while the six cells around it use a share
of their PRBs. At the same load there are as many transmissions on a PRB: a simulated cell serves its whole site with
one scheduler, so that each of the three sectors of a computed site has a third of a cell's load.
"""

import math
import random
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge.network import Outcome, Transfer, Wait
from ns3_scenarios.scenarios.neighbour_sites import AZIMUTHS_DEG, grid
from ns3_scenarios.simulation import Simulation, open_network
from ns3_scenarios.world.movement import Point

MS = 1_000_000
SITE_M, HEIGHT_M = 200.0, 10.0
LEAST_M = 10.0
DROPS = 6
INNER, USERS = 40, 10  # devices around the middle, that are looked at, and users around each site
PERCENTILES = (5, 20, 35, 50, 65, 80, 95)
LOADS = (1 / 3, 2 / 3, 1.0)
"""Share of its PRBs that a cell uses, in the slots that can carry the direction."""
RADIO: dict[str, object] = {
    **{"line_of_sight": "never", "shadowing_sigma_db": 0.0, "fading": False, "layers": 1},
    **{"bandwidth_mhz": 20, "scheduler": "rr"},
}


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


def computed(places_m: list[Point], load: float) -> list[tuple[float | None, float | None]]:
    """SINRs in dB, down and up, with neighbours whose sites have this load."""
    neighbours = {"sites": 6, "load": load / len(AZIMUTHS_DEG)}
    network = open_network("nr", RADIO | {"positions_m": places_m, "neighbours": neighbours}, 1)
    links = idle(network, 100 * MS).links
    network.close()
    return [(link.downlink_sinr_db, link.uplink_sinr_db) for link in links]


def simulated(
    places_m: list[Point], users_m: list[Point], load: float
) -> list[tuple[float | None, float | None] | None]:
    """SINRs likewise of those that the cell in the middle serves, None of the others, when all other cells have it.

    Users of the cell in the middle are silent; those near it whom another cell serves are not.
    """
    all_m = [*places_m, *users_m]
    movement = {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * len(all_m)}
    network = open_network("nr-multicell", RADIO | {"cells": 7, "positions_m": all_m, "movement": movement}, 1)
    cells = [link.cell for link in idle(network, 20 * MS).links]
    active = [i for i in range(len(places_m), len(all_m)) if cells[i] != 1]
    if load < 1:
        counts = Counter(cells[i] for i in active)
        shares = [load / counts[cells[i]] if i in active else 0.0 for i in range(len(all_m))]
        apply = network._topology.apply_shares
        assert apply is not None
        apply(shares)  # of each cell, not of all together
    found = []
    for size in ((1_000_000, 1), (1, 500_000)):
        asked = [Transfer(i, size[0], 0, size[1]) for i in active]
        found.append(network.exchange(asked, network.now_ns, network.now_ns + 250 * MS, Wait.DEADLINE).links)
        idle(network, 100 * MS)
    network.close()
    both = list(zip(*found, strict=True))[: len(places_m)]
    return [(down.downlink_sinr_db, up.uplink_sinr_db) if down.cell == up.cell == 1 else None for down, up in both]


def compare(load: float) -> NDArray[np.float64]:
    """Percentiles over all drops, of the same devices: of the computed and of the simulated, of each down and up."""
    found: list[list[list[float]]] = []
    for seed in range(DROPS):
        draw = random.Random(seed)
        places_m = [drop(draw, (0.0, 0.0)) for _ in range(INNER)]
        sites_m = [(0.0, 0.0, HEIGHT_M), *grid(6, SITE_M, HEIGHT_M)]
        users_m = [drop(draw, (x, y)) for x, y, _ in sites_m for _ in range(USERS)]
        rows = zip(computed(places_m, load), simulated(places_m, users_m, load), strict=True)
        for one, other in rows:
            known = [[sinr_db for sinr_db in pair if sinr_db is not None] for pair in (one, other or ())]
            if [len(pair) for pair in known] == [2, 2]:
                found.append(known)
    return np.array(
        [[np.percentile(each, PERCENTILES) for each in pair] for pair in np.array(found).transpose(1, 2, 0)]
    )


def main() -> None:
    """Print the percentiles."""
    table = Table("SINR in dB at percentile", *map(str, PERCENTILES))
    for load in LOADS:
        by_computed, by_simulated = compare(load)
        for number, direction in enumerate(("down", "up")):
            full, difference = by_simulated[number], by_simulated[number] - by_computed[number]
            table.add_row(f"{direction}, load {load:.2f}, simulated", *(f"{value:.1f}" for value in full))
            table.add_row("less computed", *(f"{value:.1f}" for value in difference))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
