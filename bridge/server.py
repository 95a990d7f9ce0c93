# SPDX-License-Identifier: Apache-2.0
"""The network's side of the bridge: serves one network to one client at a time.

The main thread owns the data channel and the network. A second thread owns the control channel: it answers
beats while the main thread simulates, and it is the one that notices a lost client, a signal, or the end of
a parent process, and then interrupts the network.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import zmq

from bridge.door import Door, Visit
from bridge.endpoint import check_listen, control_endpoint, remove_sockets
from bridge.gate import Gate
from bridge.keys import Keys
from bridge.messages import (
    CLIENT_TIMEOUT_S,
    MAX_CONTROL_BYTES,
    MAX_TO_SERVER_BYTES,
    Beat,
    Convey,
    Conveyance,
    Goodbye,
    Hello,
    Pulse,
    Refused,
    Reply,
    Request,
    Welcome,
    encode,
)
from bridge.network import RequestError
from bridge.session import InterruptibleNetwork, Session
from bridge.sockets import TICK_S
from bridge.strangers import Strangers

log = logging.getLogger("bridge")


OpenNetwork = Callable[[str, dict[str, Any], int, dict[str, int], str | None], InterruptibleNetwork]
"""`open_network(scenario, parameters, seed, apart, folder)`; raises `RequestError` naming a bad parameter."""


class Server:
    """Serves networks made by `open_network` on `endpoint`, one session after another, until told to stop.

    `once` ends it after the first session. `parent_fd` is a file descriptor whose end of file means that the
    process which started this one is gone. With `keys`, only the client that holds the other pair gets in;
    over tcp `plain_tcp` says that there are to be none. Raises `RequestError` naming `--listen` if it cannot bind.
    """

    def __init__(
        self,
        endpoint: str,
        open_network: OpenNetwork,
        *,
        once: bool = False,
        keys: Keys | None = None,
        plain_tcp: bool = False,
        parent_fd: int | None = None,
    ):
        check_listen(endpoint)
        if keys is None and not plain_tcp and endpoint.startswith("tcp://"):
            raise RequestError("--listen", f"{endpoint} needs --keys, or --plain-tcp to do without")
        self.endpoint = endpoint
        self._open_network = open_network
        self._once = once
        self._parent_fd = parent_fd
        self._context = zmq.Context()
        self._strangers = Strangers()
        self._gate = None if keys is None else Gate(self._context, keys)
        try:
            self._data = self._door(endpoint, MAX_TO_SERVER_BYTES, "data")
            self._control = self._door(control_endpoint(endpoint), MAX_CONTROL_BYTES, "control")
        except RequestError:
            self._destroy(linger_ms=0)
            raise
        self._stop_reason: str | None = None
        self._session: Session | None = None

    def serve(self) -> None:
        """Serve until stopped by `stop`, SIGINT, SIGTERM or the parent's end; leaves no socket file behind."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        previous_fd = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        watch = threading.Thread(target=self._watch, args=(wake_read,), name="control")
        watch.start()
        try:
            while self._stop_reason is None:
                self._serve_one_message()
        finally:
            self.stop("the server ended")
            watch.join()
            self._end_session("the server stopped")
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            os.close(wake_read)
            os.close(wake_write)
            self._destroy(linger_ms=200)
            remove_sockets(self.endpoint)

    def stop(self, reason: str) -> None:
        """Make `serve` return soon. Safe from any thread."""
        if self._stop_reason is None:
            self._stop_reason = reason
        session = self._session
        if session is not None:
            session.interrupt()

    # The data channel: main thread.

    def _serve_one_message(self) -> None:
        if self._session is not None and self._session.lost:
            silent = f"no beat for {CLIENT_TIMEOUT_S:g} s"
            self._end_session(f"client {self._session.client} was lost{self._at()}: {silent}")
        try:
            visit = self._data.receive()
        except zmq.Again:
            return
        if visit is None:
            return
        match visit.message:
            case Request() | Convey() as request:
                self._answer(visit, request)
            case Hello() as hello:
                self._greet(visit, hello)
            case Goodbye(name) if self._session is not None and name == self._session.name:
                self._end_session("")
            case Goodbye() | Beat() as message:
                self._strangers.name("misplaced", visit.source, f"a {type(message).__name__} that was not due")

    def _answer(self, visit: Visit, request: Request | Convey) -> None:
        session = self._session
        if session is None or session.network is None or request.session != session.name:
            reason = "this session is unknown here: the server was started anew, or gave the session up"
            self._strangers.name("session", visit.source, "a request of a session that is not the present one")
            self._data.send(visit.peer, Refused(request.session, request.sequence, "session", reason, final=True))
            return
        if request.sequence != session.answered:  # else it was sent again: the same answer, not the same work
            if request.sequence != session.answered + 1:
                reason = f"request {request.sequence} came after request {session.answered}"
                self._strangers.name("sequence", visit.source, reason)
                self._data.send(visit.peer, Refused(request.session, request.sequence, "sequence", reason, final=False))
                return
            session.running = request.sequence
            session.answer = encode(self._carry_out(session.network, request))
            session.answered, session.running = request.sequence, 0
        self._data.send_frame(visit.peer, session.answer)

    def _carry_out(self, network: InterruptibleNetwork, request: Request | Convey) -> Reply | Conveyance | Refused:
        began_ns = time.perf_counter_ns()
        try:
            if isinstance(request, Convey):
                conveyed = network.convey(request.messages, request.until_ns)
                busy_ns = time.perf_counter_ns() - began_ns
                return Conveyance(request.session, request.sequence, conveyed, busy_ns)
            outcome = network.exchange(
                request.transfers, request.depart_ns, request.deadline_ns, request.wait, request.bandwidth_shares
            )
        except RequestError as error:
            return Refused(request.session, request.sequence, error.field, error.reason, final=False)
        except InterruptedError:
            reason = f"it stopped in mid-exchange: {self._stop_reason or 'it heard no beat of its client'}"
            return Refused(request.session, request.sequence, "network", reason, final=True)
        except Exception as error:
            log.exception("the network failed%s", self._at())
            reason = f"{type(error).__name__}: {error}"
            return Refused(request.session, request.sequence, "network", reason, final=True)
        return Reply(request.session, request.sequence, outcome, time.perf_counter_ns() - began_ns)

    def _greet(self, visit: Visit, hello: Hello) -> None:
        present = self._session
        if present is not None and present.network is not None and hello.session == present.name:
            self._data.send(visit.peer, Welcome(present.name, present.network.info))
            return
        if present is not None:
            self._strangers.name("busy", visit.source, f"{hello.client}, while {present.client} is served")
            reason = f"this server is busy with {present.client}; wait for its end or start another server"
            self._data.send(visit.peer, Refused(hello.session, 0, "session", reason, final=False))
            return
        self._session = session = Session(hello.session, hello.client)
        try:
            network = self._open_network(hello.scenario, hello.parameters, hello.seed, hello.apart, hello.folder)
        except Exception as error:
            field, reason = "radio.scenario", f"{hello.scenario} failed: {type(error).__name__}: {error}"
            if isinstance(error, RequestError):
                field, reason = error.field, error.reason
            first = self._strangers.name("hello", visit.source, f"{hello.client}, since {field}: {reason}")
            if first and not isinstance(error, RequestError):
                log.exception("scenario %r failed", hello.scenario)
            self._data.send(visit.peer, Refused(hello.session, 0, field, reason, final=True))
            self._end_session("")
            return
        session.network = network
        log.info("serving %s to %s", network.info.scenario, session.client)
        self._data.send(visit.peer, Welcome(session.name, network.info))

    def _end_session(self, why: str) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if why:
            log.warning("the session of %s ended: %s", session.client, why)
        if session.network is not None:
            session.network.close()
        if self._once:
            self.stop("the session ended")

    # The control channel: second thread.

    def _watch(self, wake_fd: int) -> None:
        try:
            self._watch_until_stopped(wake_fd)
        except Exception:
            log.exception("the control channel failed%s", self._at())
            self.stop("the control channel failed")

    def _watch_until_stopped(self, wake_fd: int) -> None:
        poller = zmq.Poller()
        poller.register(self._control.channel, zmq.POLLIN)
        poller.register(wake_fd, zmq.POLLIN)
        for door in (self._data, self._control):
            poller.register(door.connections.monitor, zmq.POLLIN)
        if self._parent_fd is not None:
            poller.register(self._parent_fd, zmq.POLLIN)
        while self._stop_reason is None:
            ready = dict(poller.poll(round(1e3 * TICK_S)))
            for door in (self._data, self._control):
                door.connections.look()
            if wake_fd in ready:
                signals = ", ".join(signal.Signals(number).name for number in os.read(wake_fd, 64))
                log.warning("stopping%s: %s", self._at(), signals)
                self.stop(signals)
            if self._parent_fd is not None and self._parent_fd in ready and not os.read(self._parent_fd, 64):
                log.warning("stopping%s: the process that started this one is gone", self._at())
                self.stop("parent gone")
            if self._control.channel in ready:
                self._answer_beat()
            session = self._session
            if session is not None:
                session.look()

    def _answer_beat(self) -> None:
        visit = self._control.receive(zmq.NOBLOCK)
        if visit is None:
            return
        match visit.message:
            case Beat(name):
                session = self._session
                served = session is not None and name == session.name
                self._control.send(visit.peer, session.beat() if session and served else Pulse(False, 0, 0, 0))
            case Hello() | Request() | Convey() | Goodbye() as message:
                self._strangers.name("misplaced", visit.source, f"a {type(message).__name__} on the control channel")

    # Both.

    def _at(self) -> str:
        session = self._session
        return "" if session is None else session.at()

    def _on_signal(self, number: int, frame: object) -> None:
        """Nothing to do here: the wake-up pipe has told the control thread already."""

    def _door(self, endpoint: str, max_bytes: int, domain: str) -> Door:
        return Door(self._context, endpoint, max_bytes, self._strangers, self._gate, domain)

    def _destroy(self, linger_ms: int) -> None:
        if self._gate is not None:
            self._gate.stop()
        self._context.destroy(linger=linger_ms)
