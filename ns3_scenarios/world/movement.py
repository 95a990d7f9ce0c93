# SPDX-License-Identifier: GPL-2.0-only
"""Where the nodes of a scenario are, and how they move."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from bridge.network import RequestError

from ..wheel import loader
from . import recorded_movement, streams
from .recorded_movement import Recording

Point = recorded_movement.Point

HEADERS = (
    "ns3/mobility-helper.h",
    "ns3/constant-velocity-mobility-model.h",
    "ns3/waypoint-mobility-model.h",
)
STREAMS_EACH = 5  # speed, pause, x, y, z

Velocity = Annotated[float, Meta(ge=-10_000, le=10_000)]
Speed = Annotated[float, Meta(ge=0.01, le=10_000)]
Pause = Annotated[float, Meta(ge=0, le=1e6)]
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Range = tuple[Coordinate, Coordinate]


class ConstantVelocity(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="constant-velocity"):
    """Each device goes on and on in a straight line from where the scenario places it.

    `velocities_mps`: x, y, z of each device's velocity.
    """

    model: ClassVar[str] = "ns3::ConstantVelocityMobilityModel"

    velocities_mps: tuple[tuple[Velocity, Velocity, Velocity], ...]


class RandomWaypoint(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="random-waypoint"):
    """Each device pauses, goes straight to a random point in a rectangle or box, and so on, by ns-3's own model.

    `x_m`, `y_m`: from and to, of the rectangle in which the points lie.
    `z_m`: from and to, of their heights; unset, each device keeps its own.
    `speed_mps`: least and greatest; one is drawn for each way.
    `pause_s`: least and greatest; one is drawn at the beginning and at each point.
    """

    model: ClassVar[str] = "ns3::RandomWaypointMobilityModel"

    x_m: Range
    y_m: Range
    speed_mps: tuple[Speed, Speed]
    z_m: Range | None = None
    pause_s: tuple[Pause, Pause] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for field in ("x_m", "y_m", "z_m", "speed_mps", "pause_s"):
            low, high = getattr(self, field) or (0, 0)
            if low > high:
                raise RequestError(field, f"{low:g} is above {high:g}; give the least first")
        if self.x_m[0] == self.x_m[1] and self.y_m[0] == self.y_m[1]:
            raise RequestError("x_m", "a rectangle that is one point leaves nowhere to go")


class Csv(Recording, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="csv"):
    """Devices follow a recording: straight from row to row, standing before their first and after their last.

    `file`: CSV with the columns time_s, device, x_m, y_m and, if heights are recorded, z_m; device by index or name,
    or one of `nodes`. A device without a row stays where the scenario places it.
    """

    model: ClassVar[str] = "ns3::WaypointMobilityModel"


class Ns2(Recording, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ns2"):
    """Devices follow a movement trace of ns-2: `$node_(0)` is the first device, or the first of `nodes`.

    `file`: `set X_`, `set Y_`, `set Z_` and `setdest` lines, as setdest, BonnMotion and SUMO write them. Heights in it
    are above that at which the scenario places the device.
    """

    model: ClassVar[str] = "ns3::WaypointMobilityModel"


Movement = ConstantVelocity | RandomWaypoint | Csv | Ns2


def circle(distances_m: Sequence[float], height_m: float) -> tuple[Point, ...]:
    """Points at these distances from x = y = 0, in directions that go evenly round it."""
    turns = [2 * math.pi * i / len(distances_m) for i in range(len(distances_m))]
    return tuple((d * math.cos(t), d * math.sin(t), height_m) for d, t in zip(distances_m, turns, strict=True))


def stand(ns: Any, nodes: Any, places_m: Sequence[Point]) -> None:
    """Put the nodes of a `NodeContainer` where they stay: x, y, z in m."""
    _check_places(nodes, places_m)
    loader.load(["mobility"], HEADERS)
    mobility = ns.MobilityHelper()  # takes random streams, so that another way would change all draws after it
    mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
    mobility.Install(nodes)
    for i, place in enumerate(places_m):
        nodes.Get(i).GetObject[ns.MobilityModel]().SetPosition(ns.Vector(*place))


def stand_in_fading(ns: Any, nodes: Any, places_m: Sequence[Point], speed_mps: float) -> None:
    """Put nodes where they stay, x, y, z in m each, while all around moves: the speed is that of the Doppler shift."""
    mobility = ns.MobilityHelper()
    velocity = ns.VectorValue(ns.Vector(speed_mps, 0.0, 0.0))
    mobility.SetMobilityModel("ns3::cosim::DopplerMobilityModel", "DopplerVelocity", velocity)
    mobility.Install(nodes)
    for i, place in enumerate(places_m):
        nodes.Get(i).GetObject[ns.MobilityModel]().SetPosition(ns.Vector(*place))


def move(ns: Any, nodes: Any, places_m: Sequence[Point], movement: Movement) -> None:
    """Put the nodes where they begin, x, y, z in m, and stay until `start` lets them move."""
    _check_places(nodes, places_m)
    loader.load(["mobility"], HEADERS)
    factory = ns.ObjectFactory(movement.model)
    for i, place in enumerate(places_m):
        model = factory.Create[ns.MobilityModel]()
        if isinstance(movement, RandomWaypoint):  # whose own pause of 2 s would end where no way is known yet
            model.SetAttribute("Pause", ns.StringValue("ns3::ConstantRandomVariable[Constant=1e9]"))
        model.Initialize()  # before it has a place: a random waypoint model would set out twice otherwise
        model.SetPosition(ns.Vector(*place))
        nodes.Get(i).AggregateObject(model)


def _check_places(nodes: Any, places_m: Sequence[Point]) -> None:
    if nodes.GetN() != len(places_m):
        raise ValueError(f"{nodes.GetN()} nodes, but {len(places_m)} places")


def start(ns: Any, names: Sequence[str], nodes: Sequence[Any], movement: Movement) -> None:
    """Let devices move that `move` has put in their places.

    Raises `RequestError` for movement that does not fit the devices, a bad file, or devices that were not placed.
    """
    loader.load(["mobility"], HEADERS)
    models = [node.GetObject[ns.MobilityModel]() for node in nodes]
    for name, model in zip(names, models, strict=True):
        if not model or model.GetInstanceTypeId().GetName() != movement.model:
            reason = f"{name} cannot move, since the scenario's build does not call self.place for it"
            raise RequestError("radio.movement", reason)
    places_m = [(at.x, at.y, at.z) for at in (model.GetPosition() for model in models)]
    match movement:
        case ConstantVelocity():
            if len(movement.velocities_mps) != len(nodes):
                reason = f"{len(movement.velocities_mps)} velocities for {len(nodes)} devices"
                raise RequestError("radio.movement.velocities_mps", reason)
            for node, velocity in zip(nodes, movement.velocities_mps, strict=True):
                node.GetObject[ns.ConstantVelocityMobilityModel]().SetVelocity(ns.Vector(*velocity))
        case RandomWaypoint():
            for i, model in enumerate(models):
                _wander(ns, model, movement, places_m[i][2], streams.MOVEMENT[i * STREAMS_EACH])
        case Csv():
            _follow(ns, nodes, recorded_movement.read_csv(movement, names, places_m))
        case Ns2():
            _follow(ns, nodes, recorded_movement.read_ns2(movement, places_m))


def files(movement: Movement | None) -> list[Path]:
    """The recording that devices follow, if they do."""
    return [Path(movement.file)] if isinstance(movement, Csv | Ns2) else []


def _wander(ns: Any, model: Any, movement: RandomWaypoint, height_m: float, stream: int) -> None:
    points = ns.ObjectFactory("ns3::RandomBoxPositionAllocator").Create[ns.PositionAllocator]()
    for axis, span in (("X", movement.x_m), ("Y", movement.y_m), ("Z", movement.z_m or (height_m, height_m))):
        points.SetAttribute(axis, _uniform(ns, span))
    model.SetAttribute("PositionAllocator", ns.PointerValue(points))
    model.SetAttribute("Speed", _uniform(ns, movement.speed_mps))
    model.SetAttribute("Pause", _uniform(ns, movement.pause_s))
    model.AssignStreams(stream)


def _uniform(ns: Any, span: tuple[float, float]) -> Any:
    return ns.StringValue(f"ns3::UniformRandomVariable[Min={span[0]!r}|Max={span[1]!r}]")


def _follow(ns: Any, nodes: Sequence[Any], tracks: Sequence[recorded_movement.Track]) -> None:
    for node, track in zip(nodes, tracks, strict=True):
        model = node.GetObject[ns.WaypointMobilityModel]()
        for time_ns, point in track:
            model.AddWaypoint(ns.Waypoint(ns.NanoSeconds(time_ns), ns.Vector(*point)))
