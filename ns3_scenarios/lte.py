# SPDX-License-Identifier: GPL-2.0-only
"""LTE."""

from collections.abc import Sequence
from typing import Any, ClassVar

from .scenario import Device, Scenario, Topology


class Lte(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ClassVar[str] = "lte"
    modules: ClassVar[Sequence[str]] = ("lte",)
    headers: ClassVar[Sequence[str]] = (
        "ns3/lte-helper.h",
        "ns3/point-to-point-epc-helper.h",
        "ns3/internet-stack-helper.h",
        "ns3/mobility-helper.h",
        "ns3/lte-enb-net-device.h",
        "ns3/lte-ue-net-device.h",
    )
    attach_s: ClassVar[float] = 0.1
    devices: int = 8

    def build(self, ns: Any) -> Topology:
        lte = ns.CreateObject[ns.LteHelper]()
        epc = ns.CreateObject[ns.PointToPointEpcHelper]()
        lte.SetEpcHelper(epc)
        epc.SetAttribute("S5LinkDelay", ns.StringValue("0ns"))
        lte.SetEnbDeviceAttribute("DlBandwidth", ns.UintegerValue(100))
        lte.SetEnbDeviceAttribute("UlBandwidth", ns.UintegerValue(100))
        ns.Config.SetDefault("ns3::LteEnbRrc::EpsBearerToRlcMapping", ns.StringValue("RlcAmAlways"))
        ns.Config.SetDefault("ns3::LteRlcAm::MaxTxBufferSize", ns.UintegerValue(0))
        ns.Config.SetDefault("ns3::LteEnbRrc::SrsPeriodicity", ns.UintegerValue(20))
        enbs = ns.NodeContainer(1)
        ues = ns.NodeContainer(self.devices)
        mobility = ns.MobilityHelper()
        mobility.Install(enbs)
        mobility.Install(ues)
        for i in range(self.devices):
            ues.Get(i).GetObject[ns.MobilityModel]().SetPosition(ns.Vector(20.0 + i, 0, 1.5))
        internet = ns.InternetStackHelper()
        internet.Install(ues)
        enb = lte.InstallEnbDevice(enbs)
        ue = lte.InstallUeDevice(ues)
        addresses = epc.AssignUeIpv4Address(ns.NetDeviceContainer(ue))
        lte.Attach(ue, enb.Get(0))
        self._keep(lte, epc)
        return Topology(
            epc.GetPgwNode(),
            ns.Ipv4Address("7.0.0.1"),
            [Device(f"ue{i}", ues.Get(i), addresses.GetAddress(i)) for i in range(self.devices)],
        )

    def _keep(self, *x):
        import builtins

        builtins._keep = x
