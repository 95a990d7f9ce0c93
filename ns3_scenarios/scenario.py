# SPDX-License-Identifier: GPL-2.0-only
"""What a radio scenario is: typed parameters, and a network built from them with ns-3.

A scenario says which node is the edge server and which are the devices. All else, the transfers, the clock,
cancelling, determinism, comes from `ns3_scenarios.simulation`, the same for every radio.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec

from bridge.network import RequestError

from . import movement as motion
from .contrib import Contrib
from .movement import Movement, Point

Positive = Annotated[float, msgspec.Meta(gt=0)]


@dataclass(frozen=True)
class Device:
    """A device: its name, its `ns.Node`, and the `ns.Ipv4Address` at which it is reached."""

    name: str
    node: Any
    address: Any


@dataclass(frozen=True)
class Topology:
    """What `Scenario.build` made.

    `edge_server` is the `ns.Node` beside the BS that sends hidden states and gathers the answers, at the
    `ns.Ipv4Address` `edge_address`. `radio` is the `ns.cosim.Radio` that knows whether a device is
    connected, how its link is, and how to drop what waits below IP; None for a network that has nothing to
    say: always connected, nothing measured, no queue below the ones of its net devices. `others` are users
    that carry no experts. `apply_shares` gives each device, in their order, its share of the band from now on; None
    if this radio cannot. `keep` is whatever else must live as long as the network: helpers, and Python
    callables that C++ will call.
    """

    edge_server: Any
    edge_address: Any
    devices: Sequence[Device]
    radio: Any = None
    others: Sequence[Device] = ()
    apply_shares: Callable[[Sequence[float]], None] | None = None
    keep: Any = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all scenarios. The fields of a subclass are its parameters, with their units in their names.

    A subclass names the ns-3 `modules` whose libraries it uses and the `headers` whose classes it names, and
    defines `build`. Its docstring says what it is in the first line and explains each parameter in a paragraph that
    begins with the name, as here; `cosim scenarios` shows both. Constraints stand in the annotations
    (`Annotated[float, msgspec.Meta(gt=0)]`); what spans several fields is checked in `__post_init__`, which raises
    `RequestError("radio.FIELD", reason)`.

    `transport`: "udp", where what is dropped is lost, or "tcp", which sends it again.
    `movement`: how the devices move; unset, they stay where they are.
    """

    name: ClassVar[str]
    """What the record calls it; the class's name if it says nothing."""
    modules: ClassVar[Sequence[str]] = ("internet",)
    headers: ClassVar[Sequence[str]] = ()
    contrib: ClassVar[Sequence[Contrib]] = ()
    """ns-3 modules of the user's own (docs/contrib.md)."""
    attach_s: ClassVar[float] = 0.0
    """How long, at most, `Simulation` lets the network run until every device is connected."""

    transport: Literal["udp", "tcp"] = "udp"
    movement: Movement | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def build(self, ns: Any) -> Topology:
        """Build the network with ns-3 and say what is what. The virtual time is 0."""
        raise NotImplementedError

    def place(self, ns: Any, nodes: Any, places_m: Sequence[Point]) -> None:
        """For `build`: put the devices, a `NodeContainer`, where they are, or begin if there is `movement`."""
        if self.movement is None:
            motion.stand(ns, nodes, places_m)
        else:
            motion.move(ns, nodes, places_m, self.movement)

    @classmethod
    def parse(cls, parameters: Mapping[str, Any]) -> Self:
        """Make a scenario of plain values. Raises `RequestError` naming `radio.FIELD`, or as `__post_init__` did."""
        for name, value in parameters.items():
            _refuse_infinite(f"radio.{name}", value)
        try:
            return msgspec.convert(dict(parameters), cls)
        except msgspec.ValidationError as error:
            if error.__cause__ is not None:
                raise error.__cause__ from None
            raise _named(error) from None


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
    if isinstance(value, (list, tuple)):
        for item in value:
            _refuse_infinite(field, item)


def _named(error: msgspec.ValidationError) -> RequestError:
    """Msgspec's message, with the field in front: "Expected `int` >= 1 - at `$.devices`"."""
    message = str(error)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
    if unknown:
        return RequestError(f"radio.{unknown[1]}", "no such parameter of this scenario")
    reason, _, place = message.partition(" - at `$")
    return RequestError("radio" + place.rstrip("`"), reason.replace("`", ""))
