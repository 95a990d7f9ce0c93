# SPDX-License-Identifier: GPL-2.0-only
"""Wi-Fi: one IEEE 802.11ax access point beside the edge server, and the devices as its stations."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from ..scenario import Device, Positive, Scenario, Site, Topology
from ..world.movement import HEADERS as MOVEMENT_HEADERS
from ..world.movement import Point, stand
from .one_cell import OneCell
from .propagation import watts

NEAREST_M = 2.0
FARTHEST_M = 10.0
HEIGHT_M = 1.5
MOST_DEVICES = 128
ANY_DEVICES = msgspec.Meta(min_length=1, max_length=MOST_DEVICES)
# Of ns-3's path loss, which holds from 1 m on: Friis at 1 m and 5.15 GHz, where the band begins.
REFERENCE_LOSS_DB = 20 * math.log10(4 * math.pi * 5.15e9 / 299792458)

Power = Annotated[float, msgspec.Meta(ge=-30, le=40)]


class Wifi(OneCell, Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One 802.11ax cell at 5 GHz.

    `devices`: how many (default: as many as distances or positions are given, else 8).
    `distances_m`: of each device from the access point, on a circle around it (default: 2 to 10 m, evenly).
    `positions_m`: x, y, z of each device instead; the access point is at x = y = 0, 1.5 m high.
    `channel_width_mhz`: 20, 40, 80 or 160.
    `guard_interval_ns`: 800, 1600 or 3200, of the OFDM symbols.
    `mcs`: a fixed HE-MCS (0 to 11) for data; None is ns-3's ideal rate manager, which knows each receiver's SNR.
    `path_loss_exponent`: of log-distance path loss from Friis at 1 m on.
    `access_point_power_dbm`, `device_power_dbm`: transmit powers.
    `other_users_distances_m`: of the other users of `background` from the access point, taken in turn, in directions
    that go evenly round it; they stay there and have the devices' power (default: 2 to 10 m, evenly).
    """

    name: ClassVar[str] = "wifi"
    modules: ClassVar[Sequence[str]] = ("wifi", "internet")
    headers: ClassVar[Sequence[str]] = (
        "ns3/yans-wifi-helper.h",
        "ns3/ssid.h",
        *MOVEMENT_HEADERS,
        "ns3/internet-stack-helper.h",
        "ns3/ipv4-address-helper.h",
        "wifi-radio.h",
    )
    attach_s: ClassVar[float] = 20.0
    most_devices: ClassVar[int] = MOST_DEVICES

    transport: Literal["udp", "tcp"] = "tcp"
    devices: Annotated[int, msgspec.Meta(ge=1, le=MOST_DEVICES)] | None = None
    distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    positions_m: Annotated[tuple[Point, ...], ANY_DEVICES] | None = None
    other_users_distances_m: Annotated[tuple[Positive, ...], ANY_DEVICES] | None = None
    channel_width_mhz: Literal[20, 40, 80, 160] = 80
    guard_interval_ns: Literal[800, 1600, 3200] = 3200
    mcs: Annotated[int, msgspec.Meta(ge=0, le=11)] | None = None
    path_loss_exponent: Annotated[float, msgspec.Meta(ge=1, le=10)] = 3.0
    access_point_power_dbm: Power = 16.0
    device_power_dbm: Power = 16.0

    def __post_init__(self) -> None:
        self.count_devices()

    @classmethod
    def spread(cls, devices: int) -> tuple[float, ...]:
        """Distances in m from near to far, at even steps."""
        step_m = (FARTHEST_M - NEAREST_M) / max(devices - 1, 1)
        return tuple(NEAREST_M + i * step_m for i in range(devices))

    def build(self, ns: Any) -> Topology:
        return self.connect(ns, ns.CreateObject[ns.Node]())

    def connect(self, ns: Any, server: Any) -> Topology:
        """Make the stations, and this node their access point and edge server; it may have an internet stack already.

        They reach it at `Topology.edge_address`.
        """
        nodes = ns.NodeContainer(self.devices)
        others = ns.NodeContainer(self.other_users)
        users = ns.NodeContainer(nodes, others)
        bare = users if server.GetObject[ns.Ipv4]() else ns.NodeContainer(ns.NodeContainer(server), users)
        stand(ns, ns.NodeContainer(server), [(0.0, 0.0, HEIGHT_M)])
        self.place(ns, nodes, self.places())
        if self.other_users:
            stand(ns, others, self.other_places())
        # What waits, waits in the MAC, for as long as it has to; an exchange's deadline is what ends it.
        ns.Config.SetDefault("ns3::WifiMacQueue::MaxSize", ns.StringValue("4294967295p"))
        ns.Config.SetDefault("ns3::WifiMacQueue::MaxDelay", ns.StringValue("1000000s"))
        wifi = self._helper(ns)
        channel = ns.YansWifiChannelHelper()
        channel.SetPropagationDelay("ns3::ConstantSpeedPropagationDelayModel")
        channel.AddPropagationLoss(
            "ns3::LogDistancePropagationLossModel",
            "Exponent",
            ns.DoubleValue(self.path_loss_exponent),
            "ReferenceLoss",
            ns.DoubleValue(REFERENCE_LOSS_DB),
        )
        phy, mac = ns.YansWifiPhyHelper(), ns.WifiMacHelper()
        phy.SetChannel(channel.Create())
        phy.Set("ChannelSettings", ns.StringValue(f"{{0, {self.channel_width_mhz}, BAND_5GHZ, 0}}"))
        ssid = ns.SsidValue(ns.Ssid("cosim"))
        _power(ns, phy, self.access_point_power_dbm)
        mac.SetType("ns3::ApWifiMac", "Ssid", ssid)
        cell = wifi.Install(phy, mac, server)
        _power(ns, phy, self.device_power_dbm)
        mac.SetType("ns3::StaWifiMac", "Ssid", ssid)
        stations = wifi.Install(phy, mac, users)
        stack, addresses = ns.InternetStackHelper(), ns.Ipv4AddressHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(bare)
        addresses.SetBase(ns.Ipv4Address("10.1.0.0"), ns.Ipv4Mask("255.255.0.0"))
        interfaces = addresses.Assign(ns.NetDeviceContainer(cell, stations))
        radio = ns.CreateObject[ns.cosim.WifiRadio]()
        radio.SetAccessPoint(cell.Get(0))
        for i in range(nodes.GetN()):
            radio.AddStation(stations.Get(i))
        for i in range(nodes.GetN(), stations.GetN()):
            radio.AddOther(stations.Get(i))
        air_w = watts(self.access_point_power_dbm), watts(self.device_power_dbm)
        made = [Device(f"sta{i}", users.Get(i), interfaces.GetAddress(1 + i), air_w) for i in range(users.GetN())]
        devices, beside = made[: nodes.GetN()], made[nodes.GetN() :]
        width_hz = self.channel_width_mhz * 1e6
        return Topology(
            server,
            interfaces.GetAddress(0),
            devices,
            radio,
            beside,
            bandwidth_hz=(width_hz, width_hz),
            sites=[Site(0.0, 0.0, HEIGHT_M)],
        )

    def _helper(self, ns: Any) -> Any:
        wifi = ns.WifiHelper()
        wifi.SetStandard(ns.WIFI_STANDARD_80211ax)
        wifi.DisableFlowControl()
        wifi.ConfigHeOptions("GuardInterval", ns.TimeValue(ns.NanoSeconds(self.guard_interval_ns)))
        if self.mcs is None:
            wifi.SetRemoteStationManager("ns3::IdealWifiManager")
        else:
            mode = ns.StringValue(f"HeMcs{self.mcs}")
            wifi.SetRemoteStationManager("ns3::ConstantRateWifiManager", "DataMode", mode)
        return wifi


def _power(ns: Any, phy: Any, power_dbm: float) -> None:
    for bound in ("TxPowerStart", "TxPowerEnd"):
        phy.Set(bound, ns.DoubleValue(power_dbm))
