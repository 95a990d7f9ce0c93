# SPDX-License-Identifier: GPL-2.0-only
"""What `Scenario.build` makes, and what a network must be so that transfers can go over it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import inf, isfinite
from typing import Any

from bridge.network import Site

Powers = tuple[float, float]


class ScriptError(Exception):
    """A mistake in a scenario, in words of ours; told by the script's line as all that a script raises."""


@dataclass(frozen=True)
class Device:
    """A device: its name, its `ns.Node`, and the `ns.Ipv4Address` at which it is reached.

    `air_w`: the power in W that the BS radiates to it at most, and it itself; None where that is not known.
    Raises `ScriptError` for what is none of these.
    """

    name: str
    node: Any
    address: Any
    air_w: Powers | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ScriptError(f"a Device's name is a text, not {self.name!r}")
        _check_node(self.name, self.node)
        _check_address(f"the address of {self.name}", self.address)
        if self.air_w is not None and not (len(self.air_w) == 2 and all(0 <= watts < inf for watts in self.air_w)):
            raise ScriptError(f"air_w of {self.name} is two powers in W, down and up, not {self.air_w!r}")


@dataclass(frozen=True)
class Topology:
    """What `Scenario.build` made.

    `edge_server` is the `ns.Node` beside the BS that sends hidden states and gathers the answers, at the
    `ns.Ipv4Address` `edge_address`. `radio` is the `ns.cosim.Radio` that knows whether a device is connected, how
    its link is, and how to drop what waits below IP; None for a network that has nothing to say: always connected,
    nothing measured, no queue below the ones of its net devices. `others` are users that carry no experts.
    `apply_shares` gives each device, in their order, its share of the band from now on, or for None leaves the band to
    the radio's own scheduler again; it is called at the begin of an exchange. None if this radio cannot.
    `bandwidth_hz` is that of a radio which all devices share, down and up. `keep` is whatever else must live as
    long as the network: helpers, and Python callables that C++ will call. `ready` is asked every 10 ms of virtual time,
    for `Scenario.attach_s` at most, whether the network has settled, say whether its routes are there. `nodes`
    are further ones, by the names that `outputs` call them. `sites` say where base stations stand, those of the network
    first, in the order of its cells, for maps alone.

    Raises `ScriptError` for what cannot be a network: no devices, two that share a name, a node or an address, or a
    node that has no such address.
    """

    edge_server: Any
    edge_address: Any
    devices: Sequence[Device]
    radio: Any = None
    others: Sequence[Device] = ()
    apply_shares: Callable[[Sequence[float] | None], None] | None = None
    bandwidth_hz: tuple[float, float] | None = None
    keep: Any = None
    ready: Callable[[], bool] | None = None
    nodes: Mapping[str, Any] = field(default_factory=dict)
    sites: Sequence[Site] = ()

    def __post_init__(self) -> None:
        _check_node("the edge server", self.edge_server)
        _check_address("edge_address", self.edge_address)
        if not self.devices:
            raise ScriptError("a Topology without devices: name at least one")
        users = (*self.devices, *self.others)
        for user in users:
            if not isinstance(user, Device):
                raise ScriptError(f"a Topology's devices and others are Device(name, node, address), not {user!r}")
        _check_unlike(users, self.edge_server)
        _check_reached("the edge server", self.edge_server, self.edge_address)
        for user in users:
            _check_reached(user.name, user.node, user.address)
        for what in ("ready", "apply_shares"):
            if getattr(self, what) is not None and not callable(getattr(self, what)):
                raise ScriptError(f"a Topology's {what} is a function, not {getattr(self, what)!r}")
        for name, node in self.nodes.items():
            _check_node(name, node)
        for site in self.sites:
            _check_site(site)
        _check_names([*(user.name for user in users), *self.nodes])


def _check_node(whose: str, node: Any) -> None:
    if not hasattr(node, "GetNDevices") or not node:
        raise ScriptError(f"the node of {whose} is an ns.Node, not {_described(node)}; NodeContainer.Get(i) gives one")


def _check_site(site: Any) -> None:
    if not isinstance(site, Site):
        raise ScriptError(f"a Topology's sites are Site(x_m, y_m, z_m), not {site!r}")
    figures = (site.x_m, site.y_m, site.z_m, *site.azimuths_deg)
    if not all(isinstance(figure, (int, float)) and isfinite(figure) for figure in figures):
        raise ScriptError(f"{site!r} has a place or an azimuth that is no finite number")


def _check_address(what: str, address: Any) -> None:
    if isinstance(address, str):
        raise ScriptError(f'{what} is an ns.Ipv4Address, not a text; write ns.Ipv4Address("{address}")')
    if getattr(type(address), "__cpp_name__", "") != "ns3::Ipv4Address":
        hint = "interfaces.GetAddress(i), of what Ipv4AddressHelper.Assign returned, gives one"
        raise ScriptError(f"{what} is an ns.Ipv4Address, not {_described(address)}; {hint}")


def _described(thing: Any) -> str:
    name = getattr(type(thing), "__cpp_name__", None)
    if name is None:
        return f"the {type(thing).__name__} {thing!r}"
    name = re.sub(r"ns3::Ptr<(.*)>", r"\1", name).replace("ns3::", "ns.")
    return f"an {name}" if thing else f"a null pointer to an {name}"


def _check_unlike(users: Iterable[Device], server: Any) -> None:
    numbers, places = {int(server.GetId()): "the edge server"}, dict[str, str]()
    for user in users:
        other = numbers.setdefault(int(user.node.GetId()), user.name)
        if other != user.name:
            raise ScriptError(f"{user.name} is on the node of {other}; each needs a node of its own")
        other = places.setdefault(str(user.address), user.name)
        if other != user.name:
            raise ScriptError(f"{user.name} and {other} have one address, {user.address}; each needs its own")


def _check_reached(whose: str, node: Any, address: Any) -> None:
    import cppyy  # noqa: PLC0415  (in the ns-3 process, where a node can be)

    stack = node.GetObject[cppyy.gbl.ns3.Ipv4]()
    if not stack:
        raise ScriptError(f"the node of {whose} has no internet stack; InternetStackHelper installs one")
    if stack.GetInterfaceForAddress(address) < 0:
        raise ScriptError(f"the node of {whose} does not have the address {address}; name one of its own")


def _check_names(names: Sequence[str]) -> None:
    for one, other in combinations(sorted(names), 2):
        if one == other:
            raise ScriptError(f"two are called {one}; give each a name of its own, by which tables and files know it")
