# SPDX-License-Identifier: GPL-2.0-only
"""NR's neighbours without a cell, in a process that has ns-3: Friis' path loss at 3.5 GHz, one BS at x = y = 0."""

from collections.abc import Sequence
from math import pi
from typing import Any

from bridge.network import NS_PER_S, Wait
from ns3_scenarios.scenarios.propagation import path_loss
from ns3_scenarios.wheel import loader
from ns3_scenarios.world import streams
from ns3_scenarios.world.movement import HEADERS as MOVEMENT_HEADERS
from ns3_scenarios.world.movement import stand
from tests.support.still import open_still

HEADERS = (
    *MOVEMENT_HEADERS,
    "ns3/isotropic-antenna-model.h",
    "ns3/uniform-planar-array.h",
    "ns3/propagation-loss-model.h",
    "ns3/channel-condition-model.h",
    "neighbour-sites.h",
)
Place = tuple[float, float, float]
HEIGHT_M = 10.0
PRBS = 273
FRIIS = (299792458 / 3.5e9 / (4 * pi)) ** 2


class Around:
    """Sites and devices at these places in m, and a load of these steps (seconds, share).

    Where it is `drawn`, paths are those of a street canyon, at random. `serving_dbm`: what each device receives of the
    cell, which sends 0 dBm.
    """

    def __init__(
        self,
        sites: Sequence[Place],
        devices: Sequence[Place],
        load: Sequence[tuple[float, float]] = ((1.0, 1.0),),
        seed: int = 1,
        is_isotropic: bool = True,
        is_random: bool = False,
        serving_dbm: float | None = None,
        drawn: bool = False,
        **attributes: float,
    ):
        self.ns = ns = loader.load(("spectrum",), HEADERS)
        streams.begin(ns, seed)
        self.neighbours = made = ns.CreateObject[ns.cosim.NeighbourSites]()
        kind, sigma_db = ("umi", None) if drawn else ("friis", 0.0)
        given: dict[str, Any] = {
            "exponent": 3.0,
            "line_of_sight": "random",
            "shadowing_sigma_db": sigma_db,
            "is_moving": False,
        }
        self.loss, self.condition = path_loss(ns, kind, 3.5e9, **given)
        if drawn:
            made.SetAttribute("ChannelConditionModel", ns.PointerValue(self.condition))
        made.SetAttribute("PropagationLossModel", ns.PointerValue(self.loss))
        if serving_dbm is not None:
            serving = ns.ObjectFactory("ns3::FixedRssLossModel").Create[ns.PropagationLossModel]()
            serving.SetAttribute("Rss", ns.DoubleValue(serving_dbm))
            made.SetAttribute("ServingLossModel", ns.PointerValue(serving))
        made.SetAttribute("RandomLoad", ns.BooleanValue(is_random))
        if is_isotropic:
            made.SetAttribute("AntennaElement", ns.PointerValue(ns.CreateObject[ns.IsotropicAntennaModel]()))
        numbers: dict[str, float] = {"Rows": 1, "Columns": 1, "Polarizations": 1} | attributes
        for name, value in numbers.items():
            made.SetAttribute(name, ns.DoubleValue(value) if isinstance(value, float) else ns.UintegerValue(value))
        nodes = ns.NodeContainer(1 + len(sites) + len(devices))
        stand(ns, nodes, [(0.0, 0.0, HEIGHT_M), *sites, *devices])
        self.sites = len(sites)
        self.mobilities = [nodes.Get(i).GetObject[ns.MobilityModel]() for i in range(nodes.GetN())]
        antenna = ns.ObjectFactory("ns3::UniformPlanarArray").Create[ns.UniformPlanarArray]()
        antenna.SetAttribute("NumRows", ns.UintegerValue(1))
        antenna.SetAttribute("NumColumns", ns.UintegerValue(1))
        antenna.SetAttribute("AntennaElement", ns.PointerValue(ns.CreateObject[ns.IsotropicAntennaModel]()))
        made.SetBaseStation(self.mobilities[0], antenna)
        for i in range(len(sites)):
            made.AddSite(nodes.Get(1 + i))
        for mobility in self.mobilities[1 + len(sites) :]:
            made.AddDevice(mobility, antenna)
        for seconds, share in load:
            made.AddLoadStep(seconds, share)
        made.AssignStreams(streams.NEIGHBOURS[0])
        made.Renew()

    def interference_mw(self, device: int, is_uplink: bool, slot: int) -> list[float]:
        """Of each PRB."""
        return list(self.neighbours.GetInterferenceMw(device, is_uplink, slot))

    def users(self) -> list[Place]:
        """Where the users of all sectors are, sector by sector."""
        places = [self.neighbours.GetUserPosition(i, user) for i in range(3 * self.sites) for user in range(10)]
        return [(at.x, at.y, at.z) for at in places]

    def close(self) -> None:
        self.ns.Simulator.Destroy()


