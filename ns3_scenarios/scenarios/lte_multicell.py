# SPDX-License-Identifier: GPL-2.0-only
"""LTE with several cells on one frequency: devices move, and X2 handover hands them from cell to cell."""

import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from bridge.network import RequestError, Site

from ..scenario import Topology, fill
from ..world.movement import ConstantVelocity, Point
from . import several_cells
from .lte_network import ANY_DEVICES, DEVICE_HEIGHT_M, MOST_DEVICES, LteNetwork, Profile

# Of a reportConfigEUTRA, TS 36.331 clause 6.3.5.
TIMES_TO_TRIGGER_S = (
    0.0, 0.04, 0.064, 0.08, 0.1, 0.128, 0.16, 0.256, 0.32, 0.48, 0.512, 0.64, 1.024, 1.28, 2.56, 5.12,
)  # fmt: skip

SPARE_CONTEXTS = 4  # a cell may still hold the context of a device that comes back to it


class LteMulticell(LteNetwork, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three to seven LTE cells on one frequency, with X2 handover between them.

    `profile`: "20mhz" one carrier of 100 resource blocks; "20mhz-2x2" the same with open-loop spatial multiplexing
    (TM3) in the downlink.
    `rlc`: "am", acknowledged mode, which loses nothing, or "um", unacknowledged mode.
    `core_delay_s`: one-way delay between the edge server and each BS.
    `cells`: how many, each with an omnidirectional BS: one at x = y = 0, the others around it on the hexagonal grid.
    `inter_site_distance_m`: from each BS to the next.
    `hysteresis_db`: of event A3 (TS 36.331 clause 5.5.4.4), in steps of 0.5: a neighbour's RSRP must exceed the
    serving cell's by more than this
    `time_to_trigger_s`: and for so long, before the device is handed over; a value of TS 36.331 clause 6.3.5.
    `devices`: how many (default: as many as positions are given, else 8).
    `positions_m`: x, y, z of each device at the beginning (default: spread over the cells). Without `movement`, each
    drives straight on at 10 m/s, from where it is towards the BS next to its own. Other users of `background` are
    spread likewise, and stay.
    """

    name: ClassVar[str] = "lte-multicell"
    attach_s: ClassVar[float] = 1.0

    profile: Literal["20mhz", "20mhz-2x2"] = "20mhz"
    shadowing_sigma_db: Annotated[float, msgspec.Meta(ge=0, le=30)] | None = 0.0
    nominal_power_dbm: Annotated[int, msgspec.Meta(ge=-126, le=24)] = -90
    path_loss_factor: float = 1.0
    core_delay_s: Annotated[float, msgspec.Meta(ge=0, le=0.1)] = 0.0
    rlc: Literal["am", "um"] = "am"
    cells: Annotated[int, msgspec.Meta(ge=3, le=7)] = 3
    inter_site_distance_m: Annotated[float, msgspec.Meta(ge=50, le=5000)] = 200.0
    hysteresis_db: Annotated[float, msgspec.Meta(ge=0, le=15, multiple_of=0.5)] = 3.0
    time_to_trigger_s: float = 0.256
    devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_DEVICES - SPARE_CONTEXTS)] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None

    def __post_init__(self) -> None:
        if self.time_to_trigger_s not in TIMES_TO_TRIGGER_S:
            known = ", ".join(f"{time_s:g}" for time_s in TIMES_TO_TRIGGER_S)
            raise RequestError("radio.time_to_trigger_s", f"{self.time_to_trigger_s:g} is none of {known}")
        if self.positions_m is not None and self.devices not in (None, len(self.positions_m)):
            raise RequestError("radio.devices", f"{self.devices} devices, but {len(self.positions_m)} are placed")
        if self.positions_m is None:
            fill(self, positions_m=self._spread(self.devices or 8))
        places_m = self.positions_m or ()
        fill(self, devices=len(places_m))
        self.check_room(len(places_m), MOST_DEVICES - SPARE_CONTEXTS)
        nearest_m = min(math.dist(site, place[:2]) for site in self.sites() for place in places_m)
        if nearest_m < self.least_distance_m:
            reason = f"{nearest_m:g} m, but path_loss holds from {self.least_distance_m:g} m on"
            raise RequestError("radio.positions_m", reason)
        self.check_radio()
        if self.movement is None:
            fill(self, movement=ConstantVelocity(velocities_mps=tuple(map(self._towards_next_site, places_m))))

    def build(self, ns: Any) -> Topology:
        sites = [Site(x, y, self.height_m) for x, y in self.sites()]
        return self.connect(ns, sites, self.positions_m or (), self._spread(self.other_users, math.pi))

    def hand_over(self, ns: Any, lte: Any) -> None:
        lte.SetHandoverAlgorithmType("ns3::A3RsrpHandoverAlgorithm")
        lte.SetHandoverAlgorithmAttribute("Hysteresis", ns.DoubleValue(self.hysteresis_db))
        time = ns.TimeValue(ns.MilliSeconds(round(self.time_to_trigger_s * 1000)))
        lte.SetHandoverAlgorithmAttribute("TimeToTrigger", time)

    def _configure(self, ns: Any, profile: Profile, contexts: int) -> None:
        rlc: Literal["Am", "Um"] = "Am" if self.rlc == "am" else "Um"
        super()._configure(ns, replace(profile, rlc=rlc), contexts + SPARE_CONTEXTS)

    def sites(self) -> list[tuple[float, float]]:
        """x and y of each BS in m, in the order of the cells."""
        turns = [math.pi / 3 * i for i in range(self.cells - 1)]
        distance_m = self.inter_site_distance_m
        return [(0.0, 0.0), *((distance_m * math.cos(turn), distance_m * math.sin(turn)) for turn in turns)]

    def _spread(self, devices: int, first_turn: float = 0.0) -> tuple[Point, ...]:
        return several_cells.spread(self.sites(), self.inter_site_distance_m, devices, DEVICE_HEIGHT_M, first_turn)

    def _towards_next_site(self, place: Point) -> Point:
        return several_cells.towards_next_site(self.sites(), place)
