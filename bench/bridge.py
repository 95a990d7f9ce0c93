# SPDX-License-Identifier: Apache-2.0
"""The round trip of one exchange of 8 transfers without simulation, our bridge beside others: `python -m bench.bridge`.

Every contestant is two processes, a model's side and a network's side that has its answer ready. All carry the same
content, a `Request` with 8 transfers there and a `Reply` with 8 outcomes and 8 link states back, packed and unpacked
by `bridge.messages`; only the bare echo carries frames of those lengths unread. A round begins when the answer of
the round before is there and was checked, and lasts until the next begins.

HELICS: two value federates in lockstep, a core each, over shared memory (its `ipc` core), the broker in the model
side's process. Federates that are not interruptible and publications were its fastest way of those tried. mosaik:
the model's side runs inside mosaik and the network's side is a remote simulator; the connection back is time-shifted.
mosaik carries JSON, so the frames go as base64.

The contestants take turns, a block of rounds each, so that what else the machine does meets all alike. Median: of the
blocks' medians. p99: of all rounds. Ratio: median over the turns of the ratio within a turn. CPU: seconds of all of a
contestant's processes per second of its blocks; two sides that wait by spinning take 2 cores.
"""

import base64
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.util import find_spec
from socket import create_server
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import zmq
from rich.console import Console
from rich.table import Table

from bench.turns import More, Running, cpu_s, partner
from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.messages import Reply, Request, decode, encode, to_client, to_server
from bridge.network import LinkState, NetworkInfo, Outcome, Status, Transfer, TransferOutcome, Wait
from bridge.server import Server

TURNS = 12
HOLD_S = 2.0
AIM_ECHOES, AIM_HELICS, AIM_HELD = 1.5, 0.5, 0.05

DEVICES = range(8)
NOW_NS = 12_345_678_901
DEADLINE_NS = NOW_NS + 1_000_000_000
TRANSFERS = tuple(Transfer(device, 8192, 1_000_000, 8192) for device in DEVICES)
OUTCOME = Outcome(
    NOW_NS,
    tuple(TransferOutcome(device, Status.DONE, NOW_NS, NOW_NS, NOW_NS, NOW_NS) for device in DEVICES),
    tuple(LinkState(device, True, 20.5, 18.5, 15, 28, 24, 75.4e6, 36.7e6, 0, 0) for device in DEVICES),
)


def ask(sequence: int) -> bytes:
    """A request's frame, as the model's side sends it."""
    return encode(Request("0" * 32, sequence, TRANSFERS, NOW_NS, DEADLINE_NS, Wait.ALL, None))


def answer(frame: bytes) -> bytes:
    """The reply's frame, as the network's side sends it."""
    request = decode(frame, to_server)
    assert isinstance(request, Request)
    assert len(request.transfers) == len(DEVICES)
    return encode(Reply(request.session, request.sequence, OUTCOME, 1000))


def check(frame: bytes, sequence: int) -> None:
    """The model's side has the whole answer, and to this request."""
    reply = decode(frame, to_client)
    assert isinstance(reply, Reply)
    assert reply.sequence == sequence
    assert len(reply.outcome.transfers) == len(reply.outcome.links) == len(DEVICES)


def echo(more: More) -> None:
    """REQ and REP of pyzmq over a Unix socket, and nothing else."""
    there, back = ask(1), answer(ask(1))
    with (
        private_ipc() as endpoint,
        partner(echo_network, endpoint, back),
        zmq.Context() as context,
        context.socket(zmq.REQ) as channel,
    ):
        channel.connect(endpoint)
        while more():
            channel.send(there)
            assert len(channel.recv()) == len(back)
        channel.send(b"")


def echo_network(endpoint: str, back: bytes) -> None:
    """Answers until an empty frame comes."""
    with zmq.Context() as context, context.socket(zmq.REP) as channel:
        channel.bind(endpoint)
        while channel.recv():
            channel.send(back)


def bridge_ipc(more: More) -> None:
    """Our client and server over a Unix socket."""
    with private_ipc() as endpoint:
        bridge(more, endpoint)


