# SPDX-License-Identifier: GPL-2.0-only
"""The NR channel without a cell, in a process that has ns-3."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ns3_scenarios.scenarios import propagation
from ns3_scenarios.wheel import loader
from ns3_scenarios.world import streams

HEADERS = (
    "ns3/isotropic-antenna-model.h",
    "ns3/uniform-planar-array.h",
    "ns3/propagation-loss-model.h",
    "ns3/channel-condition-model.h",
    "ns3/mobility-helper.h",
    "ns3/constant-velocity-mobility-model.h",
    "doppler-mobility.h",
    "line-of-sight.h",
    "nr-channel.h",
)
STREAM = 77


class Air:
    """A gNB and devices; all lengths in m, speeds in m/s. A device that `stays` has its speed for the Doppler only."""

    def __init__(self, places: list[tuple[float, float, float]], seed: int = 1, **given: Any):
        options = {"fading": "none", "sight": "Always", "gnb": (1, 1), "device": (1, 1), "polarizations": 1} | given
        self.ns = ns = loader.load(("spectrum",), HEADERS)
        streams.begin(ns, seed)
        self.nodes = ns.NodeContainer(1 + len(places))
        self.loss, self.condition = self._propagation(options["sight"])
        self.channel = channel = ns.CreateObject[ns.cosim.NrChannel]()
        channel.SetAttribute("PropagationLossModel", ns.PointerValue(self.loss))
        channel.SetAttribute("ChannelConditionModel", ns.PointerValue(self.condition))
        channel.SetAttribute("Fading", ns.StringValue(options["fading"]))
        for name, value in options.get("attributes", {}).items():
            channel.SetAttribute(name, ns.DoubleValue(value) if isinstance(value, float) else ns.UintegerValue(value))
        speeds = options.get("speeds", [(0.0, 0.0, 0.0)] * len(places))
        for i, (place, speed) in enumerate(zip([(0.0, 0.0, 10.0), *places], [(0.0, 0.0, 0.0), *speeds], strict=True)):
            self.nodes.Get(i).AggregateObject(self._move(place, speed, bool(i and options.get("stays"))))
        self.arrays = [
            self._array(options["gnb"] if i == 0 else options["device"], options) for i in range(1 + len(places))
        ]
        channel.SetGnb(self._mobility(0), self.arrays[0])
        for i in range(len(places)):
            channel.AddDevice(self._mobility(1 + i), self.arrays[1 + i])
        channel.AssignStreams(options.get("stream", STREAM))

    def _propagation(self, sight: str) -> tuple[Any, Any]:
        """Friis and line of sight `Always` or `Never`; or, where it is `Moving`, what a scenario has."""
        ns = self.ns
        if sight == "Moving":
            given: Any = {"exponent": 3.0, "line_of_sight": "random", "shadowing_sigma_db": 0.0, "is_moving": True}
            return propagation.path_loss(ns, "umi", 3.5e9, **given)
        loss = ns.ObjectFactory("ns3::FriisPropagationLossModel").Create[ns.PropagationLossModel]()
        loss.SetAttribute("Frequency", ns.DoubleValue(3.5e9))
        condition = ns.ObjectFactory(f"ns3::{sight}LosChannelConditionModel")
        return loss, condition.Create[ns.ChannelConditionModel]()

    def _move(self, place: tuple[float, float, float], speed: tuple[float, float, float], stays: bool) -> Any:
        ns = self.ns
        if stays:
            mobility = ns.CreateObject[ns.cosim.DopplerMobilityModel]()
            mobility.SetPosition(ns.Vector(*place))
            mobility.SetAttribute("DopplerVelocity", ns.VectorValue(ns.Vector(*speed)))
        else:
            mobility = ns.CreateObject[ns.ConstantVelocityMobilityModel]()
            mobility.SetPosition(ns.Vector(*place))
            mobility.SetVelocity(ns.Vector(*speed))
        return mobility

    def _mobility(self, node: int) -> Any:
        return self.nodes.Get(node).GetObject[self.ns.MobilityModel]()

    def _array(self, size: tuple[int, int], options: dict[str, Any]) -> Any:
        ns = self.ns
        antennas = ns.ObjectFactory("ns3::UniformPlanarArray").Create[ns.UniformPlanarArray]()
        antennas.SetAttribute("NumRows", ns.UintegerValue(size[0]))
        antennas.SetAttribute("NumColumns", ns.UintegerValue(size[1]))
        antennas.SetAttribute("IsDualPolarized", ns.BooleanValue(options["polarizations"] == 2))
        antennas.SetAttribute("AntennaElement", ns.PointerValue(ns.CreateObject[ns.IsotropicAntennaModel]()))
        return antennas

    def gains(self, device: int, is_uplink: bool) -> NDArray[np.float64]:
        """A row of single, first, second and crossed for each PRB."""
        found = (self.channel.GetUplink if is_uplink else self.channel.GetDownlink)(device)
        return np.array([(prb.single, prb.first, prb.second, prb.crossed) for prb in found])

    def aged(self, device: int, is_uplink: bool, turn: int, pair_turn: int) -> NDArray[np.float64]:
        """Likewise of 3 PRBs, behind this precoder."""
        import cppyy

        found = cppyy.gbl.std.vector["ns3::cosim::NrPrbGain"]()
        precoder = self.ns.cosim.NrPrecoder(turn, pair_turn)
        for begin, end in ((0, 1), (1, 3)):
            self.channel.AddGains(device, is_uplink, precoder, begin, end, found)
        return np.array([(prb.single, prb.first, prb.second, prb.crossed) for prb in found])

    def precoder(self, device: int, is_uplink: bool) -> tuple[int, int]:
        """That of `gains`."""
        found = self.channel.GetPrecoder(device, is_uplink)
        return int(found.turn), int(found.pairTurn)

    def run(self, time_s: float) -> None:
        """Let virtual time pass."""
        self.ns.Simulator.Stop(self.ns.Seconds(time_s))
        self.ns.Simulator.Run()

    def close(self) -> None:
        self.ns.Simulator.Destroy()


def look(places: list[tuple[float, float, float]], times_s: list[float], seed: int = 1, **given: Any) -> list[Any]:
    """For each time, for each device, the gains down and up."""
    air = Air(places, seed, **given)
    try:
        found, now_s = [], 0.0
        for time_s in times_s:
            if time_s > now_s:
                air.run(time_s - now_s)
                now_s = time_s
            found.append([(air.gains(i, False), air.gains(i, True)) for i in range(len(places))])
        return found
    finally:
        air.close()


def direct(place: tuple[float, float, float], scenario: str, **given: Any) -> tuple[Any, Any, Any]:
    """Gains down of a link, the matrix of ns-3's own model on the same random streams, and its delays in s."""
    air = Air([place], fading=scenario, **given)
    ns = air.ns
    try:
        gains = air.gains(0, False)
        model = ns.CreateObject[ns.ThreeGppChannelModel]()
        model.SetAttribute("Frequency", ns.DoubleValue(3.5e9))
        model.SetAttribute("Scenario", ns.StringValue(scenario))
        model.SetAttribute("ChannelConditionModel", ns.PointerValue(air.condition))
        model.AssignStreams(STREAM)
        ends = (air._mobility(0), air._mobility(1))
        h = model.GetChannel(*ends, air.arrays[0], air.arrays[1]).m_channel
        matrix = np.array(
            [
                [[complex(h(u, s, c)) for c in range(h.GetNumPages())] for s in range(h.GetNumCols())]
                for u in range(h.GetNumRows())
            ]
        )
        delays = np.array(list(model.GetParams(*ends).m_delay))
        return gains, matrix, delays
    finally:
        air.close()


