# SPDX-License-Identifier: GPL-2.0-only
"""Mixed: some devices on LTE, some on Wi-Fi, some on 5G NR, and one edge server."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from bridge.network import RequestError

from ..scenario import Positive, Scenario, Topology, fill
from ..world import streams
from .lte import Lte
from .lte_network import ANY_DEVICES as ANY_LTE_DEVICES
from .lte_network import MOST_DEVICES as MOST_LTE_DEVICES
from .neighbour_sites import Neighbours
from .nr import Nr
from .nr_network import ANY_DEVICES as ANY_NR_DEVICES
from .nr_network import MOST_DEVICES as MOST_NR_DEVICES
from .nr_timing import Profile
from .propagation import PathLoss, Sight
from .wifi import ANY_DEVICES as ANY_WIFI_DEVICES
from .wifi import MOST_DEVICES as MOST_WIFI_DEVICES
from .wifi import Wifi

DEVICES: dict[type[Scenario], int] = {Lte: 4, Wifi: 4, Nr: 0}  # of each kind, if nothing says how many

NR_NEIGHBOURS = streams.NEIGHBOURS[len(streams.NEIGHBOURS) // 2]  # LTE's begin with the first

Part = TypeVar("Part", Lte, Wifi, Nr)


class Mixed(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An LTE cell, a Wi-Fi cell and a 5G NR cell with one edge server; devices in this order.

    `lte_devices`, `wifi_devices`, `nr_devices`: how many of each kind (default: as many as there are distances, else 4,
    of NR 0); where there are none of a kind there is no cell of it.
    `lte_distances_m`: of each device from the base station (default: 20 to 100 m, geometric).
    `lte_profile`, `lte_path_loss`, `lte_line_of_sight`, `lte_core_delay_s`: as the `lte` scenario's parameters without
    the prefix.
    `lte_shadowing_sigma_db`, `lte_neighbours`: likewise.
    `wifi_distances_m`: of each device from the access point (default: 2 to 10 m, evenly).
    `wifi_channel_width_mhz`, `wifi_mcs`: as the `wifi` scenario's parameters without the prefix.
    `nr_distances_m`: of each device from the gNB (default: 20 to 100 m, geometric).
    `nr_frequency_hz`, `nr_bandwidth_mhz`, `nr_numerology`, `nr_pattern`, `nr_timing`: as the `nr` scenario's parameters
    without the prefix.
    `nr_path_loss`, `nr_line_of_sight`, `nr_shadowing_sigma_db`, `nr_fading`, `nr_core_delay_s`: likewise.
    `nr_neighbours`: likewise.
    """

    name: ClassVar[str] = "mixed"
    modules: ClassVar[Sequence[str]] = tuple(dict.fromkeys((*Lte.modules, *Wifi.modules, *Nr.modules)))
    headers: ClassVar[Sequence[str]] = tuple(
        dict.fromkeys(
            (
                *Lte.headers,
                *Wifi.headers,
                *Nr.headers,
                "ns3/ipv4-static-routing-helper.h",
                "mixed-radio.h",
            )
        )
    )
    attach_s: ClassVar[float] = max(Lte.attach_s, Wifi.attach_s, Nr.attach_s)

    transport: Literal["udp", "tcp"] = "tcp"
    lte_devices: Annotated[int, msgspec.Meta(ge=0, le=MOST_LTE_DEVICES)] | None = None
    lte_distances_m: Annotated[tuple[Positive, ...], ANY_LTE_DEVICES] | None = None
    lte_profile: Literal["20mhz", "20mhz-2x2", "100mhz-2x2"] = "20mhz"
    lte_path_loss: Literal["umi", "uma", "log-distance", "friis"] = "umi"
    lte_line_of_sight: Literal["random", "always", "never"] = "random"
    lte_shadowing_sigma_db: Annotated[float, msgspec.Meta(ge=0, le=30)] | None = None
    lte_core_delay_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    lte_neighbours: Neighbours | None = None
    wifi_devices: Annotated[int, msgspec.Meta(ge=0, le=MOST_WIFI_DEVICES)] | None = None
    wifi_distances_m: Annotated[tuple[Positive, ...], ANY_WIFI_DEVICES] | None = None
    wifi_channel_width_mhz: Literal[20, 40, 80, 160] = 80
    wifi_mcs: Annotated[int, msgspec.Meta(ge=0, le=11)] | None = None
    nr_devices: Annotated[int, msgspec.Meta(ge=0, le=MOST_NR_DEVICES)] | None = None
    nr_distances_m: Annotated[tuple[Positive, ...], ANY_NR_DEVICES] | None = None
    nr_frequency_hz: Annotated[float, msgspec.Meta(ge=0.5e9, le=100e9)] = 3.5e9
    nr_bandwidth_mhz: int = 100
    nr_numerology: int = 1
    nr_pattern: str = "DDDSU"
    nr_timing: Profile = "specification"
    nr_path_loss: PathLoss = "umi"
    nr_line_of_sight: Sight = "random"
    nr_shadowing_sigma_db: Annotated[float, msgspec.Meta(ge=0, le=30)] | None = None
    nr_fading: bool | None = None
    nr_core_delay_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    nr_neighbours: Neighbours | None = None

    def __post_init__(self) -> None:
        cellular, local, new = self._parts()
        if not (cellular or local or new):
            raise RequestError("radio.lte_devices", "there are no devices of any kind; give at least one")
        fill(self, lte_devices=0, wifi_devices=0, nr_devices=0)
        if cellular:
            fill(self, lte_devices=cellular.devices, lte_distances_m=cellular.distances_m)
            fill(self, lte_neighbours=cellular.neighbours)
        if local:
            fill(self, wifi_devices=local.devices, wifi_distances_m=local.distances_m)
        if new:
            fill(self, nr_devices=new.devices, nr_distances_m=new.distances_m)
            fill(self, nr_fading=new.fading, nr_neighbours=new.neighbours)

    def build(self, ns: Any) -> Topology:
        cellular, local, new = self._parts()
        made: list[Topology] = []
        if cellular:
            made.append(cellular.build(ns))
        server = made[0].edge_server if made else ns.CreateObject[ns.Node]()
        if local:
            made.append(local.connect(ns, server))
            routing = ns.Ipv4StaticRoutingHelper()
            for device in made[-1].devices:  # the edge server's address may be on another side of it
                stack = device.node.GetObject[ns.Ipv4]()
                routing.GetStaticRouting(stack).SetDefaultRoute(made[-1].edge_address, 1)
        if new:
            built = new.connect(ns, server, NR_NEIGHBOURS)
            named = [replace(device, name=f"nr{i}") for i, device in enumerate(built.devices)]
            made.append(replace(built, devices=named))
        radio = ns.CreateObject[ns.cosim.MixedRadio]()
        for part in made:
            for i in range(len(part.devices)):
                radio.AddDevice(part.radio, i)
        devices = [device for part in made for device in part.devices]
        sites = [site for part in made for site in part.sites]
        return Topology(server, made[0].edge_address, devices, radio, keep=made, sites=sites)

    def _parts(self) -> tuple[Lte | None, Wifi | None, Nr | None]:
        return self._part(Lte), self._part(Wifi), self._part(Nr)

    def _part(self, kind: type[Part]) -> Part | None:
        """The scenario of one kind alone, with the parameters that have its name in front; None without devices."""
        prefix = f"{kind.name}_"
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name.startswith(prefix)}
        devices, distances_m = given[f"{prefix}devices"], given[f"{prefix}distances_m"]
        if devices is None and distances_m is None:
            given[f"{prefix}devices"] = DEVICES[kind]
            if not DEVICES[kind]:
                self._check_left_alone(prefix)
        if given[f"{prefix}devices"] == 0:
            if distances_m is not None:
                raise RequestError(f"radio.{prefix}devices", f"0 devices, but {len(distances_m)} are placed")
            return None
        parameters = {name.removeprefix(prefix): value for name, value in given.items()}
        try:
            return kind(movement=self.movement, **parameters)
        except RequestError as error:
            raise RequestError(error.field.replace("radio.", f"radio.{prefix}"), error.reason) from None

    def _check_left_alone(self, prefix: str) -> None:
        """Raise `RequestError` if there are parameters of a kind that nobody asked for."""
        for field in msgspec.structs.fields(self):
            if field.name.startswith(prefix) and getattr(self, field.name) != field.default:
                reason = f"of a cell that has no devices; give {prefix}devices or {prefix}distances_m"
                raise RequestError(f"radio.{field.name}", reason)
