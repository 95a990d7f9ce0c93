# SPDX-License-Identifier: GPL-2.0-only
"""LTE: one cell, its evolved packet core, the edge server beside the BS, and the devices."""

import math
from typing import Annotated, Any, ClassVar

import msgspec

from bridge.network import RequestError

from .lte_network import ANY_DEVICES, DEVICE_HEIGHT_M, MOST_DEVICES, LteNetwork
from .movement import Point, circle
from .scenario import Positive, Topology, fill

NEAREST_M = 30.0
FARTHEST_M = 250.0


class Lte(LteNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One LTE cell, its evolved packet core, and its devices.

    `devices`: how many (default: as many as distances or positions are given, else 8).
    `distances_m`: of each device from the BS, on a circle around it (default: 30 to 250 m, geometric).
    `positions_m`: x, y, z of each device instead; the BS stands at x = y = 0, 25 m high for uma, else 10 m.
    `other_users_distances_m`: of the other users of `background` from the BS, taken in turn, in directions that go
    evenly round it; they stay there (default: 30 to 250 m, geometric).
    """

    name: ClassVar[str] = "lte"

    devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_DEVICES)] | None = None
    distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None
    other_users_distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None

    def __post_init__(self) -> None:
        placed = self.positions_m if self.positions_m is not None else self.distances_m
        if self.positions_m is not None and self.distances_m is not None:
            raise RequestError("radio.distances_m", "give either distances_m or positions_m")
        if placed is not None and self.devices not in (None, len(placed)):
            raise RequestError("radio.devices", f"{self.devices} devices, but {len(placed)} are placed")
        fill(self, devices=self.devices or (8 if placed is None else len(placed)))
        if placed is None:
            fill(self, distances_m=_spread(self.devices or 0))
        nearest_m = min(math.hypot(x, y) for x, y, _ in self.places())
        self.check_model(nearest_m, "distances_m" if self.positions_m is None else "positions_m")
        self.check_model(min(self.other_users_distances_m or (NEAREST_M,)), "other_users_distances_m")
        self.check_room(len(self.places()), MOST_DEVICES)

    def build(self, ns: Any) -> Topology:
        return self.connect(ns, [(0.0, 0.0)], self.places(), self.other_places())

    def places(self) -> tuple[Point, ...]:
        """Where the devices are: as asked, or at their distances in directions that go round the BS."""
        if self.positions_m is not None:
            return self.positions_m
        return circle(self.distances_m or (), DEVICE_HEIGHT_M)

    def other_places(self) -> tuple[Point, ...]:
        """Where the other users are."""
        distances_m = self.other_users_distances_m or _spread(self.other_users)
        return circle([distances_m[i % len(distances_m)] for i in range(self.other_users)], DEVICE_HEIGHT_M)


def _spread(devices: int) -> tuple[float, ...]:
    """Distances in m from near to far, each the same factor beyond the one before."""
    ratio = FARTHEST_M / NEAREST_M
    return tuple(NEAREST_M * ratio ** (i / max(devices - 1, 1)) for i in range(devices))
