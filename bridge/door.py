# SPDX-License-Identifier: Apache-2.0
"""A door: a bound channel of the server, which lets in messages of ours and names who brings anything else."""

import errno
from typing import NamedTuple

import zmq

from bridge.channel import open_channel
from bridge.gate import Gate
from bridge.messages import Garbage, Refused, ToClient, ToServer, WrongVersion, decode, encode, to_server
from bridge.network import RequestError
from bridge.strangers import Connections, Strangers


class Visit(NamedTuple):
    """A message, the peer that brought it (ZeroMQ's name for the connection), and its frame."""

    peer: bytes
    message: ToServer
    frame: "zmq.Frame"

    @property
    def source(self) -> str:
        """The peer's address, for people."""
        return source_of(self.frame)


class Door:
    """A bound ROUTER. `domain` is what the gate, if there is one, calls it. Each door belongs to one thread.

    Raises `RequestError` naming `listen` if it cannot be bound.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        max_bytes: int,
        strangers: Strangers,
        gate: Gate | None,
        domain: str,
    ):
        self.channel = open_channel(context, zmq.ROUTER, max_bytes)
        if gate is not None:
            gate.guard(self.channel, domain)
        self.connections = Connections(self.channel, strangers)
        self._max_bytes = max_bytes
        self._strangers = strangers
        try:
            self.channel.bind(endpoint)
        except zmq.ZMQError as error:
            used = error.errno == errno.EADDRINUSE
            reason = "is in use; stop who uses it or choose another" if used else f"cannot be bound: {error.strerror}"
            raise RequestError("listen", f"{endpoint} {reason}") from None

    def receive(self, flags: int = 0) -> Visit | None:
        """The next message, or None for anything that is no message of ours. Raises `zmq.Again` without one."""
        peer, *frames = self.channel.recv_multipart(flags, copy=False)
        frame = frames[-1]
        if len(frames) > 1:
            self._strangers.name("garbage", source_of(frame), f"{len(frames)} frames where one is due")
            return None
        if len(frame) > self._max_bytes:
            what = f"{len(frame)} bytes, where a message has at most {self._max_bytes}"
            self._strangers.name("oversized", source_of(frame), what)
            return None
        try:
            message = decode(frame.bytes, to_server)
        except Garbage as error:
            self._strangers.name("garbage", source_of(frame), str(error))
            return None
        except WrongVersion as error:
            reason = f"{error}; install the same version of wdmoe-cosim on both sides"
            self._strangers.name("version", source_of(frame), reason)
            self.send(peer.bytes, Refused("", 0, "protocol", reason, final=True))
            return None
        self.connections.heard(frame.get(zmq.SRCFD))
        return Visit(peer.bytes, message, frame)

    def send(self, peer: bytes, message: ToClient) -> None:
        """Send a message to a peer; it is dropped if that is gone, or does not read."""
        self.send_frame(peer, encode(message))

    def send_frame(self, peer: bytes, frame: bytes) -> None:
        """Likewise, encoded already."""
        self.channel.send_multipart((peer, frame))


def source_of(frame: "zmq.Frame") -> str:
    """Where a received frame came from: its peer's address without the port."""
    try:
        return str(frame.get("Peer-Address")) or "this host"
    except zmq.ZMQError:
        return "this host"
