# SPDX-License-Identifier: GPL-2.0-only
"""5G NR: one cell, the edge server behind it, and the devices."""

import math
from functools import partial
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from bridge.network import RequestError

from ..scenario import Positive, Topology, fill
from ..world import streams
from ..world.movement import Point, stand
from . import neighbour_sites, nr_link_level, propagation
from .nr_network import ANY_DEVICES, MOST_DEVICES, NrNetwork, apply_shares
from .one_cell import OneCell, geometric

NEAREST_M = 20.0
FARTHEST_M = 100.0  # where sites stand 200 m apart, the cell ends hereabouts


class Nr(OneCell, NrNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One 5G NR cell, and its devices.

    `devices`: how many (default: as many as distances or positions are given, else 8).
    `distances_m`: of each device from the gNB, on a circle around it (default: 20 to 100 m, geometric).
    `positions_m`: x, y, z of each device instead; the gNB stands at x = y = 0, 10 m high (uma 25, rma 35, inh 3).
    `other_users_distances_m`: of the other users of `background` from the gNB, taken in turn, in directions that go
    evenly round it; they stay there (default: 20 to 100 m, geometric).
    `configured_grant_prbs`: PRBs of each uplink slot that each device may use without asking; 0 is none.
    `neighbours`: sites around the cell, whose interference comes on top of the noise (default: with umi, uma and rma 18
    of them, with the others none).
    """

    name: ClassVar[str] = "nr"
    most_devices: ClassVar[int] = MOST_DEVICES

    devices: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None
    other_users_distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    configured_grant_prbs: Annotated[int, Meta(ge=0, le=275)] = 0
    neighbours: neighbour_sites.Neighbours | None = None

    def __post_init__(self) -> None:
        self.count_devices()
        fill(self, neighbours=self.around())
        self.check_radio()
        users, prbs = (self.devices or 0) + self.other_users, self.prbs()
        if self.configured_grant_prbs * users >= prbs:
            reason = f"{self.configured_grant_prbs} for each of {users} leave none of {prbs} PRBs to be granted"
            raise RequestError("radio.configured_grant_prbs", reason)
        neighbour_sites.check(self.around(), self.path_loss)
        self.check_distances(propagation.LEAST_DISTANCE_M.get(self.path_loss, 0.0))

    @classmethod
    def spread(cls, devices: int) -> tuple[float, ...]:
        return geometric(devices, NEAREST_M, FARTHEST_M)

    def build(self, ns: Any) -> Topology:
        return self.connect(ns, ns.CreateObject[ns.Node](), streams.NEIGHBOURS[0])

    def connect(self, ns: Any, server: Any, neighbours_stream: int) -> Topology:
        """Make the cell and put this node behind its gNB as edge server; it may have an internet stack already.

        The devices reach it at any address of its own. The neighbours' random streams begin with the one given.
        """
        gnb = ns.NodeContainer(1)
        nodes, others = ns.NodeContainer(self.devices), ns.NodeContainer(self.other_users)
        users = ns.NodeContainer(nodes, others)
        stand(ns, gnb, [(0.0, 0.0, self.height_m)])
        self.stand_or_move(ns, nodes, self.places(), others, self.other_places())
        bare = ns.NodeContainer(gnb, users)
        if not server.GetObject[ns.Ipv4]():
            bare = ns.NodeContainer(ns.NodeContainer(server), bare)
        ns.InternetStackHelper().Install(bare)
        helper = ns.cosim.NrHelper()
        kept = self.configure(ns, helper, self.around().downtilt_deg if self.around().sites else None)
        helper.SetCellAttribute("ConfiguredGrantPrbs", ns.UintegerValue(self.configured_grant_prbs))
        farthest_m = max(math.hypot(x, y) for x, y, _ in [*self.places(), *self.other_places()])
        helper.SetTiming(self.timing_settings(ns, farthest_m))
        if self.around().sites:
            helper.SetNeighbours(neighbours := self._neighbours(ns, self.around(), kept[0]))
            kept = (kept, neighbours)
        ends = helper.Install(gnb.Get(0), users, nr_link_level.error_model(ns))
        helper.AssignStreams(streams.NR[0])
        if self.around().sites:
            neighbours.AssignStreams(neighbours_stream)
        cell = helper.GetCell()
        made = self.address(ns, users, ends)
        edge_address = self.connect_core(ns, server, gnb.Get(0))
        radio = ns.CreateObject[ns.cosim.NrRadio]()
        radio.SetAttribute("CoreDelay", ns.StringValue(f"{self.core_delay_s!r}s"))
        radio.SetCell(cell, nodes.GetN())
        return Topology(
            server,
            edge_address,
            made[: nodes.GetN()],
            radio,
            made[nodes.GetN() :],
            partial(apply_shares, cell),
            bandwidth_hz=(self.band_hz, self.band_hz),
            keep=(cell, kept),
            sites=neighbour_sites.standing(self.around(), self.path_loss, self.height_m),
        )

    def around(self) -> neighbour_sites.Neighbours:
        """The neighbours, as given or by default."""
        return self.neighbours or neighbour_sites.around(self.path_loss)

    def _neighbours(self, ns: Any, neighbours: neighbour_sites.Neighbours, serving_loss: Any) -> Any:
        distance_m = neighbour_sites.distance_m(neighbours, self.path_loss)
        power_dbm = neighbours.power_dbm
        attributes = {
            "Numerology": ns.UintegerValue(self.numerology),
            "Prbs": ns.UintegerValue(self.prbs()),
            "InterSiteDistance": ns.DoubleValue(distance_m),
            "Rows": ns.UintegerValue(self.gnb_antennas[0]),
            "Columns": ns.UintegerValue(self.gnb_antennas[1]),
            "Polarizations": ns.UintegerValue(self.polarizations),
            "Downtilt": ns.DoubleValue(neighbours.downtilt_deg),
            "SectorPower": ns.DoubleValue(self.gnb_power_dbm if power_dbm is None else power_dbm),
            "DevicePower": ns.DoubleValue(self.device_power_dbm),
            "NominalPower": ns.DoubleValue(self.nominal_power_dbm),
            "PathLossFactor": ns.DoubleValue(self.path_loss_factor),
        }
        sites = neighbour_sites.grid(neighbours.sites, distance_m, self.height_m)
        return neighbour_sites.create(ns, neighbours, sites, attributes, self.models(ns), serving_loss)
