# SPDX-License-Identifier: GPL-2.0-only
"""5G NR with several cells on one carrier, each with a stack of its own, that interfere with what they send."""

import math
from functools import partial
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from bridge.network import RequestError, Site

from ..scenario import Topology, fill
from ..world import streams
from ..world.movement import Point, stand
from . import neighbour_sites, nr_link_level, propagation, several_cells
from .nr_network import ANY_DEVICES, MOST_DEVICES, NrNetwork, apply_shares

DEVICE_HEIGHT_M = 1.5
DOWNTILT_DEG = 12.0  # as with one cell and neighbours


class NrMulticell(NrNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three to seven 5G NR cells on one carrier.

    `cells`: how many, each with a gNB: one at x = y = 0, the others around it on the hexagonal grid.
    `inter_site_distance_m`: from each gNB to the next (default: 200; uma 500, rma 1732).
    `devices`: how many (default: as many as positions are given, else 8).
    `positions_m`: x, y, z of each device (default: spread over the cells). Other users of `background` are spread
    likewise.
    """

    name: ClassVar[str] = "nr-multicell"

    cells: Annotated[int, Meta(ge=3, le=7)] = 3
    inter_site_distance_m: Annotated[float, Meta(ge=30, le=100_000)] | None = None
    devices: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None

    def __post_init__(self) -> None:
        if self.positions_m is not None and self.devices not in (None, len(self.positions_m)):
            raise RequestError("radio.devices", f"{self.devices} devices, but {len(self.positions_m)} are placed")
        if self.positions_m is None:
            fill(self, positions_m=self._spread(self.devices or 8))
        places_m = self.positions_m or ()
        fill(self, devices=len(places_m))
        if len(places_m) + self.other_users > MOST_DEVICES:
            users = f"{len(places_m)} devices and {self.other_users} other users"
            raise RequestError("radio.background", f"{users}; there is room for {MOST_DEVICES}")
        nearest_m = min(math.dist(site, place[:2]) for site in self.sites() for place in places_m)
        if nearest_m < (least_m := propagation.LEAST_DISTANCE_M.get(self.path_loss, 0.0)):
            raise RequestError("radio.positions_m", f"{nearest_m:g} m, but path_loss holds from {least_m:g} m on")
        self.check_radio()

    def build(self, ns: Any) -> Topology:
        server, core, gnbs = ns.NodeContainer(1), ns.NodeContainer(1), ns.NodeContainer(self.cells)
        nodes, others = ns.NodeContainer(self.devices), ns.NodeContainer(self.other_users)
        users = ns.NodeContainer(nodes, others)
        stand(ns, gnbs, [(x, y, self.height_m) for x, y in self.sites()])
        self.stand_or_move(ns, nodes, self.positions_m or (), others, self._spread(self.other_users, math.pi))
        ns.InternetStackHelper().Install(ns.NodeContainer(server, core, users))
        helper = ns.cosim.NrHelper()
        kept = self.configure(ns, helper, DOWNTILT_DEG if self._is_sectored() else None)
        helper.SetTiming(self.timing_settings(ns, self.distance_m))
        ends = helper.InstallCells(gnbs, core.Get(0), users, nr_link_level.error_model(ns))
        helper.AssignStreams(streams.NR[0])
        cells = helper.GetCells()
        made = self.address(ns, users, ends)
        edge_address = self.connect_core(ns, server.Get(0), core.Get(0))
        radio = ns.CreateObject[ns.cosim.NrRadio]()
        radio.SetAttribute("CoreDelay", ns.StringValue(f"{self.core_delay_s!r}s"))
        radio.SetCells(cells, nodes.GetN())
        azimuths_deg = neighbour_sites.AZIMUTHS_DEG if self._is_sectored() else ()
        return Topology(
            server.Get(0),
            edge_address,
            made[: nodes.GetN()],
            radio,
            made[nodes.GetN() :],
            partial(apply_shares, cells),
            bandwidth_hz=(self.band_hz, self.band_hz),
            keep=(cells, kept),
            sites=[Site(x, y, self.height_m, azimuths_deg) for x, y in self.sites()],
        )

    @property
    def distance_m(self) -> float:
        """From each gNB to the next."""
        by_default = neighbour_sites.INTER_SITE_DISTANCE_M
        return self.inter_site_distance_m or by_default.get(self.path_loss, by_default["umi"])

    def sites(self) -> list[tuple[float, float]]:
        """x and y of each gNB in m, in the order of the cells."""
        around_m = neighbour_sites.grid(self.cells - 1, self.distance_m, self.height_m)
        return [(0.0, 0.0), *((x, y) for x, y, _ in around_m)]

    def _is_sectored(self) -> bool:
        """Whether gNBs are sites of three sectors, as they are where a single cell has neighbours by default."""
        return self.path_loss in neighbour_sites.INTER_SITE_DISTANCE_M

    def _spread(self, devices: int, first_turn: float = 0.0) -> tuple[Point, ...]:
        return several_cells.spread(self.sites(), self.distance_m, devices, DEVICE_HEIGHT_M, first_turn)
