# SPDX-License-Identifier: GPL-2.0-only
"""Mixed: some devices on LTE, some on Wi-Fi, and one edge server."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from bridge.network import RequestError

from ..scenario import Positive, Scenario, Topology, fill
from .lte import Lte
from .lte_network import ANY_DEVICES as ANY_LTE_DEVICES
from .lte_network import MOST_DEVICES as MOST_LTE_DEVICES
from .neighbour_sites import Neighbours
from .wifi import ANY_DEVICES as ANY_WIFI_DEVICES
from .wifi import MOST_DEVICES as MOST_WIFI_DEVICES
from .wifi import Wifi

DEVICES = 4  # of each kind, if nothing says how many

Part = TypeVar("Part", Lte, Wifi)


class Mixed(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An LTE cell and a Wi-Fi cell with one edge server, LTE's devices first.

    `lte_devices`, `wifi_devices`: how many of each kind (default: as many as there are distances, else 4).
    `lte_distances_m`: of each device from the base station (default: 20 to 100 m, geometric).
    `lte_profile`, `lte_path_loss`, `lte_line_of_sight`, `lte_core_delay_s`: as the `lte` scenario's parameters without
    the prefix.
    `lte_shadowing_sigma_db`, `lte_neighbours`: likewise.
    `wifi_distances_m`: of each device from the access point (default: 2 to 10 m, evenly).
    `wifi_channel_width_mhz`, `wifi_mcs`: as the `wifi` scenario's parameters without the prefix.
    """

    name: ClassVar[str] = "mixed"
    modules: ClassVar[Sequence[str]] = (*Lte.modules, *Wifi.modules)
    headers: ClassVar[Sequence[str]] = (
        *Lte.headers,
        *Wifi.headers,
        "ns3/ipv4-static-routing-helper.h",
        "mixed-radio.h",
    )
    attach_s: ClassVar[float] = max(Lte.attach_s, Wifi.attach_s)

    transport: Literal["udp", "tcp"] = "tcp"
    lte_devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_LTE_DEVICES)] | None = None
    lte_distances_m: Annotated[tuple[Positive, ...], ANY_LTE_DEVICES] | None = None
    lte_profile: Literal["20mhz", "20mhz-2x2", "100mhz-2x2"] = "20mhz"
    lte_path_loss: Literal["umi", "uma", "log-distance", "friis"] = "umi"
    lte_line_of_sight: Literal["random", "always", "never"] = "random"
    lte_shadowing_sigma_db: Annotated[float, msgspec.Meta(ge=0, le=30)] | None = None
    lte_core_delay_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    lte_neighbours: Neighbours | None = None
    wifi_devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_WIFI_DEVICES)] | None = None
    wifi_distances_m: Annotated[tuple[Positive, ...], ANY_WIFI_DEVICES] | None = None
    wifi_channel_width_mhz: Literal[20, 40, 80, 160] = 80
    wifi_mcs: Annotated[int, msgspec.Meta(ge=0, le=11)] | None = None

    def __post_init__(self) -> None:
        cellular, local = self._part(Lte), self._part(Wifi)
        fill(
            self, lte_devices=cellular.devices, lte_distances_m=cellular.distances_m, lte_neighbours=cellular.neighbours
        )
        fill(self, wifi_devices=local.devices, wifi_distances_m=local.distances_m)

    def build(self, ns: Any) -> Topology:
        cellular = self._part(Lte).build(ns)
        local = self._part(Wifi).connect(ns, cellular.edge_server)
        radio, routing = ns.CreateObject[ns.cosim.MixedRadio](), ns.Ipv4StaticRoutingHelper()
        for part in (cellular, local):
            for i in range(len(part.devices)):
                radio.AddDevice(part.radio, i)
        for device in local.devices:  # the edge server's address is on LTE's side of it
            routing.GetStaticRouting(device.node.GetObject[ns.Ipv4]()).SetDefaultRoute(local.edge_address, 1)
        devices = [*cellular.devices, *local.devices]
        keep, sites = (cellular, local), [*cellular.sites, *local.sites]
        return Topology(cellular.edge_server, cellular.edge_address, devices, radio, keep=keep, sites=sites)

    def _part(self, kind: type[Part]) -> Part:
        """The scenario of one kind alone, with the parameters that have its name in front."""
        prefix = f"{kind.name}_"
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name.startswith(prefix)}
        parameters = {name.removeprefix(prefix): value for name, value in given.items()}
        if parameters["distances_m"] is None:
            parameters["devices"] = parameters["devices"] or DEVICES
        try:
            return kind(movement=self.movement, **parameters)
        except RequestError as error:
            raise RequestError(error.field.replace("radio.", f"radio.{prefix}"), error.reason) from None
