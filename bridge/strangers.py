# SPDX-License-Identifier: Apache-2.0
"""Who talks to a server and is not its client: each kind of nonsense is named once per source, bounded in all."""

import logging
import os
import socket
from contextlib import suppress

import zmq
from zmq.utils.monitor import recv_monitor_message

from bridge.sockets import HANDSHAKE_S

MAX_CONNECTIONS = 256
"""Of one channel. The newest above that are hung up on."""
GONE = "a connection that was gone at once"
"""A source whose address can no longer be had."""
MAX_NAMED = 256
"""Lines in the log about strangers, in the life of a server."""

log = logging.getLogger("bridge")

_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_EVENTS_AT_ONCE = 32
_FAILURES: dict[int, tuple[str, str]] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: ("key", "its key is not model.key"),
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: (
        "keys",
        "its handshake does not fit: its network.key is not ours, or has none",
    ),
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: (
        "handshake",
        f"no handshake: it speaks no ZeroMQ, hung up, let {HANDSHAKE_S:g} s pass, or only one side has keys",
    ),
}


class Strangers:
    """The log of strangers. Safe from any thread."""

    def __init__(self) -> None:
        self._named: set[tuple[str, str]] = set()

    def name(self, kind: str, source: str, what: str) -> bool:
        """Log `what` a source did, if it is the first of this kind from there; whether it was."""
        if (kind, source) in self._named or len(self._named) >= MAX_NAMED:
            return False
        self._named.add((kind, source))
        log.warning("ignored from %s: %s", source, what)
        if len(self._named) == MAX_NAMED:
            log.warning("that were %d lines of this kind; there will be no more", MAX_NAMED)
        return True


class Connections:
    """The connections of a bound channel, as its monitor tells of them; `look` belongs to one thread."""

    def __init__(self, channel: "zmq.Socket[bytes]", strangers: Strangers):
        self.monitor = channel.get_monitor_socket(_EVENTS)
        self._strangers = strangers
        self._sources: dict[int, str] = {}
        self._heard: set[int] = set()
        self._failure: tuple[str, str] | None = None

    def heard(self, descriptor: int) -> None:
        """A message of ours came by the connection with this file descriptor. Safe from any thread."""
        self._heard.add(descriptor)

    def look(self) -> None:
        """Take note of what has happened since the last look, as much of it as is due at once."""
        for _ in range(_EVENTS_AT_ONCE):
            if not self.monitor.poll(0):
                return
            event = recv_monitor_message(self.monitor)
            kind, value = event["event"], event["value"]
            if kind == zmq.EVENT_ACCEPTED:
                self._accepted(value)
            elif kind == zmq.EVENT_DISCONNECTED:
                self._disconnected(value)
            else:  # the end of that connection is the next event
                self._failure = _FAILURES[kind]

    def _accepted(self, descriptor: int) -> None:
        self._heard.discard(descriptor)
        self._sources[descriptor] = GONE
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
            self._sources[descriptor] = source_of(connection.getpeername())
            if len(self._sources) > MAX_CONNECTIONS:
                connection.shutdown(socket.SHUT_RDWR)
                what = f"more than {MAX_CONNECTIONS} connections; the newest were hung up on"
                self._strangers.name("connections", self._sources[descriptor], what)

    def _disconnected(self, descriptor: int) -> None:
        failure, self._failure = self._failure, None
        source = self._sources.pop(descriptor, None)
        if failure is None and descriptor not in self._heard:
            failure = (
                "silent",
                "it hung up, or was hung up on, without a word of ours: too large a message, or not ZeroMQ",
            )
        if source is not None and failure is not None:
            kind, what = failure
            self._strangers.name(kind, source, what)
        self._heard.discard(descriptor)


def source_of(address: object) -> str:
    """A peer for people, from its socket address or ZeroMQ's `Peer-Address`: the host without the port."""
    host = str(address[0] if isinstance(address, tuple) else address).removeprefix("::ffff:")
    return "this host" if not host or host.startswith("localhost:") else host  # a Unix socket names the process