def bridge_tcp(more: More) -> None:
    """Our client and server over loopback."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bridge(more, f"tcp://127.0.0.1:{port}")


def bridge(more: More, endpoint: str) -> None:
    """The whole bridge as a run has it: session, sequence numbers, checks, beats and pulses."""
    with partner(bridge_network, endpoint), closing(RemoteNetwork(endpoint, "still", {}, 1)) as network:
        while more():
            outcome = network.exchange(TRANSFERS, NOW_NS, DEADLINE_NS)
            assert len(outcome.transfers) == len(outcome.links) == len(DEVICES)


def bridge_network(endpoint: str) -> None:
    """Our server before a network that answers at once; an exchange without transfers it holds for `HOLD_S`."""

    def exchange(transfers: Sequence[Transfer], *_: Any) -> Outcome:
        if not transfers:
            time.sleep(HOLD_S)
        return OUTCOME

    info = NetworkInfo("still", tuple(f"device-{device}" for device in DEVICES), NOW_NS, {}, {})
    network: Any = SimpleNamespace(
        info=info, exchange=exchange, interrupt=lambda: None, progress_ns=lambda: NOW_NS, close=lambda: None
    )
    Server(endpoint, lambda *_: network, once=True).serve()


def held_cpu() -> float:
    """Seconds of CPU that both sides of the bridge take per second of an exchange that lasts."""
    with (
        private_ipc() as endpoint,
        partner(bridge_network, endpoint) as other,
        closing(RemoteNetwork(endpoint, "still", {}, 1)) as network,
    ):
        sides = psutil.Process(), psutil.Process(other)
        before_s = cpu_s(sides)
        network.exchange((), NOW_NS, DEADLINE_NS)
        return (cpu_s(sides) - before_s) / HOLD_S


def helics(more: More) -> None:
    """Publish, wait for the next microsecond, read; the network's side has the half microseconds."""
    import helics as h  # noqa: PLC0415

    name = f"bench-{os.getpid()}"
    broker = h.helicsCreateBroker("ipc", "", f"--federates=2 --local_interface={name}")
    with partner(helics_network, name):
        federate, publication, subscription = helics_federate(name, "model", "network")
        sequence = 0
        while more():
            sequence += 1
            h.helicsPublicationPublishBytes(publication, ask(sequence))
            h.helicsFederateRequestTime(federate, sequence * 1e-6)
            check(h.helicsInputGetBytes(subscription), sequence)
        h.helicsFederateDisconnect(federate)
    h.helicsBrokerWaitForDisconnect(broker, 5000)


def helics_network(name: str) -> None:
    """Answers until a time comes without a request: the model's side has left."""
    import helics as h  # noqa: PLC0415

    federate, publication, subscription = helics_federate(name, "network", "model")
    time_s = 0.5e-6
    h.helicsFederateRequestTime(federate, time_s)
    while h.helicsInputIsUpdated(subscription):
        h.helicsPublicationPublishBytes(publication, answer(h.helicsInputGetBytes(subscription)))
        time_s += 1e-6
        h.helicsFederateRequestTime(federate, time_s)
    h.helicsFederateDisconnect(federate)


def helics_federate(name: str, mine: str, other: str) -> tuple[Any, Any, Any]:
    """A value federate that executes, what it publishes, and what it subscribes to."""
    import helics as h  # noqa: PLC0415

    info = h.helicsCreateFederateInfo()
    h.helicsFederateInfoSetCoreTypeFromString(info, "ipc")
    h.helicsFederateInfoSetCoreName(info, f"{name}-{mine}")
    h.helicsFederateInfoSetCoreInitString(info, f"--federates=1 --broker_address={name}")
    h.helicsFederateInfoSetTimeProperty(info, h.HELICS_PROPERTY_TIME_DELTA, 1e-9)
    h.helicsFederateInfoSetFlagOption(info, h.HELICS_FLAG_UNINTERRUPTIBLE, True)
    federate = h.helicsCreateValueFederate(mine, info)
    publication = h.helicsFederateRegisterGlobalPublication(federate, mine, h.HELICS_DATA_TYPE_RAW)
    subscription = h.helicsFederateRegisterSubscription(federate, other)
    h.helicsFederateEnterExecutingMode(federate)
    return federate, publication, subscription


def mosaik(more: More) -> None:
    """Two simulators of one entity each: there within a time step, back in the next."""
    from mosaik import World  # noqa: PLC0415
    from mosaik.starters import CmdStarter, PythonStarter  # noqa: PLC0415

    sequence = 0

    def turn(frame: str | None) -> str | None:
        nonlocal sequence
        if frame is not None:
            check(base64.b64decode(frame), sequence)
        sequence += 1
        return base64.b64encode(ask(sequence)).decode() if more() else None

    with World(skip_greetings=True, configure_logging=False, cache=False) as world:
        model = world.start(PythonStarter(mosaik_simulator("model", turn)), sim_id="Model").Side()
        network = world.start(CmdStarter("%(python)s -m bench.bridge %(addr)s"), sim_id="Network").Side()
        world.connect(model, network, "frame")
        world.connect(network, model, "frame", time_shifted=1)
        world.set_initial_event(model.sid)
        world.run(until=1 << 40, print_progress=False)


