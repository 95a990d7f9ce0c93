# SPDX-License-Identifier: GPL-2.0-only
"""LTE: one cell, its evolved packet core, the edge server beside the BS, and the devices."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from ..scenario import Positive, Topology, fill
from ..world import streams
from ..world.movement import Point
from . import neighbour_sites
from .lte_network import ANY_DEVICES, BAND_RB, DOWNLINK_HZ, MOST_DEVICES, PROFILES, LteNetwork
from .neighbour_sites import Neighbours
from .one_cell import OneCell, geometric

NEAREST_M = 20.0
FARTHEST_M = 100.0  # where sites stand 200 m apart, the cell ends hereabouts


class Lte(OneCell, LteNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One LTE cell, its evolved packet core, and its devices.

    `devices`: how many (default: as many as distances or positions are given, else 8).
    `distances_m`: of each device from the BS, on a circle around it (default: 20 to 100 m, geometric).
    `positions_m`: x, y, z of each device instead; the BS stands at x = y = 0, 25 m high for uma, else 10 m.
    `other_users_distances_m`: of the other users of `background` from the BS, taken in turn, in directions that go
    evenly round it; they stay there (default: 20 to 100 m, geometric).
    `neighbours`: sites around the cell, whose interference comes on top of the noise (default: with umi and uma 18
    of them, with the others none). With them the BS has the antennas of such a site, else one that is isotropic.
    """

    name: ClassVar[str] = "lte"
    headers: ClassVar[Sequence[str]] = (*LteNetwork.headers, "site-element.h", "sector-antenna.h", "lte-neighbours.h")
    most_devices: ClassVar[int] = MOST_DEVICES

    devices: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None
    other_users_distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    neighbours: Neighbours | None = None

    def __post_init__(self) -> None:
        self.count_devices()
        fill(self, neighbours=self.around())
        self.check_distances(self.least_distance_m)
        self.check_radio()

    @classmethod
    def spread(cls, devices: int) -> tuple[float, ...]:
        return geometric(devices, NEAREST_M, FARTHEST_M)

    def around(self) -> Neighbours:
        """The neighbours, as given or by default."""
        return self.neighbours or neighbour_sites.around(self.path_loss)

    def build(self, ns: Any) -> Topology:
        sites = neighbour_sites.standing(self.around(), self.path_loss, self.height_m)
        return self.connect(ns, sites, self.places(), self.other_places())

    def set_antennas(self, ns: Any, lte: Any) -> None:
        if self.around().sites:
            sector = self._sector_antenna(ns, self.around())
            lte.SetEnbAntennaModelType("ns3::cosim::SiteElement")
            lte.SetEnbAntennaModelAttribute("Downtilt", ns.DoubleValue(0.0))
            lte.SetEnbAntennaModelAttribute("AntennaElement", ns.PointerValue(sector))
            lte.SetAttribute("UsePdschForCqiGeneration", ns.BooleanValue(False))

    def surround(self, ns: Any, bs: Any, radios: Any, loss: Any) -> Any:
        given = self.around()
        if not given.sites:
            return None
        distance_m = neighbour_sites.distance_m(given, self.path_loss)
        attributes = {
            "Numerology": ns.UintegerValue(0),
            "Prbs": ns.UintegerValue(BAND_RB),
            "InterSiteDistance": ns.DoubleValue(distance_m),
            "Rows": ns.UintegerValue(1),
            "Columns": ns.UintegerValue(1),
            "Polarizations": ns.UintegerValue(1),
            "Downtilt": ns.DoubleValue(0.0),
            "AntennaElement": ns.PointerValue(self._sector_antenna(ns, given)),
            "SectorPower": ns.DoubleValue(self.bs_power_dbm if given.power_dbm is None else given.power_dbm),
            "DevicePower": ns.DoubleValue(self.device_power_dbm),
            "NominalPower": ns.DoubleValue(self.nominal_power_dbm),
            "PathLossFactor": ns.DoubleValue(self.path_loss_factor),
        }
        places = neighbour_sites.grid(given.sites, distance_m, self.height_m)
        models = self.models(ns, DOWNLINK_HZ[PROFILES[self.profile].downlink_earfcn])
        sites = neighbour_sites.create(ns, given, places, attributes, models, loss)
        neighbours = ns.CreateObject[ns.cosim.LteNeighbours]()
        neighbours.SetSites(sites)
        neighbours.SetEnb(bs.Get(0))
        for i in range(radios.GetN()):
            neighbours.AddUe(radios.Get(i))
        sites.AssignStreams(streams.NEIGHBOURS[0])
        neighbours.Begin()
        return neighbours, sites

    def _sector_antenna(self, ns: Any, neighbours: Neighbours) -> Any:
        antenna = ns.CreateObject[ns.cosim.SectorAntenna]()
        antenna.SetAttribute("Downtilt", ns.DoubleValue(neighbours.downtilt_deg))
        return antenna
