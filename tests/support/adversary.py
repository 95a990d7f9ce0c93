# SPDX-License-Identifier: Apache-2.0
"""All a stranger can do to a server, all at once: `python -m tests.support.adversary tcp://HOST:PORT --seconds S`.

`--keys FOLDER` is the folder of a model's side that turned bad: it gets in, and says what nobody should. Without, it
speaks plain tcp, and against a server with keys that and strange keys get it nothing. `--session NAME` is a session
that it has stolen, whose requests it replays and reorders. Prints what it did and what it got, and how often.
"""

import argparse
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from bridge.endpoint import control_endpoint
from bridge.keys import Keys, keys_for
from bridge.messages import (
    MAGIC,
    MAX_CONTROL_BYTES,
    MAX_TO_SERVER_BYTES,
    PROTOCOL_VERSION,
    Beat,
    Goodbye,
    Hello,
    Refused,
    Request,
    ToServer,
    decode,
    encode,
    to_client,
)
from bridge.network import Transfer, Wait

CONNECTIONS = 1000


class Adversary:
    """Does one thing after another until the time is over; `did` and `got` count."""

    def __init__(self, endpoint: str, end_s: float, keys: Keys | None, session: str):
        self.did: Counter[str] = Counter()
        self.got: Counter[str] = Counter()
        self._places = endpoint, control_endpoint(endpoint)
        self._end_s = end_s
        self._keys = keys
        self._session = session
        self._context = zmq.Context()

    def run(self) -> None:
        """All kinds at once, each from a thread of its own."""
        kinds: list[Callable[[str, str], None]] = [
            self.raw_bytes,
            self.slow_handshakes,
            self.many_connections,
            self.strange_keys,
            self.talk,
            self.flood,
        ]
        threads = [
            threading.Thread(target=self._until_the_end, args=(kind, place), daemon=True)
            for kind in kinds
            for place in self._places
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(self._end_s - time.monotonic(), 0) + 5)

    def _until_the_end(self, kind: Callable[[str, str], None], place: str) -> None:
        name = kind.__name__.replace("_", " ")
        while time.monotonic() < self._end_s:
            with suppress(OSError, zmq.ZMQError):
                kind(place, name)

    # Below ZeroMQ.

    def raw_bytes(self, place: str, name: str) -> None:
        """Noise, and what a web browser would say."""
        for noise in (os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n" * 20, b"", b"\xff" * 11):
            with _tcp(place) as connection:
                connection.sendall(noise)
            self.did[name] += 1

    def slow_handshakes(self, place: str, name: str) -> None:
        """Half a greeting (ZMTP 3), then nothing."""
        connections = [_tcp(place) for _ in range(20)]
        for connection in connections:
            connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03")
            connection.settimeout(0.2)
        self.did[name] += len(connections)
        self._wait(6)
        for connection in connections:
            connection.close()

    def many_connections(self, place: str, name: str) -> None:
        """A thousand at once, held as long as the server lets them."""
        connections = []
        try:
            for _ in range(CONNECTIONS):
                connections.append(_tcp(place))
                self.did[name] += 1
            self._wait(3)
        finally:
            for connection in connections:
                connection.close()

    # With ZeroMQ.

    def strange_keys(self, place: str, name: str) -> None:
        """A pair of its own, for the right server's key if that is known, and for a wrong one."""
        public, secret = zmq.curve_keypair()
        for server in {zmq.curve_keypair()[0], self._keys.other if self._keys else public}:
            with self._dealer(place, Keys(public, secret, server)) as channel:
                channel.send(encode(self._hello("strange")))
                self._listen(channel, 200)
            self.did[name] += 1

    def talk(self, place: str, name: str) -> None:
        """Messages and near messages, one connection each time."""
        with self._dealer(place, self._keys) as channel:
            for what, parts in self._words():
                channel.send_multipart(parts)
                self.did[what] += 1
            self._listen(channel, 300)
        for size in (64 << 20, 2 * MAX_TO_SERVER_BYTES + 1):
            with self._dealer(place, self._keys) as channel:
                channel.send(bytes(size), copy=False)
                self._listen(channel, 200)
            self.did[f"{size >> 10} KiB at once"] += 1

    def flood(self, place: str, name: str) -> None:
        """As fast as it goes, and nothing is read."""
        with self._dealer(place, self._keys) as channel:
            words = [parts for _, parts in self._words()]
            end_s = min(time.monotonic() + 2, self._end_s)
            while time.monotonic() < end_s:
                for parts in words:
                    channel.send_multipart(parts)
                self.did[name] += len(words)

    def _words(self) -> list[tuple[str, list[bytes]]]:
        made_up = "".join(random.choices("0123456789abcdef", k=32))
        words: list[tuple[str, list[bytes]]] = [
            ("garbage", [os.urandom(200)]),
            ("our header, then garbage", [MAGIC + bytes([PROTOCOL_VERSION]) + os.urandom(50)]),
            ("nothing", [b""]),
            ("another version", [MAGIC + bytes([PROTOCOL_VERSION + 1])]),
            ("three frames", [b"a", b"b", b"c"]),
            ("too large", [bytes(MAX_TO_SERVER_BYTES + 1)]),
            ("too large for control", [bytes(MAX_CONTROL_BYTES + 1)]),
        ]
        says: list[tuple[str, ToServer]] = [
            ("hello", self._hello(made_up)),
            ("goodbye, made up", Goodbye(made_up)),
            ("beat, made up", Beat(made_up)),
            ("beat, no session", Beat("")),
            ("request, made up", self._request(made_up, 1)),
        ]
        if self._session:
            says += [
                (f"request {number}, stolen", self._request(self._session, number)) for number in (1, 10**6, 2**62)
            ]
            says += [("hello, stolen", self._hello(self._session))]
        return words + [(what, [encode(message)]) for what, message in says]

    def _hello(self, session: str) -> Hello:
        return Hello(session, "adversary", "no such scenario", {}, 1, {}, None)

    def _request(self, session: str, sequence: int) -> Request:
        return Request(session, sequence, (Transfer(0, 1, 0, 1),), 2**60, 2**61, Wait.ALL, None)

    def _dealer(self, place: str, keys: Keys | None) -> "zmq.Socket[bytes]":
        channel = self._context.socket(zmq.DEALER)
        channel.setsockopt(zmq.LINGER, 0)
        channel.setsockopt(zmq.SNDTIMEO, 500)
        if keys is not None:
            channel.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            channel.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            channel.setsockopt(zmq.CURVE_SERVERKEY, keys.other)
        channel.connect(place)
        return channel

    def _listen(self, channel: "zmq.Socket[bytes]", wait_ms: int) -> None:
        while channel.poll(wait_ms):
            answer = decode(channel.recv(), to_client)
            self.got[f"refused: {answer.field}" if isinstance(answer, Refused) else type(answer).__name__.lower()] += 1

    def _wait(self, seconds: float) -> None:
        threading.Event().wait(min(seconds, max(self._end_s - time.monotonic(), 0)))


def _tcp(place: str) -> socket.socket:
    parts = urlsplit(place)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.adversary")
    parser.add_argument("endpoint")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--session", default="")
    arguments = parser.parse_args()
    keys = keys_for(arguments.endpoint, "model", arguments.keys, arguments.keys is None)
    adversary = Adversary(arguments.endpoint, time.monotonic() + arguments.seconds, keys, arguments.session)
    adversary.run()
    for what, count in [*sorted(adversary.did.items()), *sorted((f"got {k}", v) for k, v in adversary.got.items())]:
        print(f"{what:35} {count:8}")
    print("got anything" if adversary.got else "got nothing", flush=True)
    os._exit(0)  # whatever its sockets still have to say


if __name__ == "__main__":
    sys.exit(main())
