# SPDX-License-Identifier: GPL-2.0-only
"""Where the nodes of a scenario are, and how they move."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.network import RequestError

Point = tuple[float, float, float]

HEADERS = ("ns3/mobility-helper.h", "ns3/constant-velocity-mobility-model.h")


class ConstantVelocity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="constant-velocity"
):
    """Each device goes on and on in a straight line. `velocities_mps`: x, y, z of each device's velocity."""

    velocities_mps: tuple[Point, ...]


Movement = ConstantVelocity


def circle(distances_m: Sequence[float], height_m: float) -> tuple[Point, ...]:
    """Points at these distances from x = y = 0, in directions that go evenly round it."""
    turns = [2 * math.pi * i / len(distances_m) for i in range(len(distances_m))]
    return tuple((d * math.cos(t), d * math.sin(t), height_m) for d, t in zip(distances_m, turns, strict=True))


def stand(ns: Any, nodes: Any, places_m: Sequence[Point]) -> None:
    """Put the nodes of a `NodeContainer` where they stay: x, y, z in m."""
    mobility = ns.MobilityHelper()
    mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
    mobility.Install(nodes)
    for i, place in enumerate(places_m):
        nodes.Get(i).GetObject[ns.MobilityModel]().SetPosition(ns.Vector(*place))


def move(ns: Any, nodes: Any, places_m: Sequence[Point], movement: Movement) -> None:
    """Put the nodes where they begin, x, y, z in m, and let them move."""
    if len(movement.velocities_mps) != nodes.GetN():
        reason = f"{len(movement.velocities_mps)} velocities for {nodes.GetN()} devices"
        raise RequestError("radio.movement.velocities_mps", reason)
    mobility = ns.MobilityHelper()
    mobility.SetMobilityModel("ns3::ConstantVelocityMobilityModel")
    mobility.Install(nodes)
    for i, (place, velocity) in enumerate(zip(places_m, movement.velocities_mps, strict=True)):
        model = nodes.Get(i).GetObject[ns.ConstantVelocityMobilityModel]()
        model.SetPosition(ns.Vector(*place))
        model.SetVelocity(ns.Vector(*velocity))
