# SPDX-License-Identifier: GPL-2.0-only
"""Background traffic: what other users, or the devices themselves beside their experts, send and receive."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from bridge import csv_rows
from bridge.csv_rows import FileRefused
from bridge.network import NS_PER_S, RequestError

from ..topology import Device, Topology
from . import streams

FIRST_PORT = 40000  # at both ends, one port a flow
MOST_USERS = 10_000
MOST_PAYLOAD_BYTES = 1472  # a datagram that fills an IPv4 packet of 1500
LONGEST_S = 10**9
MOST_BYTES = 10**18

Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
SomeSeconds = Annotated[float, msgspec.Meta(ge=1e-6, le=LONGEST_S)]


class _Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every load has.

    `users`: how many other users have it, each for itself; 1 if there is no `device`.
    `device`: the index of a device that has it instead.
    `direction`: "down" to the user, or "up" to the edge server.
    `packet_bytes`: payload of a UDP datagram.
    `outstanding_bytes`: the most that may be sent and neither arrived nor known to be lost; what is offered beyond it
    is dropped, as by a full buffer.
    `begin_s`: virtual time from which it sends, but not before the network is ready.
    `end_s`: virtual time at which it ends; unset, it does not.
    """

    users: Annotated[int, msgspec.Meta(ge=1, le=MOST_USERS)] | None = None
    device: Annotated[int, msgspec.Meta(ge=0)] | None = None
    direction: Literal["down", "up"] = "down"
    packet_bytes: Annotated[int, msgspec.Meta(ge=1, le=MOST_PAYLOAD_BYTES)] = MOST_PAYLOAD_BYTES
    outstanding_bytes: Annotated[int, msgspec.Meta(ge=MOST_PAYLOAD_BYTES, le=10**9)] = 1_000_000
    begin_s: Seconds = 0.0
    end_s: Seconds | None = None

    def __post_init__(self) -> None:
        if self.users is not None and self.device is not None:
            raise RequestError("device", "a load is either a device's or that of other users")
        if self.end_s is not None and self.end_s <= self.begin_s:
            raise RequestError("end_s", f"{self.end_s:g} is not after begin_s, {self.begin_s:g}")

    @property
    def other_users(self) -> int:
        """How many users that are not devices have this load; 1 if it does not say."""
        return 0 if self.device is not None else self.users or 1


class OnOff(_Load, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="on-off"):
    """A bit rate that is on and off by turns.

    `rate_bps`: payload while on; a packet is sent each time that it has filled one.
    `mean_on_s`: of the times for which it is on.
    `mean_off_s`: of the times for which it is off; with 0 the bit rate is constant.
    `times`: "exponential", independent, and on at the beginning with the probability that it has in the long run, or
    "fixed", all equal to the mean, and on at the beginning.
    """

    rate_bps: Annotated[float, msgspec.Meta(gt=0, le=1e12)]
    mean_on_s: SomeSeconds = 1.0
    mean_off_s: Seconds = 1.0
    times: Literal["exponential", "fixed"] = "exponential"


class FullBuffer(_Load, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="full-buffer"):
    """Always something waiting to be sent: `outstanding_bytes` are under way at any time."""


class Recorded(_Load, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="recorded"):
    """What a recording says.

    `file`: CSV with the columns time_s and bytes; so long after its beginning, so many bytes of payload are offered
    at once.
    `repeat_s`: begin it anew after so long; unset, it ends with its last row.
    """

    file: str
    repeat_s: SomeSeconds | None = None


Load = OnOff | FullBuffer | Recorded


