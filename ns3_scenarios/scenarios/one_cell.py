# SPDX-License-Identifier: GPL-2.0-only
"""What the scenarios with one cell share: devices around a BS, placed as asked or at distances of their own."""

import math
from typing import Any, ClassVar

from bridge.network import RequestError

from ..scenario import Scenario, fill
from ..world.movement import Point, circle


class OneCell:
    """Devices around one BS, which stands at x = y = 0: a mix-in for a `Scenario` that has these parameters.

    No struct of its own, since msgspec cannot join two that have fields.
    """

    __slots__ = ()

    most_devices: ClassVar[int]
    device_height_m: ClassVar[float] = 1.5

    devices: int | None
    distances_m: tuple[float, ...] | None
    positions_m: tuple[Point, ...] | None
    other_users_distances_m: tuple[float, ...] | None
    other_users: Any

    @classmethod
    def spread(cls, devices: int) -> tuple[float, ...]:
        """Distances in m of so many devices from the BS where nobody says any."""
        raise NotImplementedError

    def count_devices(self) -> None:
        """For `__post_init__`, first of all: fill in what was left out, and raise `RequestError` for contradictions."""
        placed = self.positions_m if self.positions_m is not None else self.distances_m
        if self.positions_m is not None and self.distances_m is not None:
            raise RequestError("radio.distances_m", "give either distances_m or positions_m")
        if placed is not None and self.devices not in (None, len(placed)):
            raise RequestError("radio.devices", f"{self.devices} devices, but {len(placed)} are placed")
        devices = self.devices or (8 if placed is None else len(placed))
        if devices > self.most_devices:
            raise RequestError("radio.devices", f"{devices} devices; one cell has room for {self.most_devices}")
        if devices + self.other_users > self.most_devices:
            users = f"{devices} devices and {self.other_users} other users"
            raise RequestError("radio.background", f"{users}; one cell has room for {self.most_devices}")
        assert isinstance(self, Scenario)
        fill(self, devices=devices)
        if placed is None:
            fill(self, distances_m=self.spread(devices))

    def check_distances(self, least_m: float) -> None:
        """Raise `RequestError` if a device or other user is nearer to the BS than the path loss allows."""
        devices_m = [math.hypot(x, y) for x, y, _ in self.places()]
        placed = "distances_m" if self.positions_m is None else "positions_m"
        for field, distances_m in ((placed, devices_m), ("other_users_distances_m", self.other_users_distances_m)):
            if distances_m and min(distances_m) < least_m:
                reason = f"{min(distances_m):g} m, but path_loss holds from {least_m:g} m on"
                raise RequestError(f"radio.{field}", reason)

    def places(self) -> tuple[Point, ...]:
        """Where the devices are: as asked, or at their distances in directions that go round the BS."""
        if self.positions_m is not None:
            return self.positions_m
        return circle(self.distances_m or (), self.device_height_m)

    def other_places(self) -> tuple[Point, ...]:
        """Where the other users are."""
        distances_m = self.other_users_distances_m or self.spread(self.other_users)
        return circle([distances_m[i % len(distances_m)] for i in range(self.other_users)], self.device_height_m)


def geometric(devices: int, nearest_m: float, farthest_m: float) -> tuple[float, ...]:
    """Distances in m from near to far, each the same factor beyond the one before."""
    ratio = farthest_m / nearest_m
    return tuple(nearest_m * ratio ** (i / max(devices - 1, 1)) for i in range(devices))
