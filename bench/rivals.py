# SPDX-License-Identifier: Apache-2.0
"""The exchange of `bench.bridge` without our bridge: over a bare pyzmq echo, over HELICS, over mosaik.

HELICS: two value federates in lockstep, a core each, over shared memory (its `ipc` core), the broker in the model
side's process. Federates that are not interruptible and publications were its fastest way of those tried.

mosaik: the model's side runs inside mosaik and the network's side is a remote simulator; the connection back is
time-shifted. It carries JSON, so the frames go as base64. Both simulators are time-based: with event-based ones
mosaik 3.6 grows slower by every step, as each leaves a wait for the end of the simulation behind.
"""

import base64
import os
from collections.abc import Callable
from typing import Any

import zmq

from bench.turns import More, partner
from bridge.endpoint import private_ipc
from bridge.messages import Reply, Request, decode, encode, to_client, to_server
from bridge.network import LinkState, Outcome, Status, Transfer, TransferOutcome, Wait

MOSAIK_END = 1 << 40
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

    def turn(frame: str) -> str:
        nonlocal sequence
        if sequence:
            check(base64.b64decode(frame), sequence)
        sequence += 1
        return base64.b64encode(ask(sequence)).decode() if more() else ""

    with World(skip_greetings=True, configure_logging=False) as world:
        model = world.start(PythonStarter(mosaik_simulator("model", turn)), sim_id="Model").Side()
        network = world.start(CmdStarter("%(python)s -m bench.rivals %(addr)s"), sim_id="Network").Side()
        world.connect(model, network, "frame")
        world.connect(network, model, "frame", time_shifted=1, initial_data={"frame": ""})
        world.run(until=MOSAIK_END, print_progress=False)


def mosaik_network() -> None:
    """Answers until mosaik stops it. mosaik starts this file anew for it, with its own address as the argument."""
    from mosaik_api_v3 import start_simulation  # noqa: PLC0415

    def turn(frame: str) -> str:
        return base64.b64encode(answer(base64.b64decode(frame))).decode() if frame else ""

    start_simulation(mosaik_simulator("network", turn)(), configure_logging=False)


def mosaik_simulator(name: str, turn: Callable[[str], str]) -> Any:
    """A simulator class for mosaik: in every time step `turn` gets the frame that came and gives the one to send.

    The step after which it gives none was the last.
    """
    from mosaik_api_v3 import Simulator  # noqa: PLC0415

    class Side(Simulator):  # type: ignore[misc]  # mosaik has no types
        def __init__(self) -> None:
            model = {"public": True, "params": [], "attrs": ["frame"]}
            super().__init__({"api_version": "3.0", "type": "time-based", "models": {"Side": model}})
            self.frame = ""

        def init(self, sid: str, time_resolution: float = 1.0, **_: Any) -> Any:
            return self.meta

        def create(self, num: int, model: str, **_: Any) -> Any:
            return [{"eid": name, "type": model}]

        def step(self, time: int, inputs: Any, max_advance: int) -> int:
            (frame,) = inputs[name]["frame"].values()
            self.frame = turn(frame)
            return time + 1 if self.frame else MOSAIK_END

        def get_data(self, outputs: Any) -> Any:
            return {name: {"frame": self.frame}}

    return Side


if __name__ == "__main__":
    mosaik_network()
