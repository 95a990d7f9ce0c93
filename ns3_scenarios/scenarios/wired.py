# SPDX-License-Identifier: GPL-2.0-only
"""Wired: cables instead of a radio, the baseline whose transfer times have a closed form."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from bridge.network import NS_PER_S, RequestError

from ..scenario import Device, Scenario, Topology, fill

MOST_DEVICES = 1000
INTERPACKET_GAP_BITS = 96  # IEEE 802.3 clause 4.4.2
UNLIMITED = 2**32 - 1

RateBps = Annotated[int, msgspec.Meta(ge=1, le=10**13)]


class Wired(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The edge server in the middle of a star of full-duplex links, or with all devices on one CSMA segment.

    `devices`: how many (default: as many as there are rates, else 8).
    `kind`: "point-to-point", a link of its own for each device (PPP framing), or "csma", one half-duplex
    segment for all (Ethernet II framing) on which stations wait for each other.
    `rate_bps`: of each link, one figure for all or, with point-to-point, one a device.
    `delay_s`: one-way propagation delay of each link or of the segment.
    `queue_packets`: how many packets wait at each net device before further ones are dropped; None is no limit.
    """

    name: ClassVar[str] = "wired"
    modules: ClassVar[Sequence[str]] = ("point-to-point", "csma", "internet")
    headers: ClassVar[Sequence[str]] = (
        "wired-radio.h",
        "ns3/point-to-point-helper.h",
        "ns3/csma-helper.h",
        "ns3/csma-net-device.h",
        "ns3/internet-stack-helper.h",
        "ns3/ipv4-address-helper.h",
        "ns3/ipv4-static-routing-helper.h",
    )

    devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_DEVICES)] | None = None
    kind: Literal["point-to-point", "csma"] = "point-to-point"
    rate_bps: RateBps | Annotated[tuple[RateBps, ...], msgspec.Meta(min_length=1, max_length=MOST_DEVICES)] = 10**9
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    queue_packets: Annotated[int, msgspec.Meta(ge=1, lt=UNLIMITED)] | None = None

    def __post_init__(self) -> None:
        rates = self.rate_bps if isinstance(self.rate_bps, tuple) else None
        if rates is not None and self.kind == "csma":
            raise RequestError("radio.rate_bps", "a csma segment has one rate for all devices")
        if rates is not None and self.devices not in (None, len(rates)):
            raise RequestError("radio.devices", f"{self.devices} devices, but rate_bps has {len(rates)} rates")
        fill(self, devices=self.devices or (8 if rates is None else len(rates)))
        if self.other_users and self.kind == "point-to-point":
            reason = (
                "other users would have links of their own and disturb nobody; give the load to a device, or take csma"
            )
            raise RequestError("radio.background", reason)
        if (self.devices or 0) + self.other_users > MOST_DEVICES:
            reason = f"{self.devices} devices and {self.other_users} other users; a segment has {MOST_DEVICES} at most"
            raise RequestError("radio.background", reason)

    def build(self, ns: Any) -> Topology:
        server = ns.CreateObject[ns.Node]()
        nodes = ns.NodeContainer(self.devices)
        others = ns.NodeContainer(self.other_users)
        everyone = ns.NodeContainer(ns.NodeContainer(server), nodes, others)
        ns.InternetStackHelper().Install(everyone)
        radio = ns.CreateObject[ns.cosim.WiredRadio]()
        connect = self._segment if self.kind == "csma" else self._star
        edge_address, *reached = connect(ns, radio, server, nodes, everyone)
        devices = [Device(f"device{i}", node, reached[i]) for i, node in enumerate(_each(nodes))]
        beside = [Device(f"user{i}", node, reached[len(devices) + i]) for i, node in enumerate(_each(others))]
        return Topology(server, edge_address, devices, radio, beside)

    def _star(self, ns: Any, radio: Any, server: Any, nodes: Any, _: Any) -> list[Any]:
        rates = self.rate_bps if isinstance(self.rate_bps, tuple) else (self.rate_bps,) * nodes.GetN()
        link, links = ns.PointToPointHelper(), []
        link.SetChannelAttribute("Delay", ns.StringValue(self._delay()))
        link.DisableFlowControl()  # no queue above that of the net device
        link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(self._queue()))
        for node, rate_bps in zip(_each(nodes), rates, strict=True):
            link.SetDeviceAttribute("DataRate", ns.StringValue(f"{rate_bps}bps"))
            links.append(link.Install(server, node))
            radio.AddLink(rate_bps)
        return star_addresses(ns, links)

    def _segment(self, ns: Any, radio: Any, _: Any, nodes: Any, everyone: Any) -> list[Any]:
        assert isinstance(self.rate_bps, int)
        segment, addresses = ns.CsmaHelper(), ns.Ipv4AddressHelper()
        segment.SetChannelAttribute("DataRate", ns.StringValue(f"{self.rate_bps}bps"))
        segment.SetChannelAttribute("Delay", ns.StringValue(self._delay()))
        segment.DisableFlowControl()
        segment.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(self._queue()))
        stations = segment.Install(everyone)
        gap_ns = round(self.delay_s * NS_PER_S) + INTERPACKET_GAP_BITS * NS_PER_S // self.rate_bps
        for i in range(stations.GetN()):
            station = stations.Get(i).GetObject[ns.CsmaNetDevice]()
            station.SetInterframeGap(ns.NanoSeconds(gap_ns))
            # ns-3's own back-off, but deferring to others never gives a frame up (IEEE 802.3 clause 4.2.3.2.1).
            station.SetBackoffParams(ns.MicroSeconds(1), 1, 1000, 10, UNLIMITED)
        for _device in _each(nodes):
            radio.AddStation(self.rate_bps)
        for i in range(1 + nodes.GetN(), stations.GetN()):
            radio.AddOther(stations.Get(i))
        addresses.SetBase(ns.Ipv4Address("10.1.0.0"), ns.Ipv4Mask("255.255.0.0"))
        interfaces = addresses.Assign(stations)
        return [interfaces.GetAddress(i) for i in range(stations.GetN())]

    def _delay(self) -> str:
        return f"{self.delay_s!r}s"

    def _queue(self) -> str:
        return f"{self.queue_packets or UNLIMITED}p"


def star_addresses(ns: Any, links: Sequence[Any]) -> list[Any]:
    """Give each link, a `NetDeviceContainer` of the server's end and a device's, a network of its own.

    Returns the server's first address, which each device reaches by its own link, and the address of each device.
    """
    addresses, routing = ns.Ipv4AddressHelper(), ns.Ipv4StaticRoutingHelper()
    found: list[Any] = []
    addresses.SetBase(ns.Ipv4Address("10.1.0.0"), ns.Ipv4Mask("255.255.255.252"))
    for link in links:
        interfaces = addresses.Assign(link)
        addresses.NewNetwork()
        at_device = link.Get(1).GetNode().GetObject[ns.Ipv4]()
        routing.GetStaticRouting(at_device).SetDefaultRoute(interfaces.GetAddress(0), 1)
        found += [interfaces.GetAddress(1)] if found else [interfaces.GetAddress(0), interfaces.GetAddress(1)]
    return found


def _each(nodes: Any) -> list[Any]:
    return [nodes.Get(i) for i in range(nodes.GetN())]
