# SPDX-License-Identifier: Apache-2.0
"""The model's side of the bridge: a `Network` whose work is done by a server elsewhere."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from bridge.endpoint import check_endpoint, control_endpoint
from bridge.keys import Keys
from bridge.messages import (
    BEAT_S,
    CLIENT_TIMEOUT_S,
    MAX_CONTROL_BYTES,
    MAX_TO_CLIENT_BYTES,
    MAX_TO_SERVER_BYTES,
    Beat,
    Convey,
    Conveyance,
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
    to_client,
)
from bridge.network import (
    NS_PER_S,
    Conveyed,
    Delivery,
    Message,
    NetworkInfo,
    Outcome,
    PartnerLost,
    RequestError,
    Transfer,
    Wait,
    check_messages,
    check_request,
)
from bridge.sockets import open_channel

SERVER_TIMEOUT_S = 5.0
"""A server that has not answered a beat for so long is lost."""
STUCK_S = 20.0
"""A server whose virtual clock stands still in an exchange for so long is stuck, though it answers beats."""
RESEND_S = 2.0
BUSY_S = CLIENT_TIMEOUT_S + RESEND_S
"""How long a server that is busy with another client is asked again: that client may be dead, but not yet lost."""

MOST_MESSAGES = 1000
"""In one frame: each takes some 30 bytes."""

_MISMATCH = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL


class RemoteNetwork:
    """A network behind ZeroMQ. One session; its clock is the server's.

    `endpoint`: the server's. `scenario`, `parameters`, `seed`, `apart`: what to open there. `name` says who
    asks. `folder`: where on the server's host the network puts files of its own, if its parameters ask for
    any. `keys`: this side's, if the server has keys. `patience_s`: how long a server may stay silent before
    it greets. `check_partner`, called a few times a second while waiting, raises `PartnerLost` when the caller
    knows that the server is gone; `diagnose`, called before a server is given up that does not answer or get on,
    may raise what is known better.

    Raises `RequestError` naming what the server refused (also if it stays busy with another client),
    `PartnerLost` if it does not answer.
    """

    info: NetworkInfo

    def __init__(
        self,
        endpoint: str,
        scenario: str,
        parameters: dict[str, Any],
        seed: int,
        apart: dict[str, int] | None = None,
        *,
        name: str | None = None,
        folder: Path | None = None,
        keys: Keys | None = None,
        patience_s: float = 30.0,
        check_partner: Callable[[], None] = lambda: None,
        diagnose: Callable[[], None] = lambda: None,
    ):
        check_endpoint(endpoint, "connect")
        self.endpoint = endpoint
        self.session = uuid.uuid4().hex
        self.busy_ns = 0
        """Wall-clock nanoseconds that the latest request took at the server: the rest of its time was the bridge's."""
        self._now_ns = 0
        self._sequence = 0
        self._check_partner = check_partner
        self._diagnose = diagnose
        self._closed = False
        self._context = zmq.Context()
        self._data = _channel(self._context, keys, MAX_TO_CLIENT_BYTES)
        # Before it connects: a handshake that is refused is not tried again, and would go unheard.
        self._monitor = self._data.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | _MISMATCH)
        self._data.connect(endpoint)
        self._heart = _Heart(self._context, control_endpoint(endpoint), self.session, keys)
        client = name or f"{socket.gethostname()}:{os.getpid()}"
        place = None if folder is None else str(folder.absolute())
        hello = Hello(self.session, client, scenario, parameters, seed, apart or {}, place)
        try:
            self.info = self._greet(hello, patience_s)
        except BaseException:
            self.close()
            raise
        self._now_ns = self.info.now_ns

    @property
    def now_ns(self) -> int:
        """Virtual time, as of the last exchange."""
        return self._now_ns

    @property
    def progress_ns(self) -> int:
        """Virtual time, as of the latest pulse in the middle of an exchange."""
        return max(self._now_ns, self._heart.pulse.now_ns)

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """See `Network.exchange`."""
        check_request(self.info, self._now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        shares = None if bandwidth_shares is None else tuple(bandwidth_shares)
        request = Request(self.session, self._sequence + 1, tuple(transfers), depart_ns, deadline_ns, wait, shares)
        reply = self._ask(request, "transfers")
        assert isinstance(reply, Reply)
        self._now_ns = reply.outcome.now_ns
        return reply.outcome

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """See `MessageNetwork.convey`; what does not fit into one frame goes in several."""
        check_messages(self.info, self._now_ns, messages, until_ns)
        told: list[Delivery] = []
        while len(messages) > MOST_MESSAGES:
            told += self._convey(messages[:MOST_MESSAGES], self._now_ns).deliveries
            messages = messages[MOST_MESSAGES:]
        conveyed = self._convey(messages, until_ns)
        return Conveyed(conveyed.now_ns, (*told, *conveyed.deliveries))

    def _convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        reply = self._ask(Convey(self.session, self._sequence + 1, tuple(messages), until_ns), "messages")
        assert isinstance(reply, Conveyance)
        self._now_ns = reply.conveyed.now_ns
        return reply.conveyed

    def close(self) -> None:
        """End the session. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        with suppress(zmq.ZMQError):
            self._put(encode(Goodbye(self.session)))
        self._heart.stop()
        self._data.disable_monitor()
        self._context.destroy(linger=500)

    def _ask(self, request: Request | Convey, field: str) -> Reply | Conveyance:
        """What the server answers. Raises `RequestError` for what it refuses, of `field` if that is too large."""
        if self._closed:
            raise PartnerLost("the session with the network is closed")
        frame = _checked(request, field)
        self._sequence += 1
        reply = self._answered(frame)
        if isinstance(reply, Refused):
            raise RequestError(reply.field, reply.reason)
        self.busy_ns = reply.busy_ns
        return reply

    def _answered(self, frame: bytes) -> Reply | Conveyance | Refused:
        """Send a request until its answer comes. The server carries a request out once however often it comes."""
        self._put(frame)
        sent_s = moved_s = time.monotonic()
        progress_ns = self._now_ns
        while True:
            message = self._receive()
            match message:
                case Reply() | Conveyance() | Refused() if (message.session, message.sequence) == (
                    self.session,
                    self._sequence,
                ):
                    if isinstance(message, Refused) and message.final:
                        raise self._lost(message.reason)
                    return message
                case Refused(session=""):
                    raise self._lost(message.reason)
                case None:
                    pass
                case _:
                    continue  # an answer to a request or hello that was sent twice
            now_s = time.monotonic()
            pulse = self._heart.pulse
            if now_s - self._heart.heard_s > SERVER_TIMEOUT_S:
                self._diagnose()
                raise self._lost(
                    f"it has not answered for {now_s - self._heart.heard_s:.1f} s: it hangs, or was stopped"
                )
            if self._heart.foreign:
                raise self._lost("it was started anew, and does not know this session")
            if pulse.now_ns != progress_ns or pulse.running != self._sequence:
                progress_ns, moved_s = pulse.now_ns, now_s
            elif now_s - moved_s > STUCK_S:
                self._diagnose()
                raise self._lost(f"it runs, but its virtual clock has stood still for {STUCK_S:g} s")
            if pulse.running != self._sequence and now_s - sent_s > RESEND_S:
                self._put(frame)
                sent_s = now_s

    def _greet(self, hello: Hello, patience_s: float) -> NetworkInfo:
        """Send a hello until a server answers it."""
        frame = _checked(hello, "radio")
        sent_s = -RESEND_S
        self._heart.heard_s = time.monotonic()
        busy_s: float | None = None
        mismatch = False
        while True:
            mismatch |= self._handshake_failed()
            now_s = time.monotonic()
            if now_s - self._heart.heard_s > patience_s:
                if mismatch:
                    raise RequestError(
                        "--keys",
                        f"no agreement with {self.endpoint}: network.key is not that side's, or one side has keys "
                        "and the other has none",
                    )
                self._diagnose()
                raise PartnerLost(
                    f"no ns-3 side answers at {self.endpoint} since {patience_s:g} s; is `cosim serve` running there?"
                )
            if now_s - sent_s > RESEND_S:
                self._put(frame)
                sent_s = now_s
            message = self._receive()
            match message:
                case Welcome() if message.session == self.session:
                    return message.info
                case Refused() if message.session in (self.session, ""):
                    busy_s = now_s if busy_s is None else busy_s
                    if message.final or now_s - busy_s > BUSY_S:
                        raise RequestError(message.field, message.reason)

    def _handshake_failed(self) -> bool:
        """Whether a handshake has failed since the last look; `RequestError` if the network's side refused our key."""
        failed = False
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise RequestError(
                    "--keys", f"the network's side at {self.endpoint} refused our key: its model.key is another"
                )
            failed = True
        return failed

    def _receive(self) -> ToClient | None:
        """The next message, or None after a tick without one."""
        try:
            frame = self._data.recv()
        except zmq.Again:
            try:
                self._check_partner()
            except PartnerLost as error:
                raise self._lost(str(error)) from None
            return None
        try:
            return decode(frame, to_client)
        except WrongVersion as error:
            raise RequestError("protocol", f"{error}; install the same version of wdmoe-cosim on both sides") from None
        except Garbage as error:
            raise self._lost(f"it talks nonsense: {error}") from None

    def _put(self, frame: bytes) -> None:
        """Send, unless there is nobody to send to: it is sent again until it is answered."""
        with suppress(zmq.Again):
            self._data.send(frame)

    def _lost(self, why: str) -> PartnerLost:
        return PartnerLost(f"the ns-3 side was lost at virtual time {self.progress_ns / NS_PER_S:.6f} s: {why}")


class _Heart:
    """Beats on the control channel from a thread of its own, and keeps the latest pulse.

    `heard_s`: monotonic time of that pulse. `foreign`: our session was served, and is no longer.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, session: str, keys: Keys | None):
        self.pulse = Pulse(False, 0, 0, 0)
        self.heard_s = time.monotonic()
        self.foreign = False
        self._stopped = False
        self._session = session
        self._channel = _channel(context, keys, MAX_CONTROL_BYTES)
        self._channel.connect(endpoint)
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()

    def _beat(self) -> None:
        beat = encode(Beat(self._session))
        next_s = 0.0
        while not self._stopped:
            now_s = time.monotonic()
            if now_s >= next_s:
                with suppress(zmq.Again):
                    self._channel.send(beat, zmq.NOBLOCK)
                next_s = now_s + BEAT_S
            with suppress(zmq.Again, Garbage, WrongVersion):
                message = decode(self._channel.recv(), to_client)
                if isinstance(message, Pulse):
                    self.foreign |= self.pulse.served and not message.served
                    self.pulse, self.heard_s = message, time.monotonic()


def _channel(context: "zmq.Context[zmq.Socket[bytes]]", keys: Keys | None, max_bytes: int) -> "zmq.Socket[bytes]":
    channel = open_channel(context, zmq.DEALER, max_bytes)
    if keys is not None:
        channel.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        channel.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        channel.setsockopt(zmq.CURVE_SERVERKEY, keys.other)
    return channel


def _checked(message: ToServer, field: str) -> bytes:
    """The frame of a message, if it is not too large for the server."""
    frame = encode(message)
    if len(frame) > MAX_TO_SERVER_BYTES:
        raise RequestError(
            field, f"takes {len(frame)} bytes as a message, at most {MAX_TO_SERVER_BYTES} are sent; put less into it"
        )
    return frame
