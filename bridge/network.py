# SPDX-License-Identifier: Apache-2.0
"""The network as the model side sees it: devices, a virtual clock, and one verb, or two.

Everything that can carry hidden states between the base station (BS) and the devices implements
`Network`: ns-3 itself, the ZeroMQ client in front of it, a replayed record, a formula.
Virtual time belongs to the network and is an integer count of nanoseconds since the simulation began.
"""

import struct
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

NS_PER_S = 1_000_000_000

CHANNEL_FIELDS = (
    ("time_ns", "q"),
    ("device", "H"),
    ("direction", "B"),
    ("others", "B"),
    ("pool", "I"),
    ("capacity_bps", "f"),
    ("sinr_db", "f"),
)
"""The fields of a channel record's row in order, and what each is for `struct` (little-endian, without gaps)."""

CHANNEL_ROW = struct.Struct("<" + "".join(code for _, code in CHANNEL_FIELDS))
"""One row of a channel record: what one direction of a device's link could carry, whether it was used or not.

It holds from virtual time `time_ns` until the next row of the same device and direction.

- `direction`: 0 downlink, 1 uplink.
- `others`: users beside the devices with data waiting in the same pool and direction, at most 255; 0 where unknown.
- `pool`: number of what is shared: devices and directions in one pool at one time share it.
- `capacity_bps`: what the device would get if it had the whole pool to itself, at the modulation and coding that its
  channel then allows; 0 where nothing can cross, -1 where the device is not connected.
- `sinr_db`: over the whole band; NaN where there is none.
"""

TRACK_FIELDS = (
    ("time_ns", "q"),
    ("user", "q"),
    ("x_m", "d"),
    ("y_m", "d"),
    ("z_m", "d"),
    ("x_mps", "d"),
    ("y_mps", "d"),
    ("z_mps", "d"),
)
"""The fields of a track's row, as `CHANNEL_FIELDS`."""

TRACK_ROW = struct.Struct("<" + "".join(code for _, code in TRACK_FIELDS))
"""One row of a track: where a user is at virtual time `time_ns`, and with which velocity it goes straight on from there
until its next row; a velocity of zeros where it stays.

- `user`: an index into `NetworkInfo.devices`, and behind them into `NetworkInfo.others`.
- `x_m`, `y_m`, `z_m`: in the scenario's own metres.
- `x_mps`, `y_mps`, `z_mps`: velocity, in m/s.
"""


class Wait(StrEnum):
    """What ends an exchange: every transfer done, the first one done, or only its deadline."""

    ALL = "all"
    ANY = "any"
    DEADLINE = "deadline"


class Status(StrEnum):
    """How a transfer ended.

    `done`: the whole answer arrived at the BS by the end of the exchange.
    `late`: it was still under way when the exchange ended, and was cancelled.
    `lost`: bytes of it were dropped on the way and nothing below would have sent them again.
    `unreachable`: the device had no radio connection, or left while it was under way.
    """

    DONE = "done"
    LATE = "late"
    LOST = "lost"
    UNREACHABLE = "unreachable"


WAITS, STATUSES = tuple(Wait), tuple(Status)
"""By their numbers, where they are numbers: in the native library and in compiled Python."""


class Transfer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One device's work in one MoE layer.

    `device` is an index into `NetworkInfo.devices`. The device receives `downlink_bytes` (at least 1)
    of hidden states, computes for `compute_ns` (0 or more), and sends `uplink_bytes` (at least 1) back.
    Bytes are payload: protocol headers come on top, added by the network.
    """

    device: int
    downlink_bytes: int
    compute_ns: int
    uplink_bytes: int


class TransferOutcome(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """When the parts of one transfer happened, in virtual time; None for what did not happen.

    `downlink_begin_ns`: the BS's edge server handed the first byte to its transport.
    `downlink_end_ns`: the device's application had the last byte, and computing began.
    `compute_end_ns`: computing ended, and the uplink began at once.
    `uplink_end_ns`: the edge server's application had the last byte of the answer.
    `downlink_air_j`, `uplink_air_j`: joules that BS and device radiated on the data channels for the device from the
    departure to the transfer's end, or that of the exchange: whatever they carried, first transmissions and later ones,
    no control channels. None where the radio doesn't count it.
    """

    device: int
    status: Status
    downlink_begin_ns: int | None
    downlink_end_ns: int | None
    compute_end_ns: int | None
    uplink_end_ns: int | None
    downlink_air_j: float | None = None
    uplink_air_j: float | None = None


class LinkState(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The latest that the BS knows of one device's link; None where nothing was measured yet.

    SINR in dB (downlink as measured by the device, uplink by the BS), CQI index (TS 36.213 table
    7.2.3-1), MCS index of the latest transport block, rate in bit/s that the link's MCS gives when the
    device has the whole band, bytes waiting in the BS's RLC queue, bytes that the device's latest buffer
    status report announced, and the serving cell, None in a network without cells or while there is none. Of NR
    also the number of layers that the device reports (rank), the PRBs of the latest transport block, and the block
    error rate of first transmissions, averaged over about the last 100 of them.
    """

    device: int
    connected: bool
    downlink_sinr_db: float | None = None
    uplink_sinr_db: float | None = None
    cqi: int | None = None
    downlink_mcs: int | None = None
    uplink_mcs: int | None = None
    downlink_rate_bps: float | None = None
    uplink_rate_bps: float | None = None
    rlc_queue_bytes: int | None = None
    bsr_bytes: int | None = None
    cell: int | None = None
    rank: int | None = None
    downlink_prbs: int | None = None
    uplink_prbs: int | None = None
    downlink_bler: float | None = None
    uplink_bler: float | None = None


