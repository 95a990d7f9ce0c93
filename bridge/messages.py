# SPDX-License-Identifier: Apache-2.0
"""The messages between the two sides, and their bytes.

A message is one ZeroMQ frame: five bytes `wdmoe`, one byte of protocol version, then msgpack. The version
stands outside the msgpack so that a side of any version can say which versions do not fit. Decoding is
strict: a wrong type, a missing or an unknown field is garbage, never a default.

Two channels: on the *data* channel the client greets, asks and says goodbye; on the *control* channel it
sends beats and gets pulses, so that a long simulation step is told from a dead partner.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from bridge.network import Conveyed, Message, NetworkInfo, Outcome, Transfer, Wait

MAGIC = b"wdmoe"
PROTOCOL_VERSION = 9
MAX_TO_SERVER_BYTES = 64 << 10
"""On the data channel. 128 transfers take about 4 KiB; a scenario's parameters are rarely larger."""
MAX_TO_CLIENT_BYTES = 8 << 20
"""On the data channel. 128 transfers take about 4 KiB; the rest is room for the channel record: 24 bytes a row, so some
340,000 rows, or eight devices that change each millisecond for 20 s; and for tracks, at most 2 MiB an exchange."""
MAX_CONTROL_BYTES = 1 << 10
"""On the control channel, both ways."""

BEAT_S = 0.5
"""Between two beats of a client."""
CLIENT_TIMEOUT_S = 6.0
"""A client that has not beaten for so long is lost: its place may be taken."""

_HEADER = MAGIC + bytes([PROTOCOL_VERSION])

SessionName = Annotated[str, Meta(min_length=1, max_length=64)]
"""The name of a session, chosen by its client at random. Whoever knows it is that client: the server never tells it."""


class Hello(Struct, frozen=True, tag="hello", array_like=True, forbid_unknown_fields=True):
    """Client: open a session on a network of this scenario. `client`, plain ASCII, is for people: who is asking.

    `seed` chooses all that is random there, but for what the network draws `apart`, by name with a seed of its own.
    `folder` is where, on the server's host, the network puts files of its own; None for nowhere.
    """

    session: SessionName
    client: Annotated[str, Meta(pattern="^[ -~]{1,128}$")]
    scenario: str
    parameters: dict[str, Any]
    seed: int
    apart: dict[str, int]
    folder: str | None


class Request(Struct, frozen=True, tag="request", array_like=True, forbid_unknown_fields=True):
    """Client: carry out an exchange. `sequence` counts from 1; the same number is the same request."""

    session: SessionName
    sequence: Annotated[int, Meta(ge=1)]
    transfers: tuple[Transfer, ...]
    depart_ns: int
    deadline_ns: int
    wait: Wait
    bandwidth_shares: tuple[float, ...] | None


class Convey(Struct, frozen=True, tag="convey", array_like=True, forbid_unknown_fields=True):
    """Client: take on messages, and let time go by. `sequence` as of `Request`, in one count with these."""

    session: SessionName
    sequence: Annotated[int, Meta(ge=1)]
    messages: tuple[Message, ...]
    until_ns: int


class Goodbye(Struct, frozen=True, tag="goodbye", array_like=True, forbid_unknown_fields=True):
    """Client: the session is over."""

    session: SessionName


class Welcome(Struct, frozen=True, tag="welcome", array_like=True, forbid_unknown_fields=True):
    """Server: the session is open on this network."""

    session: str
    info: NetworkInfo


class Refused(Struct, frozen=True, tag="refused", array_like=True, forbid_unknown_fields=True):
    """Server: no. `sequence` is the request's, 0 for a hello; `field` names what was refused and `reason` why.

    `final` ends the session (it is unknown here, or the network broke); otherwise the next request may be sent, or
    the hello again: the server is busy with another client, which may be gone soon.
    """

    session: str
    sequence: int
    field: str
    reason: str
    final: bool


class Reply(Struct, frozen=True, tag="reply", array_like=True, forbid_unknown_fields=True):
    """Server: the outcome of a request, and the wall-clock nanoseconds that the network took for it."""

    session: str
    sequence: int
    outcome: Outcome
    busy_ns: int


class Conveyance(Struct, frozen=True, tag="conveyance", array_like=True, forbid_unknown_fields=True):
    """Server: what came of a `Convey`, and the wall-clock nanoseconds that the network took for it."""

    session: str
    sequence: int
    conveyed: Conveyed
    busy_ns: int


class Beat(Struct, frozen=True, tag="beat", array_like=True, forbid_unknown_fields=True):
    """Client, control channel: I live. `session` is "" for who has none and only asks whether the server lives."""

    session: Annotated[str, Meta(max_length=64)]


class Pulse(Struct, frozen=True, tag="pulse", array_like=True, forbid_unknown_fields=True):
    """Server, control channel: so do I. Whether the beat's session is `served`, and if so (else 0) the virtual time
    and the sequence numbers of the request under way (0 for none) and of the latest one answered."""

    served: bool
    now_ns: int
    running: int
    answered: int


ToServer = Hello | Request | Convey | Goodbye | Beat
ToClient = Welcome | Refused | Reply | Conveyance | Pulse

_encoder = msgspec.msgpack.Encoder()
to_server: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)
to_client: msgspec.msgpack.Decoder[ToClient] = msgspec.msgpack.Decoder(ToClient)

M = TypeVar("M")


class Garbage(ValueError):
    """Bytes that are no message of ours."""


class WrongVersion(ValueError):
    """A message of another protocol version; `version` is the one that the other side speaks."""

    def __init__(self, version: int):
        super().__init__(f"the partner speaks protocol version {version}, this side version {PROTOCOL_VERSION}")
        self.version = version


def encode(message: ToServer | ToClient) -> bytes:
    """The frame of a message."""
    return _HEADER + _encoder.encode(message)


def decode(frame: bytes, decoder: msgspec.msgpack.Decoder[M]) -> M:
    """The message in a frame. Raises `WrongVersion`, or `Garbage` saying what is wrong with it."""
    if not frame.startswith(_HEADER):
        if frame.startswith(MAGIC) and len(frame) > len(MAGIC):
            raise WrongVersion(frame[len(MAGIC)])
        raise Garbage(f"{len(frame)} bytes that do not begin with {MAGIC!r}")
    try:
        return decoder.decode(memoryview(frame)[len(_HEADER) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Garbage(f"{len(frame)} bytes that are no message: {error}") from None
