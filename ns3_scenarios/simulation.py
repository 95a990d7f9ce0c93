# SPDX-License-Identifier: GPL-2.0-only
"""A `bridge.network.Network` that is ns-3 itself, in this process."""

import hashlib
import inspect
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bridge.network import (
    STATUSES,
    WAITS,
    Conveyed,
    Delivery,
    LinkState,
    Message,
    NetworkInfo,
    Outcome,
    PartnerLost,
    RequestError,
    Transfer,
    TransferOutcome,
    Wait,
    check_messages,
    check_request,
)

from . import drops
from .attach import attach
from .outputs import Outputs
from .scenario import BUILD_LIMIT_S, Scenario
from .scenarios import scenario_class
from .scripts import script
from .scripts.guard import Guard
from .scripts.hang import bounded
from .topology import ScriptError, Topology
from .wheel import build, loader
from .wheel.contrib import contribs, fingerprint
from .world import background, life, movement, streams

_TIMES = 4  # of a transfer in the native answer, behind its status

_SOCKETS = {"udp": "ns3::UdpSocketFactory", "tcp": "ns3::TcpSocketFactory"}


def open_network(
    scenario: str,
    parameters: Mapping[str, Any],
    seed: int,
    apart: Mapping[str, int] | None = None,
    folder: str | None = None,
) -> "Simulation":
    """Build a scenario, named as for `scenario_class`; it is ready for its first exchange when this returns.

    `seed` (1 to 2**32 - 1) chooses the run of ns-3's `RngSeedManager`: the same one gives the same network to the
    nanosecond, any two are independent. `apart` are seeds of their own for some of `streams.APART`. `folder`, which
    must not be there yet, gets the files that the scenario's `outputs` ask for; they are complete when the simulation
    is closed. Raises `RequestError` for an unknown scenario, parameter or seed, for outputs that it cannot have, and
    for what a script raises.
    """
    kind = scenario_class(scenario)
    streams.check_seeds(seed, apart or {})
    with script.told_by_line(scenario):
        with bounded(BUILD_LIMIT_S if script.is_script(scenario) else None):
            made = kind.parse(parameters)
        return Simulation(made, seed, apart, folder, scenario)


