# SPDX-License-Identifier: GPL-2.0-only
"""A scenario as a user might write it: the edge server in the middle of a star of point-to-point links."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from ns3_scenarios.scenario import Device, Positive, Scenario, Topology


class WiredStar(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cable to each device. `drop` lists the packets, counted from 0, that each device fails to receive."""

    name: ClassVar[str] = "wired-star"
    modules: ClassVar[Sequence[str]] = ("point-to-point", "internet")
    headers: ClassVar[Sequence[str]] = (
        "ns3/point-to-point-helper.h",
        "ns3/internet-stack-helper.h",
        "ns3/ipv4-address-helper.h",
        "ns3/ipv4-interface-container.h",
        "ns3/ipv4-global-routing-helper.h",
        "ns3/error-model.h",
    )

    rates_bps: Annotated[tuple[Annotated[int, Meta(gt=0)], ...], Meta(min_length=1)] = (8_000_000,)
    delay_s: Positive = 0.001
    drop: tuple[int, ...] = ()

    def build(self, ns: Any) -> Topology:
        server = ns.CreateObject[ns.Node]()
        nodes = ns.NodeContainer(len(self.rates_bps))
        ns.InternetStackHelper().Install(ns.NodeContainer(ns.NodeContainer(server), nodes))
        link, addresses = ns.PointToPointHelper(), ns.Ipv4AddressHelper()
        link.SetChannelAttribute("Delay", ns.StringValue(f"{self.delay_s}s"))
        link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("100000p"))
        addresses.SetBase(ns.Ipv4Address("10.1.0.0"), ns.Ipv4Mask("255.255.255.252"))
        devices = []
        for i, rate_bps in enumerate(self.rates_bps):
            link.SetDeviceAttribute("DataRate", ns.StringValue(f"{rate_bps}bps"))
            ends = link.Install(server, nodes.Get(i))
            if self.drop:
                errors = ns.CreateObject[ns.ReceiveListErrorModel]()
                errors.SetList(list(self.drop))
                ends.Get(1).SetAttribute("ReceiveErrorModel", ns.PointerValue(errors))
            interfaces = addresses.Assign(ends)
            addresses.NewNetwork()
            devices.append(Device(f"device{i}", nodes.Get(i), interfaces.GetAddress(1)))
        ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()  # each device reaches the server's first address
        return Topology(server, ns.Ipv4Address("10.1.0.1"), devices)