class Many(NamedTuple):
    """Of a link between four ports at each end: per PRB `gains`, what two layers and fewer get, and per number of
    layers the SINRs; per number of layers the precoder, a column for each layer, all from one layer on."""

    gains: NDArray[np.float64]
    sinrs: list[NDArray[np.float64]]
    precoders: list[NDArray[np.complex128]]


def many(
    place: tuple[float, float, float], scenario: str, psd_mw: float, prbs: int, **given: Any
) -> tuple[list[Many], NDArray[np.complex128], NDArray[np.float64]]:
    """Down and up at this power on each PRB; ns-3's own matrix on the same random streams, and its delays in s."""
    import cppyy

    loader.load(("spectrum",), (*HEADERS, "nr-link-adaptation.h"))
    options: dict[str, Any] = {
        "gnb": (1, 2),
        "device": (1, 2),
        "polarizations": 2,
        "attributes": {"MaxRank": 4, "Prbs": prbs},
    }
    air = Air([place], fading=scenario, **options | given)
    ns = air.ns
    try:
        found = []
        for is_uplink in (False, True):
            gains, number = air.gains(0, is_uplink), air.channel.GetPrecoder(0, is_uplink)
            sinrs = []
            for layers in (1, 2, 3, 4):
                sinr = cppyy.gbl.std.vector["double"]()
                if layers <= 2:
                    listed = air.channel.GetUplink(0) if is_uplink else air.channel.GetDownlink(0)
                    ns.cosim.AddSinr(listed, psd_mw, layers, 0, prbs, sinr)
                else:
                    ns.cosim.AddManySinr(air.channel.GetMany(0, is_uplink), psd_mw, layers, sinr)
                sinrs.append(np.array(list(sinr)).reshape(prbs, layers))
            numbers = (number.turn, number.pairTurn, number.three, number.four)
            chosen = [codebook(layers)[int(each)] for layers, each in enumerate(numbers, 1)]
            found.append(Many(gains, sinrs, chosen))
        model = ns.CreateObject[ns.ThreeGppChannelModel]()
        model.SetAttribute("Frequency", ns.DoubleValue(3.5e9))
        model.SetAttribute("Scenario", ns.StringValue(scenario))
        model.SetAttribute("ChannelConditionModel", ns.PointerValue(air.condition))
        model.AssignStreams(STREAM)
        ends = (air._mobility(0), air._mobility(1))
        h = model.GetChannel(*ends, air.arrays[0], air.arrays[1]).m_channel
        shape = range(h.GetNumRows()), range(h.GetNumCols()), range(h.GetNumPages())
        matrix = np.array([[[complex(h(u, s, c)) for c in shape[2]] for s in shape[1]] for u in shape[0]])
        return found, matrix, np.array(list(model.GetParams(*ends).m_delay))
    finally:
        air.close()


