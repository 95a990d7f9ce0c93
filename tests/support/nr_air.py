# SPDX-License-Identifier: GPL-2.0-only
"""The NR channel without a cell, in a process that has ns-3."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ns3_scenarios.wheel import loader
from ns3_scenarios.world import streams

HEADERS = (
    "ns3/isotropic-antenna-model.h",
    "ns3/uniform-planar-array.h",
    "ns3/propagation-loss-model.h",
    "ns3/channel-condition-model.h",
    "ns3/mobility-helper.h",
    "ns3/constant-velocity-mobility-model.h",
    "nr-channel.h",
)
STREAM = 77


class Air:
    """A gNB and devices; all lengths in m, speeds in m/s."""

    def __init__(self, places: list[tuple[float, float, float]], seed: int = 1, **given: Any):
        options = {"fading": "none", "sight": "Always", "gnb": (1, 1), "device": (1, 1), "polarizations": 1} | given
        self.ns = ns = loader.load(("spectrum",), HEADERS)
        streams.begin(ns, seed)
        self.nodes = ns.NodeContainer(1 + len(places))
        loss = ns.ObjectFactory("ns3::FriisPropagationLossModel").Create[ns.PropagationLossModel]()
        loss.SetAttribute("Frequency", ns.DoubleValue(3.5e9))
        condition = ns.ObjectFactory(f"ns3::{options['sight']}LosChannelConditionModel")
        self.condition = condition.Create[ns.ChannelConditionModel]()
        self.channel = channel = ns.CreateObject[ns.cosim.NrChannel]()
        channel.SetAttribute("PropagationLossModel", ns.PointerValue(loss))
        channel.SetAttribute("ChannelConditionModel", ns.PointerValue(self.condition))
        channel.SetAttribute("Fading", ns.StringValue(options["fading"]))
        for name, value in options.get("attributes", {}).items():
            channel.SetAttribute(name, ns.DoubleValue(value) if isinstance(value, float) else ns.UintegerValue(value))
        speeds = options.get("speeds", [(0.0, 0.0, 0.0)] * len(places))
        for i, (place, speed) in enumerate(zip([(0.0, 0.0, 10.0), *places], [(0.0, 0.0, 0.0), *speeds], strict=True)):
            mobility = ns.CreateObject[ns.ConstantVelocityMobilityModel]()
            mobility.SetPosition(ns.Vector(*place))
            mobility.SetVelocity(ns.Vector(*speed))
            self.nodes.Get(i).AggregateObject(mobility)
        self.arrays = [
            self._array(options["gnb"] if i == 0 else options["device"], options) for i in range(1 + len(places))
        ]
        channel.SetGnb(self._mobility(0), self.arrays[0])
        for i in range(len(places)):
            channel.AddDevice(self._mobility(1 + i), self.arrays[1 + i])
        channel.AssignStreams(STREAM)

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


def aging(place: tuple[float, float, float], after_s: float, seed: int, **given: Any) -> list[dict[str, Any]]:
    """Down and up: the precoder at first; after so long gains behind that one, the best and every one, on 3 PRBs."""
    air = Air([place], seed, attributes={"Prbs": 3}, **given)
    try:
        air.gains(0, False)
        air.run(
            0.01
        )  # ns-3 makes the matrix again, the same, the first time that it is asked for a device that has moved
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