def mosaik_network() -> None:
    """Answers until mosaik stops it. mosaik starts this file anew for it, with its own address as the argument."""
    from mosaik_api_v3 import start_simulation  # noqa: PLC0415

    def turn(frame: str | None) -> str:
        return base64.b64encode(answer(base64.b64decode(frame or ""))).decode()

    start_simulation(mosaik_simulator("network", turn)(), configure_logging=False)


def mosaik_simulator(name: str, turn: Callable[[str | None], str | None]) -> Any:
    """A simulator class for mosaik: `turn` gets the frame that came and gives the one to send, None to end."""
    from mosaik_api_v3 import Simulator  # noqa: PLC0415

    class Side(Simulator):
        def __init__(self) -> None:
            model = {"public": True, "params": [], "attrs": ["frame"]}
            super().__init__({"api_version": "3.0", "type": "event-based", "models": {"Side": model}})  # type: ignore[no-untyped-call]
            self.frame: str | None = None

        def init(self, sid: str, time_resolution: float = 1.0, **_: Any) -> Any:
            return self.meta

        def create(self, num: int, model: str, **_: Any) -> Any:
            return [{"eid": name, "type": model}]

        def step(self, time: int, inputs: Any, max_advance: int) -> None:
            self.frame = turn(next(iter(inputs[name]["frame"].values())) if inputs else None)

        def get_data(self, outputs: Any) -> Any:
            return {} if self.frame is None else {name: {"frame": self.frame}}

    return Side


CONTESTANTS: dict[str, Callable[[More], None]] = {
    "bare pyzmq echo, ipc": echo,
    "bridge, ipc": bridge_ipc,
    "bridge, tcp loopback": bridge_tcp,
    "HELICS, ipc": helics,
    "mosaik, remote simulator": mosaik,
}


def measure() -> dict[str, Running | None]:
    """Every contestant after all turns, None for those that are not installed."""
    running: dict[str, Running | None] = {}
    try:
        for name, contestant in CONTESTANTS.items():
            missing = contestant in (helics, mosaik) and find_spec(contestant.__name__) is None
            running[name] = None if missing else Running(contestant)
        for _ in range(1 + TURNS):
            for one in filter(None, running.values()):
                one.block()
    finally:
        for one in filter(None, running.values()):
            one.end()
    return running


def main() -> None:
    """Print the table, and whether the aims were met in this run."""
    before = os.getloadavg()[0]
    results = measure()
    held = held_cpu()
    medians = {
        name: np.array([np.median(rounds) for rounds in one.rounds_us[1:]])  # the first block warms up
        for name, one in results.items()
        if one is not None and not one.failed
    }
    echo_us, helics_us = medians.get("bare pyzmq echo, ipc"), medians.get("HELICS, ipc")
    table = Table("", "median µs", "of blocks, µs", "p99 µs", "CPU s/s", "of echo", "of HELICS")
    table.title = f"Exchange of 8 transfers, {len(ask(1))} bytes there and {len(answer(ask(1)))} back, {TURNS} turns"
    for name, one in results.items():
        if one is None or name not in medians:
            table.add_row(name, "not installed" if one is None else "failed")
            continue
        own = medians[name]
        p99 = np.percentile(np.concatenate(one.rounds_us[1:]), 99)
        ratios = ("-" if other is None else f"{np.median(own / other):.2f}" for other in (echo_us, helics_us))
        blocks = f"{own.min():.0f} to {own.max():.0f}"
        table.add_row(name, f"{np.median(own):.0f}", blocks, f"{p99:.0f}", f"{np.mean(one.cpu[1:]):.2f}", *ratios)
    console = Console(width=100)
    console.print(table)
    console.print(f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores.")
    ours = medians.get("bridge, ipc")
    for aim, most, other in (("bare echoes", AIM_ECHOES, echo_us), ("of HELICS", AIM_HELICS, helics_us)):
        if ours is None or other is None:
            console.print(f"Aim, at most {most} {aim}: not measured.")
        else:
            took = np.median(ours / other)
            console.print(f"Aim, at most {most} {aim}: {'met' if took <= most else 'NOT met'} with {took:.2f}.")
    console.print(
        f"Aim, no busy waiting: {'met' if held <= AIM_HELD else 'NOT met'}; both sides together take {held:.3f} s of "
        "CPU per second of an exchange that lasts."
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        mosaik_network()
    else:
        main()
