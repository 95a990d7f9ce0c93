# SPDX-License-Identifier: GPL-2.0-only
"""What a radio scenario is: typed parameters, and a network built from them with ns-3.

A scenario says which node is the edge server and which are the devices. All else, the transfers, the clock,
cancelling, determinism, comes from `ns3_scenarios.simulation`, the same for every radio.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec

from bridge.names import misfit
from bridge.network import RequestError, Site

from .outputs import Output
from .topology import Device, Topology
from .wheel.contrib import Contrib
from .world import movement as motion
from .world.background import Load
from .world.life import Life
from .world.movement import Movement, Point

__all__ = ["Contrib", "Device", "Positive", "Scenario", "Site", "Topology", "create", "fill"]

Positive = Annotated[float, msgspec.Meta(gt=0)]

BUILD_LIMIT_S = 60.0
"""How long a script, and `build`, may take on this machine."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all scenarios. The fields of a subclass are its parameters, with their units in their names.

    A subclass names the ns-3 `modules` whose libraries it uses and the `headers` whose classes it names, and
    defines `build`. Its docstring says what it is in the first line and explains each parameter in a paragraph that
    begins with the name, as here; `cosim scenarios` shows both. Constraints stand in the annotations
    (`Annotated[float, msgspec.Meta(gt=0)]`); what spans several fields is checked in `__post_init__`, which raises
    `RequestError("radio.FIELD", reason)`.

    `transport`: "udp", where what is dropped is lost, or "tcp", which sends it again.
    `movement`: how the devices move, if `build` calls `place`; unset, they stay where they are.
    `life`: what befalls devices: absence, outage, battery, heat.
    `background`: loads of other users, or of devices beside their experts.
    `outputs`: files of ns-3's own to write, any of "pcap", "ascii", "netanim", "flow-monitor" and "statistics".
    """

    name: ClassVar[str]
    """What the record calls it; the class's name if it says nothing."""
    modules: ClassVar[Sequence[str]] = ("internet",)
    headers: ClassVar[Sequence[str]] = ()
    contrib: ClassVar[Sequence[Contrib]] = ()
    """ns-3 modules of the user's own (docs/scripts/contrib.md)."""
    attach_s: ClassVar[float] = 0.0
    """How long, at most, `Simulation` lets the network run until every device is connected and `Topology.ready` says
    so; where all are connected from the beginning and there is no `ready`, just so long."""
    build_limit_s: ClassVar[float] = BUILD_LIMIT_S
    """How long, in wall-clock seconds, `build` may take before it counts as an endless loop."""

    transport: Literal["udp", "tcp"] = "udp"
    movement: Movement | None = None
    life: tuple[Life, ...] = ()
    background: tuple[Load, ...] = ()
    outputs: tuple[Output, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def build(self, ns: Any) -> Topology:
        """Build the network with ns-3 and say what is what. The virtual time is 0."""
        raise NotImplementedError

    @property
    def other_users(self) -> int:
        """For `build`: how many other users `background` needs, to be made and returned as `Topology.others`."""
        return sum(load.other_users for load in self.background)

    def place(self, ns: Any, nodes: Any, places_m: Sequence[Point]) -> None:
        """For `build`: put devices, a `NodeContainer`, where they are or, with `movement`, begin: x, y, z in m each."""
        if self.movement is None:
            motion.stand(ns, nodes, places_m)
        else:
            motion.move(ns, nodes, places_m, self.movement)

    def inputs(self) -> Sequence[Path]:
        """Files of the scenario's own that outcomes depend on; what is in them is part of the record of versions."""
        return ()

    @classmethod
    def parse(cls, parameters: Mapping[str, Any]) -> Self:
        """Make a scenario of plain values. Raises `RequestError` naming `radio.FIELD`, or as `__post_init__` did."""
        for name, value in parameters.items():
            _refuse_infinite(f"radio.{name}", value)
        try:
            return msgspec.convert(dict(parameters), cls)
        except msgspec.ValidationError as error:
            raise _named(error, cls) from None


def fill(scenario: Scenario, **fields: Any) -> None:
    """Give fields their defaults where these follow from other fields; for `__post_init__` alone."""
    for name, value in fields.items():
        msgspec.structs.force_setattr(scenario, name, value)


def create(ns: Any, name: str, kind: Any) -> Any:
    """A new ns-3 object of the class that is registered as `name`, seen as a `kind`; no header needed for `name`."""
    factory = ns.ObjectFactory(name)
    return factory.Create[kind]()


def _refuse_infinite(field: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(field, f"{value} is not a finite number")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_infinite(f"{field}.{name}", item)
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _refuse_infinite(f"{field}[{i}]" if isinstance(item, Mapping) else field, item)


def _named(error: msgspec.ValidationError, kind: type[Scenario]) -> BaseException:
    """Msgspec's message "Expected `int` >= 1 - at `$.devices`" in a user's words, with the field in front.

    What a `__post_init__` raised stays as it is, but a `RequestError` of a table within the parameters, which cannot
    know where it stands, gets its place put before its field.
    """
    found = misfit(error, kind)
    place = "radio" + found.place
    cause = error.__cause__
    if isinstance(cause, RequestError) and not cause.field.startswith("radio"):
        return RequestError(f"{place}.{cause.field}", cause.reason)
    if cause is not None:
        return cause
    if found.unknown is not None:
        whole = "this scenario" if place == "radio" else place
        return RequestError(f"{place}.{found.unknown}", f"no such parameter of {whole}{found.hint}")
    missing = re.fullmatch(r"Object missing required field `(.*)`", found.reason)
    if missing:
        return RequestError(f"{place}.{missing[1]}", "is required")
    return RequestError(place, found.reason + found.hint)
