# SPDX-License-Identifier: GPL-2.0-only
"""What the scenarios with several cells share: devices spread over them, that drive from cell to cell."""

import math
from collections.abc import Sequence

from ..world.movement import Point

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # turned by it again and again, directions never repeat
SPEED_MPS = 10.0

Place = tuple[float, float]


def spread(
    sites: Sequence[Place], distance_m: float, devices: int, height_m: float, first_turn: float = 0.0
) -> tuple[Point, ...]:
    """Cell after cell, a fifth to two fifths of the inter-site distance away, first in direction `first_turn`."""
    places_m = []
    for i in range(devices):
        x, y = sites[i % len(sites)]
        away_m = distance_m * (0.2 + 0.2 * i / devices)
        turn = first_turn + i * GOLDEN_ANGLE
        places_m.append((x + away_m * math.cos(turn), y + away_m * math.sin(turn), height_m))
    return tuple(places_m)


def towards_next_site(sites: Sequence[Place], place: Point) -> Point:
    """The velocity in m/s of a device that drives from where it is straight to the BS next to its own."""
    x, y, _ = place
    own = min(range(len(sites)), key=lambda cell: math.dist(sites[cell], (x, y)))
    to_x, to_y = sites[(own + 1) % len(sites)]
    factor = SPEED_MPS / math.dist((to_x, to_y), (x, y))
    return ((to_x - x) * factor, (to_y - y) * factor, 0.0)
