# SPDX-License-Identifier: GPL-2.0-only
"""5G NR: one cell, the edge server behind it, and the devices."""

import math
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

from bridge.network import RequestError

from ..scenario import Positive, Topology, fill
from ..world import streams
from ..world.movement import Point, stand
from . import neighbour_sites, nr_carriers, nr_link_level, propagation
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
    `second_carrier`: a secondary cell of the same gNB on a carrier of its own, a table; the rest is of the primary one
    (default: none).
    """

    name: ClassVar[str] = "nr"
    most_devices: ClassVar[int] = MOST_DEVICES

    devices: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None
    other_users_distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    configured_grant_prbs: Annotated[int, Meta(ge=0, le=275)] = 0
    neighbours: neighbour_sites.Neighbours | None = None
    second_carrier: nr_carriers.SecondCarrier | None = None

    def __post_init__(self) -> None:
        self.count_devices()
        fill(self, neighbours=self.around())
        self.check_radio()
        users, prbs = (self.devices or 0) + self.other_users, self.prbs()
        if self.configured_grant_prbs * users >= prbs:
            reason = f"{self.configured_grant_prbs} for each of {users} leave none of {prbs} PRBs to be granted"
            raise RequestError("radio.configured_grant_prbs", reason)
        neighbour_sites.check(self.around(), self.path_loss)
        if self.second_carrier:
            self._check_second_carrier(self.second_carrier)
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
        farthest_m = max(math.hypot(x, y) for x, y, _ in [*self.places(), *self.other_places()])
        timing, errors = self.timing_settings(ns, farthest_m), nr_link_level.error_model(ns)
        helper, models, neighbours = self._helper(ns, timing)
        ends = helper.Install(gnb.Get(0), users, errors)
        cell, kept, band_hz = helper.GetCell(), (models, neighbours), self.band_hz
        stream = streams.NR[0] + helper.AssignStreams(streams.NR[0])
        if neighbours:
            neighbours_stream += neighbours.AssignStreams(neighbours_stream)
        if self.second_carrier:
            secondary = self._on(self.second_carrier)
            helper, *more = secondary._helper(ns, timing, models[1])
            helper.InstallSecondary(cell, gnb.Get(0), users, errors)
            helper.AssignStreams(stream)
            if more[1]:
                more[1].AssignStreams(neighbours_stream)
            kept, band_hz = (*kept, *more), band_hz + secondary.band_hz
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
            bandwidth_hz=(band_hz, band_hz),
            keep=(cell, kept),
            sites=neighbour_sites.standing(self.around(), self.path_loss, self.height_m),
        )

    def around(self) -> neighbour_sites.Neighbours:
        """The neighbours, as given or by default."""
        return self.neighbours or neighbour_sites.around(self.path_loss)

    def _on(self, carrier: nr_carriers.SecondCarrier) -> Self:
        """The cell alone on this carrier."""
        own = msgspec.structs.asdict(carrier)
        given = {name: value for name, value in own.items() if value is not None}
        return msgspec.structs.replace(self, second_carrier=None, configured_grant_prbs=0, **given)

    def _check_second_carrier(self, carrier: nr_carriers.SecondCarrier) -> None:
        for name, is_there in (("connection", self.connecting()), ("drx", self.listening())):
            if is_there:
                known = {"connection": "always", "drx": "off"}[name]
                raise RequestError(f"radio.{name}", f'does not go with second_carrier; take "{known}"')
        try:
            secondary = self._on(carrier)
        except RequestError as error:
            name = error.field.removeprefix("radio.")
            if name in nr_carriers.SecondCarrier.__struct_fields__:
                raise RequestError(f"radio.second_carrier.{name}", error.reason) from None
            raise RequestError("radio.second_carrier", f"{name}: {error.reason}") from None
        nr_carriers.check_apart(self.spectrum_hz, secondary.spectrum_hz)

    def _helper(self, ns: Any, timing: Any, condition: Any = None) -> tuple[Any, Any, Any]:
        """What makes the cell, its models of path loss and sight, and its neighbours or None."""
        helper = ns.cosim.NrHelper()
        sites = self.around().sites
        models = self.configure(ns, helper, self.around().downtilt_deg if sites else None, condition)
        helper.SetCellAttribute("ConfiguredGrantPrbs", ns.UintegerValue(self.configured_grant_prbs))
        helper.SetTiming(timing)
        neighbours = self._neighbours(ns, self.around(), models[0]) if sites else None
        if neighbours:
            helper.SetNeighbours(neighbours)
        return helper, models, neighbours

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
