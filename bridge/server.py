# SPDX-License-Identifier: Apache-2.0
"""The network's side of the bridge: serves one network to one client at a time.

The main thread owns the data channel and the network. A second thread owns the control channel: it answers
beats while the main thread simulates, and it is the one that notices a lost client, a signal, or the end of
a parent process, and then interrupts the network.
"""

import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import zmq
from zmq.auth.thread import ThreadAuthenticator

from bridge.endpoint import check_listen, control_endpoint, remove_sockets
from bridge.keys import Keys
from bridge.messages import (
    MAX_MESSAGE_BYTES,
    Beat,
    Garbage,
    Goodbye,
    Hello,
    Pulse,
    Refused,
    Reply,
    Request,
    ToClient,
    ToServer,
    Welcome,
    WrongVersion,
    decode,
    encode,
    to_server,
)
from bridge.network import NS_PER_S, Network, RequestError

CLIENT_TIMEOUT_S = 6.0
"""A client that has not beaten for so long is lost. Clients beat twice a second."""

_TICK_MS = 250
_SOURCES_NAMED = 64
_ZAP_DOMAIN = b"cosim"

log = logging.getLogger("bridge")


class InterruptibleNetwork(Network, Protocol):
    """A network whose exchange another thread can end, and whose clock another thread can read."""

    def interrupt(self) -> None:
        """Make the exchange under way, and any later one, end soon with `InterruptedError`. Safe from any thread."""

    def progress_ns(self) -> int:
        """Virtual time, also in the middle of an exchange. Safe from any thread."""


OpenNetwork = Callable[[str, dict[str, Any], int, int, str | None], InterruptibleNetwork]
"""`open_network(scenario, parameters, seed, run, folder)`; raises `RequestError` naming a bad parameter."""