def install(ns: Any, loads: Sequence[Load], topology: Topology, now_ns: int) -> list[Any]:
    """Let the loads run from virtual time `now_ns` on.

    Returns an `ns.cosim.Load` for each user of each load in order, but for loads that are over by then.

    Raises `RequestError` for a device or users that the network lacks, and for a recording that cannot be read.
    """
    flows: list[Any] = []
    others = iter(topology.others)
    for load in loads:
        begin_ns = max(round(load.begin_s * NS_PER_S), now_ns)
        end_ns = None if load.end_s is None else round(load.end_s * NS_PER_S)
        rows = read_recording(load) if isinstance(load, Recorded) else None
        for user in _users(load, topology, others):
            if end_ns is not None and end_ns <= begin_ns:
                continue  # over before the network is ready
            flow, port = ns.CreateObject[ns.cosim.Load](), FIRST_PORT + len(flows)
            server = topology.edge_server, ns.InetSocketAddress(topology.edge_address, port).ConvertTo()
            remote = user.node, ns.InetSocketAddress(user.address, port).ConvertTo()
            (sender, local), (receiver, there) = (server, remote) if load.direction == "down" else (remote, server)
            flow.SetAttribute("Local", ns.AddressValue(local))
            flow.SetAttribute("Remote", ns.AddressValue(there))
            flow.SetAttribute("PacketBytes", ns.UintegerValue(load.packet_bytes))
            flow.SetAttribute("OutstandingBytes", ns.UintegerValue(load.outstanding_bytes))
            flow.SetReceiver(receiver)
            if isinstance(load, OnOff):
                _alternate(ns, flow, load, streams.BACKGROUND[len(flows)])
            elif isinstance(load, Recorded) and rows:
                flow.Replay(len(rows) // 2, rows, round((load.repeat_s or 0) * NS_PER_S))
            sender.AddApplication(flow)
            # An application counts its times from `Initialize`.
            flow.SetStartTime(ns.NanoSeconds(begin_ns - now_ns))
            if end_ns is not None:
                flow.SetStopTime(ns.NanoSeconds(end_ns - now_ns))
            flow.Initialize()
            flows.append(flow)
    return flows


def files(loads: Sequence[Load]) -> list[Path]:
    """The recordings among the loads."""
    return [Path(load.file) for load in loads if isinstance(load, Recorded)]


def _users(load: Load, topology: Topology, others: Iterator[Device]) -> list[Device]:
    """Who has the load; takes other users from `others`, which none has yet."""
    if load.device is None:
        users = list(islice(others, load.other_users))
        if len(users) < load.other_users:
            reason = f"this network has {len(topology.others)} other users, fewer than the loads need"
            raise RequestError("radio.background", reason)
        return users
    if load.device >= len(topology.devices):
        raise RequestError("radio.background.device", f"{load.device} is none of the {len(topology.devices)} devices")
    return [topology.devices[load.device]]


def _alternate(ns: Any, flow: Any, load: OnOff, stream: int) -> None:
    interval_ns = max(1, round(8 * load.packet_bytes * NS_PER_S / load.rate_bps))
    flow.SetAttribute("Interval", ns.TimeValue(ns.NanoSeconds(interval_ns)))
    flow.SetAttribute("MeanOnTime", ns.DoubleValue(load.mean_on_s))
    flow.SetAttribute("MeanOffTime", ns.DoubleValue(load.mean_off_s))
    if load.times == "exponential":
        # By text, since the object then never takes a stream that ns-3 hands out in order of asking.
        flow.SetAttribute("Times", ns.StringValue(f"ns3::ExponentialRandomVariable[Stream={stream}]"))


def read_recording(load: Recorded) -> "array[int]":
    """Time in ns and bytes of each row. Raises `RequestError` naming file and line."""
    try:
        rows = _bursts(Path(load.file))
    except FileRefused as error:
        raise RequestError("radio.background.file", str(error)) from None
    if load.repeat_s is not None and round(load.repeat_s * NS_PER_S) <= rows[-2]:
        reason = f"{load.repeat_s:g} is not beyond the last time of {load.file}, {rows[-2] / NS_PER_S:g}"
        raise RequestError("radio.background.repeat_s", reason)
    return rows


def _bursts(file: Path) -> "array[int]":
    rows, last_ns = array("l"), 0
    for row in csv_rows.rows(file, ("time_s", "bytes")):
        at_ns, size = round(row.figure("time_s", 0, LONGEST_S) * NS_PER_S), row.values["bytes"]
        if at_ns < last_ns:
            raise FileRefused(f"{row.place}: time_s {row.values['time_s']} is before that of the row before")
        if not (size.isascii() and size.isdigit() and len(size) < 20 and 1 <= int(size) <= MOST_BYTES):
            raise FileRefused(f"{row.place}: bytes {size!r} is not a whole number from 1 to {MOST_BYTES:g}")
        rows.extend((at_ns, int(size)))
        last_ns = at_ns
    if not rows:
        raise FileRefused(f"{file}: no row after the names of its columns")
    return rows
