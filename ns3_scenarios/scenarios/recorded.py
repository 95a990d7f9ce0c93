# SPDX-License-Identifier: GPL-2.0-only
"""Recorded: measured networks in place of a radio model, one link for each device."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from bridge.csv_rows import FileRefused
from bridge.network import NS_PER_S, RequestError

from ..scenario import Device, Scenario, Topology, fill
from ..world.streams import RECORDED
from .link_traces import EXAMPLE, MOST_DELAY_S, MOST_TIME_S, LinkTrace, read
from .wired import MOST_DEVICES, UNLIMITED, star_addresses

MTU_BYTES = 1500

Seconds = Annotated[float, msgspec.Meta(ge=0, le=MOST_TIME_S)]
EACH = msgspec.Meta(min_length=1, max_length=MOST_DEVICES)


class Recorded(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Links that follow recordings of real networks: Mahimahi traces, or CSV of rate, delay, loss and sharing.

    `devices`: how many (default: as many as a list says, else 8).
    `downlink`, `uplink`: the recording that drives this direction, a file beside ns-3, one for all or one a device;
    "example" is a made-up one that comes with this scenario, to try it.
    `offset_s`: how much of the recordings has passed when virtual time begins, one figure or one a device.
    `delay_s`: one-way delay of recordings that have none of their own.
    `queue_packets`: how many packets wait at each end before further ones are dropped; None is no limit.
    """

    name: ClassVar[str] = "recorded"
    modules: ClassVar[Sequence[str]] = ("network", "internet")
    headers: ClassVar[Sequence[str]] = (
        "ns3/simple-channel.h",
        "ns3/net-device-container.h",
        "ns3/internet-stack-helper.h",
        "ns3/ipv4-address-helper.h",
        "ns3/ipv4-static-routing-helper.h",
        "link-trace.h",
        "recorded-net-device.h",
        "recorded-pools.h",
        "recorded-radio.h",
    )

    devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_DEVICES)] | None = None
    downlink: str | Annotated[tuple[str, ...], EACH] = "example"
    uplink: str | Annotated[tuple[str, ...], EACH] = "example"
    offset_s: Seconds | Annotated[tuple[Seconds, ...], EACH] = 0.0
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=MOST_DELAY_S)] = 0.0
    queue_packets: Annotated[int, msgspec.Meta(ge=1, lt=UNLIMITED)] | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("downlink", "uplink", "offset_s")}
        listed = {name: len(value) for name, value in given.items() if isinstance(value, tuple)}
        devices = self.devices or next(iter(listed.values()), 8)
        for name, count in listed.items():
            if count != devices:
                raise RequestError(f"radio.{name}", f"{count} in the list for {devices} devices")
        fill(self, devices=devices)

    def inputs(self) -> Sequence[Path]:
        return sorted({_path(name) for way in (self.downlink, self.uplink) for name in self._each(way)})

    def build(self, ns: Any) -> Topology:
        server = ns.CreateObject[ns.Node]()
        nodes = ns.NodeContainer(self.devices)
        stack = ns.InternetStackHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(ns.NodeContainer(ns.NodeContainer(server), nodes))
        radio = ns.CreateObject[ns.cosim.RecordedRadio]()
        pools = ns.CreateObject[ns.cosim.RecordedPools]()
        downlinks, uplinks = (self._link_traces(ns, way) for way in ("downlink", "uplink"))
        links = []
        for i, offset_s in enumerate(self._each(self.offset_s)):
            channel = ns.CreateObject[ns.SimpleChannel]()
            ends = [
                self._end(ns, node, channel, trace, offset_s, RECORDED[2 * i + way])
                for way, (node, trace) in enumerate(((server, downlinks[i]), (nodes.Get(i), uplinks[i])))
            ]
            for end in ends:
                end.SetPools(pools)
            radio.AddLink(*ends)
            links.append(ns.NetDeviceContainer(*map(ns.NetDeviceContainer, ends)))
        edge_address, *reached = star_addresses(ns, links)
        devices = [Device(f"device{i}", nodes.Get(i), address) for i, address in enumerate(reached)]
        return Topology(server, edge_address, devices, radio)

    def _end(self, ns: Any, node: Any, channel: Any, trace: Any, offset_s: float, stream: int) -> Any:
        end = ns.CreateObject[ns.cosim.RecordedNetDevice]()
        queue = f"ns3::DropTailQueue<Packet>[MaxSize={self.queue_packets or UNLIMITED}p]"
        end.SetAttribute("TxQueue", ns.StringValue(queue))
        end.SetAttribute("PointToPointMode", ns.BooleanValue(True))
        end.SetAddress(ns.Mac48Address.Allocate().ConvertTo())
        end.SetMtu(MTU_BYTES)
        end.SetTrace(trace, round(offset_s * NS_PER_S))
        end.AssignStream(stream)
        node.AddDevice(end)
        end.SetChannel(channel)
        return end

    def _link_traces(self, ns: Any, way: str) -> list[Any]:
        """For each device its `ns.cosim.LinkTrace`; a file that several name is read once."""
        names = getattr(self, way)
        made: dict[str, Any] = {}
        for i, name in enumerate(self._each(names)):
            if name not in made:
                try:
                    trace = read(_path(name))
                except FileRefused as error:
                    raise RequestError(f"radio.{way}" + (f"[{i}]" if names != name else ""), str(error)) from None
                made[name] = self._link_trace(ns, trace)
        return [made[name] for name in self._each(names)]

    def _link_trace(self, ns: Any, trace: LinkTrace) -> Any:
        begins_ns, bursts, rates_bps, delays, losses, pools, others = zip(*trace.rows, strict=True)
        delays_ns = (round(self.delay_s * NS_PER_S) if delay is None else delay for delay in delays)
        figures = [array("l", column) for column in (begins_ns, bursts, rates_bps, delays_ns)]
        sharing = [array("l", [-1 if pool is None else pool for pool in pools]), array("l", others)]
        made = ns.CreateObject[ns.cosim.LinkTrace]()
        made.SetRows(len(trace.rows), *figures, array("d", losses), *sharing, trace.period_ns)
        return made

    def _each(self, value: Any) -> tuple[Any, ...]:
        assert self.devices is not None
        return value if isinstance(value, tuple) else (value,) * self.devices


def _path(name: str) -> Path:
    return EXAMPLE if name == "example" else Path(name)
