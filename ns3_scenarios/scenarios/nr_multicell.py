# SPDX-License-Identifier: GPL-2.0-only
"""5G NR with several cells on one carrier, that interfere with what they send and hand over devices that move."""

import math
from functools import partial
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from bridge.network import NS_PER_S, RequestError, Site

from ..scenario import Topology, fill
from ..world import streams
from ..world.movement import ConstantVelocity, Point, stand
from . import neighbour_sites, nr_link_level, propagation, several_cells
from .nr_interruption import Interruption
from .nr_network import ANY_DEVICES, MOST_DEVICES, NrNetwork, apply_shares

DEVICE_HEIGHT_M = 1.5
DOWNTILT_DEG = 12.0  # as with one cell and neighbours

# TS 38.331 clause 6.3.2: TimeToTrigger, and t310 of RLF-TimersAndConstants.
TIMES_TO_TRIGGER_S = (
    0.0, 0.04, 0.064, 0.08, 0.1, 0.128, 0.16, 0.256, 0.32, 0.48, 0.512, 0.64, 1.024, 1.28, 2.56, 5.12,
)  # fmt: skip
FAILURE_TIMES_S = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 6.0)


class NrMulticell(NrNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three to seven 5G NR cells on one carrier, with handover over Xn between them.

    `cells`: how many, each with a gNB: one at x = y = 0, the others around it on the hexagonal grid.
    `inter_site_distance_m`: from each gNB to the next (default: 200; uma 500, rma 1732).
    `hysteresis_db`: of event A3 (TS 38.331 clause 5.5.4.4), in steps of 0.5: a neighbour's RSRP must exceed the
    serving cell's by more than this
    `time_to_trigger_s`: and for so long, before it is reported; a value of TS 38.331 clause 6.3.2.
    `preparation_s`: from that report until the device leaves its cell.
    `interruption_s`: from then on until the other cell serves it (default: the parts of `nr_interruption`).
    `most_devices_per_cell`: that a cell admits, other users among them (default: any number).
    `t310_s`: for so long a device is out of sync before its radio link has failed; a value of TS 38.331 clause 6.3.2.
    `reestablishment_s`: from then on until the strongest cell serves it, and between two tries.
    `devices`: how many (default: as many as positions are given, else 8).
    `positions_m`: x, y, z of each device at the beginning (default: spread over the cells). Without `movement`, each
    drives straight on at 10 m/s, from where it is towards the gNB next to its own. Other users of `background` are
    spread likewise, and stay.
    """

    name: ClassVar[str] = "nr-multicell"

    cells: Annotated[int, Meta(ge=3, le=7)] = 3
    inter_site_distance_m: Annotated[float, Meta(ge=30, le=100_000)] | None = None
    hysteresis_db: Annotated[float, Meta(ge=0, le=15, multiple_of=0.5)] = 3.0
    time_to_trigger_s: float = 0.256
    preparation_s: Annotated[float, Meta(ge=0, le=1)] = 0.02
    interruption_s: Annotated[float, Meta(ge=0, le=1)] = Interruption().total / 1000
    most_devices_per_cell: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    t310_s: float = 1.0
    reestablishment_s: Annotated[float, Meta(ge=0.01, le=10)] = 0.2
    devices: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None

    def __post_init__(self) -> None:
        for field, values in (("time_to_trigger_s", TIMES_TO_TRIGGER_S), ("t310_s", FAILURE_TIMES_S)):
            if getattr(self, field) not in values:
                known = ", ".join(f"{value:g}" for value in values)
                raise RequestError(f"radio.{field}", f"{getattr(self, field):g} is none of {known}")
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
        room = (self.most_devices_per_cell or MOST_DEVICES) * self.cells
        if (count := len(places_m) + self.other_users) > room:
            raise RequestError("radio.most_devices_per_cell", f"{self.cells} cells have no room for {count}")
        self.check_radio()
        if self.movement is None:
            velocities_mps = tuple(several_cells.towards_next_site(self.sites(), place) for place in places_m)
            fill(self, movement=ConstantVelocity(velocities_mps=velocities_mps))

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
        self._set_mobility(ns, cells)
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

    def _set_mobility(self, ns: Any, cells: Any) -> None:
        times_s = {
            "TimeToTrigger": self.time_to_trigger_s,
            "PreparationTime": self.preparation_s,
            "InterruptionTime": self.interruption_s,
            "FailureTime": self.t310_s,
            "ReestablishmentTime": self.reestablishment_s,
        }
        for name, time_s in times_s.items():
            cells.SetAttribute(name, ns.TimeValue(ns.NanoSeconds(round(time_s * NS_PER_S))))
        cells.SetAttribute("Hysteresis", ns.DoubleValue(self.hysteresis_db))
        cells.SetAttribute("MostDevices", ns.UintegerValue(self.most_devices_per_cell or 0))

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