def interference_mw(
    is_uplink: bool, device: int, slots: Sequence[int], around: dict[str, Any]
) -> tuple[list[list[float]], list[float], list[Place]]:
    """Of each PRB in each slot, on average in each slot, and where the users are."""
    city = Around(**around)
    try:
        each, mean = [], []
        for slot in slots:
            each.append(city.interference_mw(device, is_uplink, slot))
            mean.append(city.neighbours.GetMeanInterferenceMw(device, is_uplink, slot))
        return each, mean, city.users()
    finally:
        city.close()


def asked_in_turn(asks: Sequence[tuple[int, bool, int]], around: dict[str, Any]) -> list[list[float]]:
    """Of each PRB for each ask: device, up or down, slot."""
    city = Around(**around)
    try:
        return [city.interference_mw(*ask) for ask in asks]
    finally:
        city.close()


def gains_db(tilt_deg: float, around: dict[str, Any]) -> list[list[float]]:
    """From each sector to each device with a beam so far below the horizon."""
    city = Around(**around)
    try:
        sectors, devices = 3 * len(around["sites"]), len(around["devices"])
        return [[city.neighbours.GetGainDb(i, j, tilt_deg) for j in range(sectors)] for i in range(devices)]
    finally:
        city.close()


def moved(ways_m: Sequence[float], around: dict[str, Any]) -> list[float]:
    """What the first device receives on the first PRB after each step of so many m in x, renewed."""
    city = Around(**around)
    try:
        device, found = city.mobilities[1 + len(around["sites"])], []
        for slot, way_m in enumerate(ways_m):
            at = device.GetPosition()
            device.SetPosition(city.ns.Vector(at.x + way_m, at.y, at.z))
            city.neighbours.Renew()
            found.append(city.interference_mw(0, False, slot)[0])
        return found
    finally:
        city.close()


def beam_gains(rows: int, columns: int, pairs: Sequence[tuple[Place, Place]]) -> list[float]:
    """Of beams steered to the first of two ways, towards the second."""
    ns = loader.load(("spectrum",), (*HEADERS, "panel.h"))
    panel = ns.cosim.Panel(rows, columns, 0.0, 0.0)
    ways = [[panel.GetDirection(ns.Vector(*way)) for way in pair] for pair in pairs]
    return [panel.GetBeamGain(at, there) for at, there in ways]


def linked(parameters: dict[str, Any]) -> tuple[float, list[Place]]:
    """The first device's SINR up in dB in an NR cell with neighbours after 0.1 s, and where their users are."""
    network = open_still("nr", parameters, 1)
    try:
        end_ns = network.now_ns + NS_PER_S // 10
        (link, *_) = network.exchange([], network.now_ns, end_ns, Wait.DEADLINE).links
        neighbours = network._topology.keep[1][1]
        sectors = 3 * parameters["neighbours"]["sites"]
        places = [neighbours.GetUserPosition(i, user) for i in range(sectors) for user in range(10)]
        return link.uplink_sinr_db, [(at.x, at.y, at.z) for at in places]
    finally:
        network.close()
