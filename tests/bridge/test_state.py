# SPDX-License-Identifier: Apache-2.0
"""The server against a small model of what docs/inside/security.md promises, in whatever order anybody says anything.

Three peers speak to one server in the raw. The model knows one session at most, how many requests were answered
and how many carried out; each answer is held against it. `COSIM_STEPS` and `COSIM_EXAMPLES` lengthen it.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import zmq
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.endpoint import control_endpoint
from bridge.messages import (
    CLIENT_TIMEOUT_S,
    MAGIC,
    MAX_TO_SERVER_BYTES,
    PROTOCOL_VERSION,
    Beat,
    Convey,
    Conveyance,
    Goodbye,
    Hello,
    Pulse,
    Refused,
    Reply,
    Request,
    ToServer,
    Welcome,
    decode,
    encode,
    to_client,
)
from bridge.network import Message, Transfer, Wait
from tests.support.fixed_network import FixedNetwork
from tests.support.servers import eventually

ANSWER_MS = 10_000
PEERS = st.integers(0, 2)
TRANSFERS = (Transfer(0, 1000, 5000, 1000), Transfer(3, 500, 0, 500))


class Peer:
    """A client without manners: two bare sockets."""

    def __init__(self, stack: ExitStack, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str):
        self.data, self.control = (stack.enter_context(context.socket(zmq.DEALER)) for _ in range(2))
        for channel, place in ((self.data, endpoint), (self.control, control_endpoint(endpoint))):
            channel.setsockopt(zmq.LINGER, 0)
            channel.setsockopt(zmq.RCVTIMEO, ANSWER_MS)
            channel.connect(place)
        self.session = uuid4().hex

    def ask(self, message: ToServer):
        self.data.send(encode(message))
        return decode(self.data.recv(), to_client)

    def beat(self, session: str) -> Pulse:
        self.control.send(encode(Beat(session)))
        pulse = decode(self.control.recv(), to_client)
        assert isinstance(pulse, Pulse)
        return pulse


class OneServer:
    """The server of all sequences, and its clock, which can be put forward."""

    def __init__(self, stack: ExitStack):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.endpoint = f"ipc://{folder}/data"
        self.clock, self.log = folder / "clock", folder / "log"
        self._ahead_s = 0.0
        self.pass_time(0)
        command = [sys.executable, "-m", "tests.support.fixed_network", self.endpoint, f"clock={self.clock}"]
        self.process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        stack.callback(self.process.kill)
        context = stack.enter_context(zmq.Context())
        self.peers = [Peer(stack, context, self.endpoint) for _ in range(3)]

    def pass_time(self, seconds: float) -> None:
        """Nobody says anything for so long."""
        self._ahead_s += seconds
        new = self.clock.with_suffix(".new")
        new.write_text(repr(self._ahead_s))
        new.replace(self.clock)

    def carried_out(self) -> int:
        """Exchanges carried out since the session began."""
        return len(self.log.read_text().split()) if self.log.exists() else 0


def machine(server: OneServer) -> type[RuleBasedStateMachine]:
    """Sequences of what three peers may do to `server`."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.session: str | None = None
            self.answered = 0
            self.last: Reply | Conveyance | Refused | None = None
            self.direct = FixedNetwork()
            self.former = "never"

        @initialize()
        def nobody_is_served(self) -> None:
            """Whatever a sequence that failed has left."""
            for peer in server.peers:
                peer.session = uuid4().hex
            if not isinstance(self.hello(0, self.session_of(0)), Welcome):
                server.pass_time(CLIENT_TIMEOUT_S + 1)
                assert eventually(lambda: isinstance(self.hello(0, self.session_of(0)), Welcome))
            self.session = self.session_of(0)
            self.leave(0, "present")

        def session_of(self, peer: int) -> str:
            return server.peers[peer].session

        def teardown(self) -> None:
            if self.session is not None:
                self.leave(0, "present")

        def named(self, peer: int, whose: str) -> str:
            """A session that a peer may speak of."""
            return {
                "own": server.peers[peer].session,
                "present": self.session or "nobody",
                "former": self.former if self.former != self.session else "another",
                "made up": "guess",
            }[whose]

        def hello(self, peer: int, session: str):
            name = f"peer-{peer}"
            return server.peers[peer].ask(Hello(session, name, "fixed", {"log": str(server.log)}, 1, {}, None))

        def opened(self, session: str) -> None:
            self.session, self.answered, self.last, self.direct = session, 0, None, FixedNetwork()

        @rule(peer=PEERS, whose=st.sampled_from(["own", "present", "former"]))
        def greet(self, peer: int, whose: str) -> None:
            session = self.named(peer, whose)
            if self.session is None:
                server.log.unlink(missing_ok=True)
            answer = self.hello(peer, session)
            if self.session in (None, session):
                assert answer == Welcome(session, FixedNetwork().info)
                if self.session is None:
                    self.opened(session)
                return
            assert isinstance(answer, Refused)
            assert (answer.session, answer.sequence, answer.field, answer.final) == (session, 0, "session", False)
            assert self.session not in answer.reason

        def ask(self, peer: int, session: str, sequence: int, deadline_ns: int) -> Reply | Conveyance | Refused:
            request = Request(session, sequence, TRANSFERS, self.direct.now_ns, deadline_ns, Wait.ALL, None)
            answer = server.peers[peer].ask(request)
            assert isinstance(answer, Reply | Conveyance | Refused)
            assert (answer.session, answer.sequence) == (session, sequence)
            return answer

        @precondition(lambda self: self.session is not None)
        @rule(peer=PEERS, sound=st.booleans())
        def ask_next(self, peer: int, sound: bool) -> None:
            now_ns = self.direct.now_ns
            deadline_ns = now_ns + 10**9 if sound else now_ns - 1
            answer = self.ask(peer, self.session or "", self.answered + 1, deadline_ns)
            self.answered, self.last = self.answered + 1, answer
            if sound:
                assert isinstance(answer, Reply)
                assert answer.outcome == self.direct.exchange(TRANSFERS, now_ns, deadline_ns)
            else:
                assert isinstance(answer, Refused)
                assert (answer.field, answer.final) == ("deadline_ns", False)

        @precondition(lambda self: self.session is not None)
        @rule(peer=PEERS, count=st.integers(0, 3))
        def convey_next(self, peer: int, count: int) -> None:
            """In one count with the requests for exchanges."""
            now_ns, number = self.direct.now_ns, self.answered + 1
            messages = tuple(Message(9 * number + i, i, True, 100, now_ns, now_ns + 10**9) for i in range(count))
            convey = Convey(self.session or "", number, messages, now_ns + 10**9)
            answer = server.peers[peer].ask(convey)
            assert isinstance(answer, Conveyance)
            assert (answer.session, answer.sequence) == (self.session, number)
            assert answer.conveyed == self.direct.convey(messages, now_ns + 10**9)
            self.answered, self.last = number, answer

        @precondition(lambda self: self.answered > 0)
        @rule(peer=PEERS, deadline_ns=st.integers(0, 2**62))
        def ask_again(self, peer: int, deadline_ns: int) -> None:
            """The number tells that it is the same request, whatever else it says."""
            assert self.ask(peer, self.session or "", self.answered, deadline_ns) == self.last

        @precondition(lambda self: self.session is not None)
        @rule(peer=PEERS, ahead=st.sampled_from([-3, -1, 2, 100]))
        def ask_out_of_order(self, peer: int, ahead: int) -> None:
            answer = self.ask(
                peer, self.session or "", max(self.answered + ahead, 1 if self.answered > 1 else 9), 10**18
            )
            assert isinstance(answer, Refused)
            assert (answer.field, answer.final) == ("sequence", False)

        @rule(peer=PEERS, whose=st.sampled_from(["former", "made up"]), sequence=st.integers(1, 9))
        def ask_in_another_session(self, peer: int, whose: str, sequence: int) -> None:
            answer = self.ask(peer, self.named(peer, whose), sequence, 10**18)
            assert isinstance(answer, Refused)
            assert (answer.field, answer.final) == ("session", True)

        @rule(peer=PEERS, whose=st.sampled_from(["present", "former", "made up"]))
        def leave(self, peer: int, whose: str) -> None:
            session = self.named(peer, whose)
            server.peers[peer].data.send(encode(Goodbye(session)))
            if session == self.session:
                assert eventually(lambda: not server.peers[0].beat(session).served)
                self.session, self.former, self.answered = None, session, 0
                server.peers[peer].session = uuid4().hex
            else:
                self.speak_another_version(peer, PROTOCOL_VERSION + 1)  # what is answered was read after the goodbye

        def let_it_look(self) -> None:
            """The server looks for lost clients after each message on the control channel."""
            for _ in range(2):
                assert not server.peers[0].beat("").served

        @precondition(lambda self: self.session is not None)
        @rule(peer=PEERS)
        def fall_silent(self, peer: int) -> None:
            """The present client's place can be taken once it has not beaten for its time-out, and not before."""
            session = server.peers[peer].session = uuid4().hex
            assert server.peers[0].beat(self.session or "").served
            server.pass_time(CLIENT_TIMEOUT_S - 2)
            self.let_it_look()
            for _ in range(2):  # the second one comes after it has thought about the first
                assert isinstance(self.hello(peer, session), Refused)
            server.pass_time(3)
            self.let_it_look()
            self.former = self.session or ""
            assert eventually(lambda: isinstance(self.hello(peer, session), Welcome))
            server.log.unlink(missing_ok=True)
            self.opened(session)

        @rule(peer=PEERS, whose=st.sampled_from(["present", "former", "made up"]))
        def beat(self, peer: int, whose: str) -> None:
            session = self.named(peer, whose)
            served = session == self.session
            expected = Pulse(True, self.direct.now_ns, 0, self.answered) if served else Pulse(False, 0, 0, 0)
            assert server.peers[peer].beat(session) == expected

        @rule(peer=PEERS, noise=st.binary(max_size=200), parts=st.integers(1, 3), on_data=st.booleans())
        def talk_nonsense(self, peer: int, noise: bytes, parts: int, on_data: bool) -> None:
            channel = server.peers[peer].data if on_data else server.peers[peer].control
            channel.send_multipart([MAGIC + bytes([PROTOCOL_VERSION]) + noise] * parts)

        @rule(peer=PEERS)
        def say_too_much(self, peer: int) -> None:
            server.peers[peer].data.send(bytes(MAX_TO_SERVER_BYTES + 1))

        @rule(peer=PEERS, version=st.integers(0, 255).filter(lambda version: version != PROTOCOL_VERSION))
        def speak_another_version(self, peer: int, version: int) -> None:
            server.peers[peer].data.send(MAGIC + bytes([version]))
            answer = decode(server.peers[peer].data.recv(), to_client)
            assert isinstance(answer, Refused)
            assert (answer.session, answer.field, answer.final) == ("", "protocol", True)

        @invariant()
        def each_request_was_carried_out_once(self) -> None:
            assert server.process.poll() is None
            if self.session is not None:
                assert server.carried_out() == self.direct.exchanges

    return Machine


def test_the_server_keeps_its_promises_in_any_order():
    examples, steps = (
        int(os.environ.get(name, default)) for name, default in (("COSIM_EXAMPLES", 60), ("COSIM_STEPS", 50))
    )
    with ExitStack() as stack:
        server = OneServer(stack)
        run_state_machine_as_test(
            machine(server),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                phases=[Phase.generate],  # one server serves all sequences, so a shorter one need not fail alike
            ),
        )
