# SPDX-License-Identifier: Apache-2.0
"""A door: a bound channel of the server, which lets in messages of ours and names who brings anything else."""

import errno
from contextlib import suppress
from typing import NamedTuple

import zmq

from bridge.gate import Gate
from bridge.messages import Garbage, Refused, ToClient, ToServer, WrongVersion, decode, encode, to_server
from bridge.network import RequestError
from bridge.sockets import open_channel
from bridge.strangers import GONE, Connections, Strangers, source_of


class Visit(NamedTuple):
    """A message, the peer that brought it (ZeroMQ's name for the connection), and its frame."""

    peer: bytes
    message: ToServer
    frame: "zmq.Frame"

    @property
    def source(self) -> str:
        """Where it came from, for people."""
        return _source(self.frame)


class Door:
    """A bound ROUTER. `domain` is what the gate, if there is one, calls it. Each door belongs to one thread.

    Raises `RequestError` naming `--listen` if it cannot be bound.
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
            raise RequestError("--listen", f"{endpoint} {reason}") from None

    def receive(self, flags: int = 0) -> Visit | None:
        """The next message, or None for anything that is no message of ours. Raises `zmq.Again` without one."""
        peer = self.channel.recv(flags)
        frame = self.channel.recv(copy=False)
        if frame.more:
            while self.channel.get(zmq.RCVMORE):
                self.channel.recv(copy=False)
            kind, what = "frames", "several frames where one is due"
        elif len(frame) > self._max_bytes:
            kind, what = "size", f"{len(frame)} bytes, where a message has at most {self._max_bytes}"
        else:
            try:
                message = decode(frame.bytes, to_server)
            except Garbage as error:
                kind, what = "garbage", str(error)
            except WrongVersion as error:
                kind, what = "version", f"{error}; install the same version of wdmoe-cosim on both sides"
                self.send(peer, Refused("", 0, "protocol", what, final=True))
            else:
                with suppress(zmq.ZMQError):  # it is gone already
                    self.connections.heard(frame.get(zmq.SRCFD))
                return Visit(peer, message, frame)
        self._strangers.name(kind, _source(frame), what)
        return None

    def send(self, peer: bytes, message: ToClient) -> None:
        """Send a message to a peer; it is dropped if that is gone, or does not read."""
        self.send_frame(peer, encode(message))

    def send_frame(self, peer: bytes, frame: bytes) -> None:
        """Likewise, encoded already."""
        self.channel.send_multipart((peer, frame))


def _source(frame: "zmq.Frame") -> str:
    try:
        return source_of(frame.get("Peer-Address"))
    except zmq.ZMQError:
        return GONE
