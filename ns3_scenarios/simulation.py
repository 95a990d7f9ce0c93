# SPDX-License-Identifier: GPL-2.0-only
"""A `bridge.network.Network` that is ns-3 itself, in this process."""

from array import array
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from bridge.network import (
    NS_PER_S,
    LinkState,
    NetworkInfo,
    Outcome,
    RequestError,
    Status,
    Transfer,
    TransferOutcome,
    Wait,
    check_request,
)

from . import loader, native
from .lte import Lte
from .scenario import Scenario

SCENARIOS: dict[str, type[Scenario]] = {"lte": Lte}

# In the order of the native enumerations (native/exchange.h).
_WAITS = (Wait.ALL, Wait.ANY, Wait.DEADLINE)
_STATUSES = (Status.DONE, Status.LATE, Status.LOST, Status.UNREACHABLE)


def open_network(scenario: str, parameters: Mapping[str, Any], seed: int, run: int) -> "Simulation":
    """Build the scenario of that name; it is ready for its first exchange when this returns.

    `seed` (1 to 2**32 - 1) and `run` (0 to 2**63 - 1) are those of ns-3's `RngSeedManager`: the same figures
    give the same network to the nanosecond. Raises `RequestError` for an unknown scenario or parameter.
    """
    if scenario not in SCENARIOS:
        raise RequestError("radio.scenario", f"{scenario} is none of {', '.join(sorted(SCENARIOS))}")
    if not 1 <= seed < 2**32:
        raise RequestError("seed", f"{seed} is not within 1 and 2**32 - 1")
    if not 0 <= run < 2**63:
        raise RequestError("run", f"{run} is not within 0 and 2**63 - 1")
    return Simulation(SCENARIOS[scenario].parse(parameters), seed, run)


class Simulation:
    """One ns-3 simulation of a scenario. ns-3 is global to a process, so only one can be open at a time.

    `exchange` lets other Python threads run meanwhile; of these, `interrupt` and `progress_ns` may be called.
    """

    _open: "Simulation | None" = None

    def __init__(self, scenario: Scenario, seed: int, run: int):
        if Simulation._open is not None:
            raise RuntimeError("a simulation is already open in this process; close it first")
        Simulation._open = self
        self._scenario = scenario
        self._ns = ns = loader.load(scenario.modules, scenario.headers)
        ns.Config.Reset()
        ns.RngSeedManager.ResetNextStreamIndex()
        ns.RngSeedManager.SetSeed(seed)
        ns.RngSeedManager.SetRun(run)
        topology = scenario.build(ns)
        self._topology = topology
        self._radio = topology.radio or ns.CreateObject[ns.cosim.Radio]()
        self._engine = self._install(topology)
        self.info = NetworkInfo(
            scenario=scenario.name,
            devices=tuple(device.name for device in topology.devices),
            now_ns=self.now_ns,
            parameters=msgspec.to_builtins(scenario),
            versions={"ns3": version("ns3"), "native": native.source_hash()},
        )

    def _install(self, topology: Any) -> Any:
        ns = self._ns
        engine = ns.CreateObject[ns.cosim.ExchangeEngine]()
        engine.SetRadio(self._radio)
        protocol = ns.TypeId.LookupByName(
            "ns3::UdpSocketFactory" if self._scenario.transport == "udp" else "ns3::TcpSocketFactory"
        )
        server_address = topology.edge_address.ConvertTo()
        for device in topology.devices:
            address = device.address.ConvertTo()
            engine.AddDevice(topology.edge_server, server_address, device.node, address, protocol)
        ns.cosim.ExchangeEngine.Exchange.__release_gil__ = True
        engine.Attach(round(self._scenario.attach_s * NS_PER_S))
        return engine

    @property
    def now_ns(self) -> int:
        """Virtual time, as of the last exchange."""
        return int(self._engine.GetNow())

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """As `bridge.network.Network.exchange`; raises `InterruptedError` if `interrupt` ended it."""
        check_request(self.info, self.now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        if bandwidth_shares is not None:
            self._scenario.apply_shares(bandwidth_shares)
        asked = array(
            "l",
            [figure for t in transfers for figure in (t.device, t.downlink_bytes, t.compute_ns, t.uplink_bytes)] or [0],
        )
        answer = array("l", [0] * max(5 * len(transfers), 1))
        if not self._engine.Exchange(len(transfers), asked, depart_ns, deadline_ns, _WAITS.index(wait), answer):
            raise InterruptedError(f"interrupted at {self.now_ns} ns of virtual time")
        outcomes = tuple(
            TransferOutcome(
                t.device,
                _STATUSES[answer[5 * i]],
                *(time if time >= 0 else None for time in answer[5 * i + 1 : 5 * i + 5]),
            )
            for i, t in enumerate(transfers)
        )
        return Outcome(self.now_ns, outcomes, tuple(map(self._link, range(len(self.info.devices)))))

    def _link(self, device: int) -> LinkState:
        sample = self._radio.GetLink(device)
        measured = lambda value: value if value == value else None
        known = lambda value: value if value >= 0 else None
        return LinkState(
            device,
            self._radio.IsConnected(device),
            measured(sample.downlinkSinrDb),
            measured(sample.uplinkSinrDb),
            known(sample.cqi),
            known(sample.downlinkMcs),
            known(sample.uplinkMcs),
            measured(sample.downlinkRateBps),
            measured(sample.uplinkRateBps),
            known(sample.rlcQueueBytes),
            known(sample.bsrBytes),
        )

    def interrupt(self) -> None:
        """End the exchange under way, or else the next one, at once: it raises `InterruptedError`. From any thread."""
        self._engine.Interrupt()

    def progress_ns(self) -> int:
        """Virtual time, also while an exchange runs. From any thread."""
        return int(self._engine.GetNow())

    def close(self) -> None:
        """Destroy the simulation. Closing twice does nothing."""
        if Simulation._open is not self:
            return
        self._ns.Simulator.Destroy()
        Simulation._open = None