def codebook(layers: int) -> list[NDArray[np.complex128]]:
    """The native one, a row for each port and a column for each layer."""
    ns = loader.load(("spectrum",), HEADERS)
    listed = ns.cosim.GetNrCodebook(layers)
    return [np.array([[complex(weight) for weight in column] for column in each]).T for each in listed]


class Rays(NamedTuple):
    """Of a link between single vertical antennas: what was drawn, ray by ray, the direct one last."""

    coefficients: NDArray[np.complex128]
    arrivals: NDArray[np.float64]  # unit vectors from the device to where rays come from
    delays_s: NDArray[np.float64]
    taps: NDArray[np.int64]  # clusters and parts of the strongest


DRAWN = """
#ifndef DRAWN_RAYS
#define DRAWN_RAYS
/// What is protected in ns-3, of all clusters in turn.
struct DrawnRays
{
    std::vector<double> azimuths, zeniths, phases, powers, delays;
    int strongest, second;
    double riceanDb;
    bool sight;
};

DrawnRays GetDrawnRays(ns3::Ptr<ns3::cosim::MovingChannelModel> model,
                       ns3::Ptr<ns3::MobilityModel> a,
                       ns3::Ptr<ns3::MobilityModel> b)
{
    auto drawn = model->GetDrawn(a, b);
    DrawnRays found{{}, {}, {}, drawn->m_clusterPower, drawn->m_delay, drawn->m_cluster1st, drawn->m_cluster2nd,
                    drawn->m_K_factor, drawn->m_losCondition == ns3::ChannelCondition::LOS};
    found.powers.resize(drawn->m_reducedClusterNumber);
    for (int cluster = 0; cluster < drawn->m_reducedClusterNumber; cluster++)
    {
        for (size_t ray = 0; ray < drawn->m_clusterPhase[cluster].size(); ray++)
        {
            found.azimuths.push_back(drawn->m_rayAoaRadian[cluster][ray]);
            found.zeniths.push_back(drawn->m_rayZoaRadian[cluster][ray]);
            found.phases.push_back(drawn->m_clusterPhase[cluster][ray][0]);
        }
    }
    return found;
}
#endif
"""


def drawn_rays(air: Air, scenario: str, devices: int) -> list[Rays]:
    """Of each device, drawn again on the same random streams by the channel model beneath ours."""
    import cppyy

    cppyy.cppdef(DRAWN)
    ns, found, stream = air.ns, [], STREAM
    for device in range(devices):
        model = ns.CreateObject[ns.cosim.MovingChannelModel]()
        model.SetAttribute("Frequency", ns.DoubleValue(3.5e9))
        model.SetAttribute("Scenario", ns.StringValue(scenario))
        model.SetAttribute("ChannelConditionModel", ns.PointerValue(air.condition))
        stream += model.AssignStreams(stream)
        ends = (air._mobility(0), air._mobility(1 + device))
        model.GetChannel(*ends, air.arrays[0], air.arrays[1 + device])
        way = np.array([getattr(ends[0].GetPosition(), axis) - getattr(ends[1].GetPosition(), axis) for axis in "xyz"])
        found.append(_rays(cppyy.gbl.GetDrawnRays(model, *ends), way))
    return found