class Server:
    """Serves networks made by `open_network` on `endpoint`, one session after another, until told to stop.

    `once` ends it after the first session. `parent_fd` is a file descriptor whose end of file means that the
    process which started this one is gone. With `keys`, only the client that holds the other pair gets in;
    over tcp `plain_tcp` says that there are to be none. Raises `RequestError` naming `listen` if it cannot bind.
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
            raise RequestError("listen", f"{endpoint} needs --keys, or --plain-tcp to do without")
        self.endpoint = endpoint
        self._open_network = open_network
        self._once = once
        self._parent_fd = parent_fd
        self._context = zmq.Context()
        self._keys = keys
        self._gate = None if keys is None else _Gate(self._context, keys.other)
        self._data = self._bind(endpoint)
        self._control = self._bind(control_endpoint(endpoint))
        self._stop_reason: str | None = None
        self._session = ""
        self._client = ""
        self._network: InterruptibleNetwork | None = None
        self._running = 0
        self._answered = 0
        self._last_answer = b""
        self._last_beat_s = 0.0
        self._client_lost = False
        self._named_sources: set[tuple[str, bytes]] = set()

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
        self._interrupt()

    # The data channel: main thread.

    def _serve_one_message(self) -> None:
        if self._client_lost:
            self._end_session(f"client {self._client} was lost{self._at()}: no beat for {CLIENT_TIMEOUT_S:g} s")
        try:
            identity, frame = self._data.recv_multipart(copy=True)
        except zmq.Again:
            return
        except ValueError:
            return  # not one frame behind the identity: no client of ours sends that
        message = self._decode(identity, frame, self._data)
        match message:
            case Request():
                self._answer(identity, message)
            case Hello():
                self._greet(identity, message)
            case Goodbye() if message.session == self._session:
                self._end_session("")
            case _:
                return

    def _answer(self, identity: bytes, request: Request) -> None:
        if request.session != self._session or self._network is None:
            reason = f"session {request.session} is unknown here: the server was started anew, or gave the session up"
            self._send(identity, Refused(request.session, request.sequence, "session", reason, final=True))
            return
        if request.sequence != self._answered:  # else it was sent again: the same answer, not the same work
            if request.sequence != self._answered + 1:
                reason = f"request {request.sequence} came after request {self._answered}"
                self._send(identity, Refused(request.session, request.sequence, "sequence", reason, final=False))
                return
            self._running = request.sequence
            self._last_answer = encode(self._carry_out(self._network, request))
            self._answered, self._running = request.sequence, 0
        self._data.send_multipart((identity, self._last_answer))

    def _carry_out(self, network: InterruptibleNetwork, request: Request) -> Reply | Refused:
        began_ns = time.perf_counter_ns()
        try:
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

    def _greet(self, identity: bytes, hello: Hello) -> None:
        if hello.session == self._session and self._network is not None:
            self._send(identity, Welcome(self._session, self._network.info))
            return
        if self._session:
            reason = f"this server is busy with session {self._session} of {self._client}; wait or start another server"
            self._send(identity, Refused(hello.session, 0, "session", reason, final=True))
            return
        self._client, self._last_beat_s, self._client_lost = hello.client, time.monotonic(), False
        self._answered = self._running = 0
        self._session = hello.session
        try:
            self._network = self._open_network(hello.scenario, hello.parameters, hello.seed, hello.run, hello.folder)
        except Exception as error:
            if isinstance(error, RequestError):
                field, reason = error.field, error.reason
            else:
                log.exception("scenario %s failed", hello.scenario)
                field, reason = "radio.scenario", f"{hello.scenario} failed: {type(error).__name__}: {error}"
            self._send(identity, Refused(hello.session, 0, field, reason, final=True))
            self._end_session(f"{field}: {reason}")
            return
        log.info("serving session %s of %s", self._session, self._client)
        self._send(identity, Welcome(self._session, self._network.info))

    def _end_session(self, why: str) -> None:
        if not self._session:
            return
        if why:
            log.warning("session %s ended: %s", self._session, why)
        network, self._network = self._network, None
        self._session, self._client_lost = "", False
        if network is not None:
            network.close()
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
        poller.register(self._control, zmq.POLLIN)
        poller.register(wake_fd, zmq.POLLIN)
        if self._parent_fd is not None:
            poller.register(self._parent_fd, zmq.POLLIN)
        while self._stop_reason is None:
            ready = dict(poller.poll(_TICK_MS))
            if wake_fd in ready:
                signals = ", ".join(signal.Signals(number).name for number in os.read(wake_fd, 64))
                log.warning("stopping%s: %s", self._at(), signals)
                self.stop(signals)
            if self._parent_fd is not None and self._parent_fd in ready and not os.read(self._parent_fd, 64):
                log.warning("stopping%s: the process that started this one is gone", self._at())
                self.stop("parent gone")
            if self._control in ready:
                self._answer_beat()
            if self._session and not self._client_lost and time.monotonic() - self._last_beat_s > CLIENT_TIMEOUT_S:
                self._client_lost = True
                self._interrupt()

    def _answer_beat(self) -> None:
        try:
            identity, frame = self._control.recv_multipart(zmq.NOBLOCK)
        except (ValueError, zmq.Again):
            return
        message = self._decode(identity, frame, self._control)
        if isinstance(message, Beat):
            if message.session == self._session:
                self._last_beat_s = time.monotonic()
            pulse = Pulse(self._session, self._now_ns(), self._running, self._answered)
            self._control.send_multipart((identity, encode(pulse)))

    # Both.

    def _decode(self, identity: bytes, frame: bytes, channel: "zmq.Socket[bytes]") -> ToServer | None:
        try:
            return decode(frame, to_server)
        except WrongVersion as error:
            reason = f"{error}; install the same version of wdmoe-cosim on both sides"
            channel.send_multipart((identity, encode(Refused("", 0, "protocol", reason, final=True))))
            self._name_source(channel, identity, reason)
        except Garbage as error:
            self._name_source(channel, identity, str(error))
        return None

    def _name_source(self, channel: "zmq.Socket[bytes]", identity: bytes, what: str) -> None:
        source = ("data" if channel is self._data else "control", identity)
        if source not in self._named_sources and len(self._named_sources) < _SOURCES_NAMED:
            self._named_sources.add(source)
            log.warning("ignored from %s source %s: %s", source[0], identity.hex(), what)

    def _send(self, identity: bytes, message: ToClient) -> None:
        self._data.send_multipart((identity, encode(message)))

    def _interrupt(self) -> None:
        network = self._network
        if network is not None:
            network.interrupt()

    def _now_ns(self) -> int:
        network = self._network
        return network.progress_ns() if network is not None else 0

    def _at(self) -> str:
        return f" at virtual time {self._now_ns() / NS_PER_S:.6f} s" if self._network is not None else ""

    def _on_signal(self, number: int, frame: object) -> None:
        """Nothing to do here: the wake-up pipe has told the control thread already."""

    def _bind(self, endpoint: str) -> "zmq.Socket[bytes]":
        channel = self._context.socket(zmq.ROUTER)
        channel.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        channel.setsockopt(zmq.RCVTIMEO, _TICK_MS)
        channel.setsockopt(zmq.LINGER, 200)
        channel.setsockopt(zmq.IPV6, 1)
        if self._keys is not None:
            channel.setsockopt(zmq.CURVE_SERVER, 1)
            channel.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
            channel.setsockopt(zmq.ZAP_DOMAIN, _ZAP_DOMAIN)
            channel.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        try:
            channel.bind(endpoint)
        except zmq.ZMQError as error:
            self._destroy(linger_ms=0)
            used = error.errno == errno.EADDRINUSE
            reason = "is in use; stop who uses it or choose another" if used else f"cannot be bound: {error.strerror}"
            raise RequestError("listen", f"{endpoint} {reason}") from None
        return channel

    def _destroy(self, linger_ms: int) -> None:
        if self._gate is not None:
            self._gate.stop()
        self._context.destroy(linger=linger_ms)


class _Gate:
    """Lets in the holder of one key alone (ZAP, ZeroMQ RFC 27), from a thread of its own until `stop`."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", public: bytes):
        self._public = public
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(_ZAP_DOMAIN.decode(), self)
        self.stop = self._authenticator.stop

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether the client with this public key (Z85) may come in."""
        return key == self._public