class Simulation:
    """One ns-3 simulation of a scenario. ns-3 is global to a process, so only one can be open at a time.

    `exchange` lets other Python threads run meanwhile; these may call `interrupt` and `progress_ns`. `source` is the
    script that the scenario comes from, if it does: what it raises is told by its line.
    """

    _open: "Simulation | None" = None

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        apart: Mapping[str, int] | None = None,
        folder: str | None = None,
        source: str = "",
    ):
        if Simulation._open is not None:
            raise RuntimeError("a simulation is already open in this process; close it first")
        self._scenario = scenario
        self._source = source
        self._seeds = dict.fromkeys(streams.APART, seed) | dict(apart or {})
        limit_s = scenario.build_limit_s if script.is_script(source) else None
        self._ns = ns = loader.load(scenario.modules, scenario.headers, contribs(type(scenario)))
        self._engine = engine = ns.CreateObject[ns.cosim.ExchangeEngine]()
        self._guard: Guard | None = None
        Simulation._open = self
        self._outputs = Outputs()
        self._has_shares = False
        try:
            ns.Config.Reset()
            streams.begin(ns, seed)
            ns.cosim.LengthenPendingQueues()
            self._guard = Guard(ns)
            with bounded(limit_s):
                self._topology = _checked(scenario.build(ns), scenario.name)
            self._guard.check()
            self._radio = self._topology.radio or ns.CreateObject[ns.cosim.Radio]()
            self._move(self._topology)
            for user in (*self._topology.devices, *self._topology.others):
                engine.FollowTrack(user.node)  # before NetAnim gives a place to nodes that have none
            self._outputs.begin(ns, scenario.outputs, self._topology, folder)
            with bounded(limit_s):
                self._install(self._topology)
            attach(engine, scenario, self._topology, limit_s)
            with streams.drawn_by(ns, self._seeds["background"]):
                self._flows = background.install(ns, scenario.background, self._topology, self.now_ns)
        except BaseException:
            self.close()
            raise
        self.info = NetworkInfo(
            scenario=scenario.name,
            devices=tuple(device.name for device in self._topology.devices),
            now_ns=self.now_ns,
            parameters=msgspec.to_builtins(scenario),
            versions={
                "ns3": version("ns3"),
                "native": build.source_hash(),
                "scenario": _source_hash(scenario),
                **_input_hash(scenario),
                **{f"contrib {Path(each.library).name}": fingerprint(each) for each in contribs(type(scenario))},
            },
            bandwidth_hz=self._topology.bandwidth_hz,
            takes_shares=self._topology.apply_shares is not None,
            air_w=_air_w(self._topology),
            others=tuple(user.name for user in self._topology.others),
            sites=tuple(self._topology.sites),
        )

    def _move(self, topology: Topology) -> None:
        if self._scenario.movement is not None:
            names, nodes = [device.name for device in topology.devices], [device.node for device in topology.devices]
            with streams.drawn_by(self._ns, self._seeds["movement"]):
                movement.start(self._ns, names, nodes, self._scenario.movement)

    def _install(self, topology: Topology) -> None:
        ns, engine = self._ns, self._engine
        ns.cosim.ExchangeEngine.Exchange.__release_gil__ = True
        ns.cosim.ExchangeEngine.Convey.__release_gil__ = True
        engine.SetRadio(self._radio)
        protocol = ns.TypeId.LookupByName(_SOCKETS[self._scenario.transport])
        ns.cosim.FillNeighbourCaches()
        server = topology.edge_address.ConvertTo()
        for device in topology.devices:
            engine.AddDevice(topology.edge_server, server, device.node, device.address.ConvertTo(), protocol)
        with streams.drawn_by(ns, self._seeds["life"]):
            life.begin(engine, self._scenario.life, topology.devices)

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
        """As `bridge.network.Network.exchange`; raises `InterruptedError` if `interrupt` ended it.

        What a script raises while ns-3 runs closes the simulation: an event was left half done.
        """
        self._hold_open()
        check_request(self.info, self.now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        _hold_63_bits("deadline_ns", deadline_ns)
        with script.told_by_line(self._source):
            self._apply_shares(bandwidth_shares)
            with self._closed_if_broken():
                return self._carry_out(transfers, depart_ns, deadline_ns, wait)

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """As `bridge.network.MessageNetwork.convey`; otherwise as `exchange`.

        Messages are datagrams, whatever `transport` is.
        """
        self._hold_open()
        check_messages(self.info, self.now_ns, messages, until_ns)
        _hold_63_bits("until_ns", max([until_ns, *(each.deadline_ns for each in messages)]))
        with script.told_by_line(self._source), self._closed_if_broken():
            figures = [int(figure) for each in messages for figure in msgspec.structs.astuple(each)]
            if not self._engine.Convey(len(messages), array("l", figures or [0]), until_ns):
                raise InterruptedError(f"interrupted at {self.now_ns} ns of virtual time")
            rows = array("l", [0] * 3 * self._engine.GetDeliveryCount())
            if rows:  # cppyy takes no empty buffer
                self._engine.TakeDeliveries(rows)
            told = (Delivery(rows[i], STATUSES[rows[i + 1]], rows[i + 2]) for i in range(0, len(rows), 3))
            return Conveyed(self.now_ns, tuple(told))

    def _hold_open(self) -> None:
        if Simulation._open is not self:
            raise PartnerLost(f"the simulation was closed at {self.now_ns} ns of virtual time")

    @contextmanager
    def _closed_if_broken(self) -> Iterator[None]:
        try:
            yield
        except InterruptedError:
            raise
        except Exception:
            self.close()
            raise

    def _apply_shares(self, shares: Sequence[float] | None) -> None:
        """Shares hold for one exchange; the next one without any takes them back."""
        if shares is None and not self._has_shares:
            return
        if self._topology.apply_shares is None:
            raise RequestError(
                "bandwidth_shares", f"the {self.info.scenario} scenario cannot apply them; leave them out"
            )
        self._topology.apply_shares(shares)
        self._has_shares = shares is not None

    def _carry_out(self, transfers: Sequence[Transfer], depart_ns: int, deadline_ns: int, wait: Wait) -> Outcome:
        figures = [figure for t in transfers for figure in (t.device, t.downlink_bytes, t.compute_ns, t.uplink_bytes)]
        asked = array("l", figures or [0])  # cppyy takes no empty buffer
        answer = array("l", [0] * max((1 + _TIMES) * len(transfers), 1))
        air = array("d", [0.0] * max(2 * len(transfers), 1))
        if not self._engine.Exchange(len(transfers), asked, depart_ns, deadline_ns, WAITS.index(wait), answer, air):
            raise InterruptedError(f"interrupted at {self.now_ns} ns of virtual time")
        outcomes = []
        for i, transfer in enumerate(transfers):
            status, *times = answer[i * (1 + _TIMES) : (i + 1) * (1 + _TIMES)]
            radiated = map(_measured, air[2 * i : 2 * i + 2])
            outcomes.append(TransferOutcome(transfer.device, STATUSES[status], *map(_counted, times), *radiated))
        links = tuple(map(self._link, range(len(self.info.devices))))
        return Outcome(self.now_ns, tuple(outcomes), links, self._channel(), self._notes(), self._tracks())

    def _channel(self) -> bytes:
        sampler = self._engine.GetChannelSampler()
        rows = bytearray(sampler.GetBytes())
        if rows:  # cppyy takes no empty buffer
            sampler.Take(rows)
        return bytes(rows)

    def _tracks(self) -> bytes:
        rows = bytearray(self._engine.GetTrackBytes())
        if rows:
            self._engine.TakeTracks(rows)
        return bytes(rows)

    def _notes(self) -> tuple[str, ...]:
        rows = array("l", [0] * 4 * self._engine.GetDropCount())
        if not rows:  # cppyy takes no empty buffer
            return ()
        self._engine.TakeDrops(rows)
        return drops.described(self._ns, self._topology, rows)

    def _link(self, device: int) -> LinkState:
        sample = self._radio.GetLink(device)
        return LinkState(
            device,
            bool(self._engine.IsConnected(device)),
            _measured(sample.downlinkSinrDb),
            _measured(sample.uplinkSinrDb),
            _counted(sample.cqi),
            _counted(sample.downlinkMcs),
            _counted(sample.uplinkMcs),
            _measured(sample.downlinkRateBps),
            _measured(sample.uplinkRateBps),
            _counted(sample.rlcQueueBytes),
            _counted(sample.bsrBytes),
            _counted(sample.cell),
            _counted(sample.rank),
            _counted(sample.downlinkPrbs),
            _counted(sample.uplinkPrbs),
            _measured(sample.downlinkBler),
            _measured(sample.uplinkBler),
        )

    def interrupt(self) -> None:
        """End the exchange under way, and any later one, at once with `InterruptedError`. From any thread."""
        self._engine.Interrupt()

    def progress_ns(self) -> int:
        """Virtual time, also while an exchange runs. From any thread."""
        return int(self._engine.GetNow())

    def close(self) -> None:
        """Destroy the simulation. Closing twice does nothing."""
        if Simulation._open is not self:
            return
        Simulation._open = None
        self._engine.Close()
        if self._guard is not None:
            self._guard.lift()
        self._outputs.finish()
        self._ns.Simulator.Destroy()
        self._outputs.close()


def _checked(built: Any, name: str) -> Topology:
    if not isinstance(built, Topology):
        raise ScriptError(f"build of {name} returned {type(built).__name__}, not a Topology")
    return built


def _air_w(topology: Topology) -> tuple[tuple[float, float] | None, ...] | None:
    powers = tuple(device.air_w for device in topology.devices)
    return powers if any(powers) else None


def _source_hash(scenario: Scenario) -> str:
    """A hash of this package's Python sources and of the file that the scenario is written in."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        digest.update(path.relative_to(here).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    own = Path(inspect.getfile(type(scenario)))
    digest.update(own.name.encode() + b"\0" + own.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _input_hash(scenario: Scenario) -> dict[str, str]:
    """A hash of the recordings that its outcomes depend on, if there are any."""
    files = [*scenario.inputs(), *movement.files(scenario.movement), *background.files(scenario.background)]
    if not files:
        return {}
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    return {"inputs": hashlib.sha256(b"".join(digests)).hexdigest()[:16]}


def _hold_63_bits(field: str, time_ns: int) -> None:
    if time_ns >= 2**63:
        raise RequestError(field, f"{time_ns} is beyond the 63 bits of virtual time")


def _measured(value: float) -> float | None:
    return None if value != value else float(value)  # NaN  # noqa: PLR0124


def _counted(value: int) -> int | None:
    return None if value < 0 else int(value)