def _rays(drawn: Any, way: NDArray[np.float64]) -> Rays:
    powers, delays = np.array(list(drawn.powers)), np.array(list(drawn.delays))
    azimuths, zeniths, phases = (
        np.array(list(each)).reshape(len(powers), -1) for each in (drawn.azimuths, drawn.zeniths, drawn.phases)
    )
    taps = np.repeat(np.arange(len(powers)), phases.shape[1]).reshape(phases.shape)
    for i, cluster in enumerate(sorted({drawn.strongest, drawn.second})):
        taps[cluster, [9, 10, 11, 12, 17, 18]] = len(powers) + 2 * i  # table 7.5-5, whose rays ns-3 counts from 0
        taps[cluster, [13, 14, 15, 16]] = len(powers) + 2 * i + 1
    coefficients = np.sqrt(powers / phases.shape[1])[:, None] * np.exp(1j * phases)
    arrivals = np.stack([np.sin(zeniths) * np.cos(azimuths), np.sin(zeniths) * np.sin(azimuths), np.cos(zeniths)], -1)
    rays = Rays(coefficients.ravel(), arrivals.reshape(-1, 3), delays[taps.ravel()], taps.ravel())
    if not drawn.sight:
        return rays
    ricean, distance_m = 10 ** (drawn.riceanDb / 10), np.linalg.norm(way)
    direct = math.sqrt(ricean) * np.exp(-2j * np.pi * distance_m * 3.5e9 / 3e8)  # ns-3 rounds the speed of light
    return Rays(
        np.append(rays.coefficients, direct) / math.sqrt(1 + ricean),
        np.vstack([rays.arrivals, way / distance_m]),
        np.append(rays.delays_s, delays[0]),
        np.append(rays.taps, 0),
    )


def sweep(
    places: list[tuple[float, float, float]], times_s: list[float], scenario: str, prbs: int, **given: Any
) -> tuple[NDArray[np.float64], list[Rays]]:
    """Gain with one antenna at each end, a row for each time, of each device on each PRB; and each device's rays."""
    air = Air(places, fading=scenario, attributes={"Prbs": prbs}, **given)
    try:
        rays, found, now_s = drawn_rays(air, scenario, len(places)), [], 0.0
        for time_s in times_s:
            if time_s > now_s:
                air.run(time_s - now_s)
                now_s = time_s
            found.append([[prb.single for prb in air.channel.GetDownlink(i)] for i in range(len(places))])
        return np.array(found), rays
    finally:
        air.close()


def aging(place: tuple[float, float, float], after_s: float, seed: int, **given: Any) -> list[dict[str, Any]]:
    """Down and up: the precoder at first; after so long gains behind that one, the best and every one, on 3 PRBs."""
    air = Air([place], seed, attributes={"Prbs": 3}, **given)
    try:
        air.gains(0, False)
        first = [(air.gains(0, is_uplink), air.precoder(0, is_uplink))[1] for is_uplink in (False, True)]
        air.run(after_s)
        found = []
        for is_uplink, precoder in enumerate(first):
            aged = air.aged(0, bool(is_uplink), *precoder)
            best = air.gains(0, bool(is_uplink))
            every = [air.aged(0, bool(is_uplink), turn, turn % 2) for turn in range(4)]
            found.append(
                {"first": precoder, "aged": aged, "best": best, "now": air.precoder(0, bool(is_uplink)), "every": every}
            )
        return found
    finally:
        air.close()


class Walk(NamedTuple):
    """A row for each step, of each device; `gains` of each PRB, one antenna at each end, over the noise."""

    share: NDArray[np.float64]  # of line of sight, 0 to 1
    state: NDArray[np.bool_]
    power_db: NDArray[np.float64]  # of path loss
    back_db: NDArray[np.float64]  # likewise in the other direction
    gains: NDArray[np.float64]


def walk(paths: NDArray[np.float64], prbs: int = 1, seed: int = 1, **given: Any) -> Walk:
    """Devices that go step by step (m, a row for each), a step a millisecond, without ever having a velocity."""
    air = Air([tuple(place) for place in paths[0]], seed, attributes={"Prbs": prbs}, **given)
    ns = air.ns
    try:
        gnb, devices = air._mobility(0), [air._mobility(1 + i) for i in range(paths.shape[1])]
        soft = air.condition.GetObject[ns.cosim.MovingLineOfSight]() if given["sight"] == "Moving" else None
        found: list[list[tuple[Any, ...]]] = []
        for places in paths:
            air.run(0.001)
            found.append([])
            for i, (device, place) in enumerate(zip(devices, places, strict=True)):
                device.SetPosition(ns.Vector(*(float(axis) for axis in place)))
                share = soft.GetShare(device, gnb) if soft else float("nan")
                state = bool(air.condition.GetChannelCondition(gnb, device).IsLos())
                powers = air.loss.CalcRxPower(0.0, gnb, device), air.loss.CalcRxPower(0.0, device, gnb)
                gains = [prb.single for prb in air.channel.GetDownlink(i)]
                found[-1].append((share, state, *powers, gains))
        return Walk(*(np.array([[each[i] for each in row] for row in found]) for i in range(5)))
    finally:
        air.close()
