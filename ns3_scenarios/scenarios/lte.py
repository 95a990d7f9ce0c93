# SPDX-License-Identifier: GPL-2.0-only
"""LTE: one cell, its evolved packet core, the edge server beside the BS, and the devices."""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from ..scenario import Positive, Topology
from ..world.movement import Point
from .lte_network import ANY_DEVICES, MOST_DEVICES, LteNetwork
from .one_cell import OneCell, geometric

NEAREST_M = 30.0
FARTHEST_M = 250.0


class Lte(OneCell, LteNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One LTE cell, its evolved packet core, and its devices.

    `devices`: how many (default: as many as distances or positions are given, else 8).
    `distances_m`: of each device from the BS, on a circle around it (default: 30 to 250 m, geometric).
    `positions_m`: x, y, z of each device instead; the BS stands at x = y = 0, 25 m high for uma, else 10 m.
    `other_users_distances_m`: of the other users of `background` from the BS, taken in turn, in directions that go
    evenly round it; they stay there (default: 30 to 250 m, geometric).
    """

    name: ClassVar[str] = "lte"
    most_devices: ClassVar[int] = MOST_DEVICES

    devices: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None
    other_users_distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None

    def __post_init__(self) -> None:
        self.count_devices()
        self.check_distances(self.least_distance_m)
        self.check_fading()

    @classmethod
    def spread(cls, devices: int) -> tuple[float, ...]:
        return geometric(devices, NEAREST_M, FARTHEST_M)

    def build(self, ns: Any) -> Topology:
        return self.connect(ns, [(0.0, 0.0)], self.places(), self.other_places())
