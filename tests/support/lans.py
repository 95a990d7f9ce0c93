# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios as a user might write them, in which neighbours have to be found: with ARP, a mesh, routing protocols."""

from typing import Any, Literal

from ns3_scenarios.scenario import Device, Scenario, Topology
from ns3_scenarios.world.movement import HEADERS as MOVEMENT_HEADERS
from ns3_scenarios.world.movement import stand

INTERNET = ("ns3/internet-stack-helper.h", "ns3/ipv4-address-helper.h", "ns3/ipv4-interface-container.h")
LOOPBACK = 0


def further_address(ns: Any, node: Any, interface: int, address: str) -> Any:
    """Give one of a node's interfaces one more address."""
    own = ns.Ipv4InterfaceAddress(ns.Ipv4Address(address), ns.Ipv4Mask("255.255.255.0"))
    node.GetObject[ns.Ipv4]().AddAddress(interface, own)
    return ns.Ipv4Address(address)


class Lan(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CSMA segment. `phantom`: the first device's address is one that it does not have on this segment."""

    modules = ("csma", "internet")
    headers = ("ns3/csma-helper.h", *INTERNET)
    phantom: bool = False

    def build(self, ns: Any) -> Topology:
        server, nodes, csma = ns.NodeContainer(1), ns.NodeContainer(2), ns.CsmaHelper()
        everyone = ns.NodeContainer(server, nodes)
        ns.InternetStackHelper().Install(everyone)
        csma.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
        csma.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("10000p"))
        found = addresses(ns, csma.Install(everyone), "10.1.0.0")
        at = [further_address(ns, nodes.Get(0), LOOPBACK, "10.1.0.99") if self.phantom else found[1], found[2]]
        return Topology(server.Get(0), found[0], [Device(f"host{i}", nodes.Get(i), at[i]) for i in range(2)])


class Second(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ns-3's examples/tutorial/second.py: a cable, and behind its other end a CSMA segment.

    `forgotten`: the node whose routes were forgotten.
    """

    modules = ("csma", "point-to-point", "internet")
    headers = ("ns3/csma-helper.h", "ns3/point-to-point-helper.h", "ns3/ipv4-static-routing-helper.h", *INTERNET)
    forgotten: Literal["none", "server", "router", "device"] = "none"

    def build(self, ns: Any) -> Topology:
        server, router, hosts = ns.NodeContainer(1), ns.NodeContainer(1), ns.NodeContainer(2)
        cable, csma = ns.PointToPointHelper(), ns.CsmaHelper()
        cable.SetDeviceAttribute("DataRate", ns.StringValue("5Mbps"))
        cable.SetChannelAttribute("Delay", ns.StringValue("2ms"))
        cable.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("10000p"))
        csma.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
        csma.SetChannelAttribute("Delay", ns.StringValue("6560ns"))
        ns.InternetStackHelper().Install(ns.NodeContainer(server, router, hosts))
        ends = addresses(ns, cable.Install(server.Get(0), router.Get(0)), "10.1.1.0")
        lan = csma.Install(ns.NodeContainer(router, hosts))
        reached = addresses(ns, lan, "10.1.2.0")
        routes = ns.Ipv4StaticRoutingHelper()

        def default(node: Any, gateway: Any) -> None:
            routes.GetStaticRouting(node.GetObject[ns.Ipv4]()).SetDefaultRoute(gateway, 1)

        if self.forgotten != "server":
            default(server.Get(0), ends[1])
        for i in range(0 if self.forgotten != "device" else 1, 2):
            default(hosts.Get(i), reached[0])
        devices = [Device(f"host{i}", hosts.Get(i), reached[1 + i]) for i in range(2)]
        if self.forgotten == "router":  # behind it, where it has no way to
            devices[0] = Device("host0", hosts.Get(0), further_address(ns, hosts.Get(0), 1, "10.9.9.9"))
        return Topology(server.Get(0), ends[0], devices)


class AdHoc(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three Wi-Fi nodes without an access point."""

    modules = ("wifi", "olsr", "aodv", "dsdv", "internet")
    headers = (
        "ns3/yans-wifi-helper.h",
        "ns3/olsr-helper.h",
        "ns3/aodv-helper.h",
        "ns3/dsdv-helper.h",
        *INTERNET,
        *MOVEMENT_HEADERS,
    )
    routing: Literal["none", "olsr", "aodv", "dsdv"] = "none"

    def build(self, ns: Any) -> Topology:
        nodes, wifi, phy, mac, stack = air(ns, 3, 5.0)
        wifi.SetRemoteStationManager("ns3::ConstantRateWifiManager", "DataMode", ns.StringValue("OfdmRate54Mbps"))
        mac.SetType("ns3::AdhocWifiMac")
        if self.routing != "none":
            kinds = {"olsr": ns.OlsrHelper, "aodv": ns.AodvHelper, "dsdv": ns.DsdvHelper}
            stack.SetRoutingHelper(kinds[self.routing]())
        found = wifi.Install(phy, mac, nodes)
        stack.Install(nodes)
        return around(nodes, addresses(ns, found, "10.1.0.0"))


class Mesh(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three nodes of an IEEE 802.11s mesh."""

    modules = ("wifi", "mesh", "internet")
    headers = ("ns3/yans-wifi-helper.h", "ns3/mesh-helper.h", *INTERNET, *MOVEMENT_HEADERS)

    def build(self, ns: Any) -> Topology:
        nodes, _, phy, _, stack = air(ns, 3, 20.0)
        mesh = ns.MeshHelper.Default()
        mesh.SetStackInstaller("ns3::Dot11sStack")
        mesh.SetStandard(ns.WIFI_STANDARD_80211a)
        mesh.SetRemoteStationManager("ns3::ArfWifiManager")
        found = mesh.Install(phy, nodes)
        stack.Install(nodes)
        return around(nodes, addresses(ns, found, "10.1.0.0"))


def air(ns: Any, count: int, step_m: float) -> tuple[Any, ...]:
    """Nodes in a row, and what makes them Wi-Fi nodes: `WifiHelper`, PHY, MAC and the internet stack."""
    nodes, phy, wifi = ns.NodeContainer(count), ns.YansWifiPhyHelper(), ns.WifiHelper()
    stand(ns, nodes, [(i * step_m, 0.0, 1.5) for i in range(count)])
    phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
    wifi.SetStandard(ns.WIFI_STANDARD_80211a)
    ns.Config.SetDefault("ns3::WifiMacQueue::MaxDelay", ns.StringValue("10s"))
    ns.Config.SetDefault("ns3::WifiMacQueue::MaxSize", ns.StringValue("10000p"))
    return nodes, wifi, phy, ns.WifiMacHelper(), ns.InternetStackHelper()


def addresses(ns: Any, devices: Any, network: str) -> list[Any]:
    """Give net devices addresses of a network, and name these."""
    helper = ns.Ipv4AddressHelper()
    helper.SetBase(ns.Ipv4Address(network), ns.Ipv4Mask("255.255.255.0"))
    interfaces = helper.Assign(devices)
    return [interfaces.GetAddress(i) for i in range(devices.GetN())]


def around(nodes: Any, found: list[Any]) -> Topology:
    """The first node as edge server of the others."""
    devices = [Device(f"node{i}", nodes.Get(i), found[i]) for i in range(1, nodes.GetN())]
    return Topology(nodes.Get(0), found[0], devices)