class Outcome(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an exchange came to: the new virtual time, each transfer in the order asked, every link.

    `channel`: rows of `CHANNEL_ROW`, in order of time, since the outcome before. The first outcome's begin with one
    for every device and direction at `NetworkInfo.now_ns`; later ones are of what has changed (SINR by 0.5 dB or
    more). Empty in a network that keeps no such record.
    `tracks`: rows of `TRACK_ROW`, in order of time and then of users, since the outcome before. The first outcome's
    begin with one for each user that has a place, at `NetworkInfo.now_ns`; later ones are of changes of course.
    `notes`: in words, what a user can mend of why transfers did not come to their end, as a node without a route. Each
    is told once.
    """

    now_ns: int
    transfers: tuple[TransferOutcome, ...]
    links: tuple[LinkState, ...]
    channel: bytes = b""
    notes: tuple[str, ...] = ()
    tracks: bytes = b""


class Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes that go one way between the edge server and a device, beside exchanges: what a user asks, and is told.

    `message` is its number, below 2**31 and used once. It goes up from the device if `is_uplink`, else down to it.
    `size_bytes` (at least 1) are payload; the first one is handed to the transport at virtual time `begin_ns`. What has
    not arrived by `deadline_ns` is given up.
    """

    message: int
    device: int
    is_uplink: bool
    size_bytes: int
    begin_ns: int
    deadline_ns: int


class Delivery(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How a message ended, and when in virtual time: `done`, the last byte has arrived; `late` or `lost`, as of a
    transfer, at its deadline; `unreachable`, its device had no connection when it began, or left."""

    message: int
    status: Status
    end_ns: int


class Conveyed(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The new virtual time, and which messages have ended since this was last told, in order of time."""

    now_ns: int
    deliveries: tuple[Delivery, ...]


class Site(Struct, frozen=True, forbid_unknown_fields=True):
    """Where base stations or access points stand: x, y, z in m.

    `azimuths_deg`: where its sectors look, counted from the x axis towards the y axis; none where it looks everywhere
    alike. `is_neighbour`: it serves others than the devices, who only hear it.
    """

    x_m: float
    y_m: float
    z_m: float
    azimuths_deg: tuple[float, ...] = ()
    is_neighbour: bool = False


class NetworkInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """What a network is: its kind, its devices' names in order of index, and how it was made.

    `parameters` are the scenario's parameters with every default filled in; `versions` name the
    software whose change could change an outcome. `bandwidth_hz`: of a radio that all devices share, down and up;
    None where there is none. `takes_shares`: whether `Network.exchange` takes shares of the band. `air_w`: for each
    device the power in W that the BS radiates to it at most, and the device itself; None where that is not known.
    `others` are the names of users that carry no experts; `sites` say where base stations stand, as far as the scenario
    tells.
    """

    scenario: str
    devices: tuple[str, ...]
    now_ns: int
    parameters: dict[str, Any]
    versions: dict[str, str]
    bandwidth_hz: tuple[float, float] | None = None
    takes_shares: bool = False
    air_w: tuple[tuple[float, float] | None, ...] | None = None
    others: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()


class Network(Protocol):
    """A network with a virtual clock that only `exchange` moves."""

    info: NetworkInfo

    @property
    def now_ns(self) -> int:
        """Virtual time, as of the last exchange."""

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """Carry out `transfers`, at most one a device, and return when the exchange has ended.

        The radio goes on from now to `depart_ns` (the BS computes meanwhile), then all downlinks begin.
        Each transfer is a pipeline of its own: downlink, computing, uplink. The exchange ends at
        `deadline_ns`, or before it by `wait`; whatever is not done then is cancelled and leaves no bytes
        in any queue. Without transfers the clock moves to `depart_ns` (with `Wait.DEADLINE`, to
        `deadline_ns`). `bandwidth_shares` gives each device (all of `info.devices`, in order) its share
        of the band, summing to at most 1, from now to the end of this exchange; None leaves it to the network's
        scheduler, whatever the exchanges before had.

        Raises `RequestError` naming the field for a request that makes no sense or that this network
        cannot serve, with the clock unmoved, and `FILE:LINE` for what a scenario script raised meanwhile, which
        ends the network; `PartnerLost` if the network is gone.
        """

    def close(self) -> None:
        """Release what the network holds. Closing twice does nothing."""


class MessageNetwork(Network, Protocol):
    """A network that carries messages too; `convey` moves its clock as well."""

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """Take on `messages`, and let time go by to `until_ns`, or until a message ends, if that is sooner.

        Messages that were taken on go their way during exchanges, too, and share the network with them: none waits for
        another, or for an exchange, but in the network's own queues. What ended in an exchange is told by the next
        call, and does not end that. Tracks and channel of the time that went by are the next outcome's.

        Raises `RequestError` naming the field for what makes no sense, or if this network carries no messages;
        otherwise as `exchange`.
        """


def check_messages(info: NetworkInfo, now_ns: int, messages: Sequence[Message], until_ns: int) -> None:
    """Raise `RequestError` for messages that no network could convey."""
    if until_ns < now_ns:
        raise RequestError("until_ns", f"{until_ns} lies before the virtual time {now_ns}")
    for each in messages:
        if not 0 <= each.message < 1 << 31:
            raise RequestError("messages.message", f"{each.message} is no number from 0 to 2**31 - 1")
        if not 0 <= each.device < len(info.devices):
            raise RequestError("messages.device", f"{each.device} is none of the {len(info.devices)} devices")
        if each.size_bytes < 1:
            raise RequestError("messages.size_bytes", f"{each.size_bytes} is below 1")
        if each.begin_ns < now_ns:
            raise RequestError("messages.begin_ns", f"{each.begin_ns} lies before the virtual time {now_ns}")
        if each.deadline_ns < each.begin_ns:
            raise RequestError("messages.deadline_ns", f"{each.deadline_ns} lies before begin_ns {each.begin_ns}")


def check_request(
    info: NetworkInfo,
    now_ns: int,
    transfers: Sequence[Transfer],
    depart_ns: int,
    deadline_ns: int,
    bandwidth_shares: Sequence[float] | None,
) -> None:
    """Raise `RequestError` for a request that no network could serve."""
    if depart_ns < now_ns:
        raise RequestError("depart_ns", f"{depart_ns} lies before the virtual time {now_ns}")
    if deadline_ns < depart_ns:
        raise RequestError("deadline_ns", f"{deadline_ns} lies before depart_ns {depart_ns}")
    seen = set()
    for transfer in transfers:
        if not 0 <= transfer.device < len(info.devices):
            raise RequestError("transfers.device", f"{transfer.device} is none of the {len(info.devices)} devices")
        if transfer.device in seen:
            raise RequestError("transfers.device", f"{transfer.device} appears twice; merge its transfers into one")
        seen.add(transfer.device)
        for name, least in (("downlink_bytes", 1), ("compute_ns", 0), ("uplink_bytes", 1)):
            if getattr(transfer, name) < least:
                raise RequestError(f"transfers.{name}", f"{getattr(transfer, name)} is below {least}")
    if bandwidth_shares is not None:
        if len(bandwidth_shares) != len(info.devices):
            raise RequestError("bandwidth_shares", f"{len(bandwidth_shares)} shares for {len(info.devices)} devices")
        if min(bandwidth_shares) < 0 or sum(bandwidth_shares) > 1 + 1e-9:
            raise RequestError("bandwidth_shares", "shares are not negative and sum to at most 1")


class RequestError(ValueError):
    """A request or parameter that was refused. `field` names it, `reason` says what is wrong and how to mend it."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason

    def __reduce__(self) -> tuple[type["RequestError"], tuple[str, str]]:
        return type(self), (self.field, self.reason)


class PartnerLost(ConnectionError):
    """The other side died, hangs or talks nonsense. The message names it and the virtual time."""
