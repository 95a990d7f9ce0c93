# SPDX-License-Identifier: GPL-2.0-only
"""What the LTE scenarios share: cells, the evolved packet core, the edge server beside the BS, and the devices."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from bridge.network import RequestError, Site

from ..scenario import Device, Scenario, Topology
from ..world.movement import HEADERS as MOVEMENT_HEADERS
from ..world.movement import Point, stand, stand_in_fading
from .propagation import FADING_NAME, HEIGHT_M, LEAST_DISTANCE_M, path_loss, watts

DEVICE_HEIGHT_M = 1.5
BAND_RB = 100  # resource blocks of a 20 MHz carrier
RB_HZ = 180e3  # TS 36.211 table 6.2.3-1: 12 subcarriers of 15 kHz
CORE_LINK_RATE = "1000Gb/s"  # so fast that the way from the edge server to the BS takes its delay and no more

# SRS periodicities in ms that TS 36.213 table 8.2-1 offers; each carries one device fewer than its figure.
SRS_PERIODICITIES_MS = (2, 5, 10, 20, 40, 80, 160, 320)
MOST_DEVICES = SRS_PERIODICITIES_MS[-1] - 1
ANY_DEVICES = msgspec.Meta(min_length=1, max_length=MOST_DEVICES)


@dataclass(frozen=True)
class Profile:
    """How the band is used: carriers of 20 MHz, transmission mode of TS 36.213 clause 7.1, RLC mode, EARFCNs."""

    carriers: int
    transmission_mode: int
    rlc: Literal["Am", "Um"]
    downlink_earfcn: int
    uplink_earfcn: int


# ns-3's RLC AM cannot serve several carriers (it aborts on small grants), hence UM there. Five carriers need a
# band of 100 MHz: band 40, 2.3 to 2.4 GHz. One carrier lies in band 1: 2.12 GHz down, 1.93 GHz up.
PROFILES = {
    "20mhz": Profile(1, 1, "Am", 100, 18100),
    "20mhz-2x2": Profile(1, 3, "Am", 100, 18100),
    "100mhz-2x2": Profile(5, 3, "Um", 38750, 38750),
}
PATH_LOSS_FACTORS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # TS 36.331 clause 6.3.2, UplinkPowerControl
DOWNLINK_HZ = {100: 2.12e9, 38750: 2.31e9}  # TS 36.101 table 5.7.3-1


class LteNetwork(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LTE cells around an evolved packet core.

    `profile`: "20mhz" one carrier of 100 resource blocks with RLC AM; "20mhz-2x2" the same with open-loop
    spatial multiplexing (TM3) in the downlink; "100mhz-2x2" five such carriers with RLC UM.
    `path_loss`: "umi" street canyon or "uma" of TR 38.901 table 7.4.1-1, "log-distance" from Friis at 1 m on
    with `path_loss_exponent`, or "friis".
    `path_loss_exponent`: of "log-distance".
    `line_of_sight`: "random" as in TR 38.901 table 7.4.2-1, or "always", or "never" (umi and uma only).
    `shadowing_sigma_db`: standard deviation of log-normal shadowing, reciprocal, changing with `movement`; 0 is none;
    None is what TR 38.901 prescribes for umi and uma, and none for the others.
    `fading`: "none", or the fast fading of TR 38.901 clause 7.5 for "umi" or "uma". ns-3's uplink schedulers rate
    a device by its worst resource block, so that with fading the uplink's range is about 10 dB shorter.
    `fading_speed_mps`: gives the Doppler shift of the fading of devices that stay where they are.
    `scheduler`: "pf" proportional fair or "rr" round robin.
    `core_delay_s`: one-way delay between the edge server and the BS.
    `bs_power_dbm`: transmit power of the BS on each carrier.
    `device_power_dbm`: transmit power of each device, at most.
    `nominal_power_dbm`, `path_loss_factor`: P0 (in a resource block) and alpha of the uplink's power control, TS 36.213
    clause 5.1.1.1; the values that TS 36.331 clause 6.3.2 has for them.
    """

    modules: ClassVar[Sequence[str]] = ("lte",)
    headers: ClassVar[Sequence[str]] = (
        "ns3/lte-helper.h",
        "ns3/point-to-point-epc-helper.h",
        "ns3/internet-stack-helper.h",
        *MOVEMENT_HEADERS,
        "ns3/channel-condition-model.h",
        "lte-radio.h",
    )
    attach_s: ClassVar[float] = 0.5

    profile: Literal["20mhz", "20mhz-2x2", "100mhz-2x2"] = "20mhz"
    scheduler: Literal["pf", "rr"] = "pf"
    path_loss: Literal["umi", "uma", "log-distance", "friis"] = "umi"
    path_loss_exponent: Annotated[float, msgspec.Meta(ge=1, le=10)] = 3.0
    line_of_sight: Literal["random", "always", "never"] = "random"
    shadowing_sigma_db: Annotated[float, msgspec.Meta(ge=0, le=30)] | None = None
    fading: Literal["none", "umi", "uma"] = "none"
    fading_speed_mps: Annotated[float, msgspec.Meta(ge=0, le=150)] = 3.0
    bs_power_dbm: Annotated[float, msgspec.Meta(ge=-30, le=60)] = 40.0
    device_power_dbm: Annotated[float, msgspec.Meta(ge=-30, le=40)] = 23.0
    nominal_power_dbm: Annotated[int, msgspec.Meta(ge=-126, le=24)] = -85
    path_loss_factor: float = 0.9
    core_delay_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0

    @property
    def least_distance_m(self) -> float:
        """From which on the models hold."""
        return LEAST_DISTANCE_M.get(self.path_loss, 0.0)

    @property
    def height_m(self) -> float:
        """Of a BS."""
        return HEIGHT_M.get(self.path_loss, HEIGHT_M["umi"])

    def check_radio(self) -> None:
        """Raise `RequestError` for models that do not fit together, and what power control has no value for."""
        if self.path_loss_factor not in PATH_LOSS_FACTORS:
            known = ", ".join(f"{factor:g}" for factor in PATH_LOSS_FACTORS)
            raise RequestError("radio.path_loss_factor", f"{self.path_loss_factor:g} is none of {known}")
        if self.fading not in ("none", self.path_loss):
            raise RequestError("radio.fading", f"{self.fading} needs the path_loss of the same name")

    def check_room(self, devices: int, most: int) -> None:
        """Raise `RequestError` if devices and other users are more than a cell has room for."""
        if devices + self.other_users > most:
            reason = f"{devices} devices and {self.other_users} other users; one cell has room for {most}"
            raise RequestError("radio.background", reason)

    def connect(
        self,
        ns: Any,
        sites: Sequence[Site],
        places_m: Sequence[Point],
        others_m: Sequence[Point],
    ) -> Topology:
        """For `build`: a cell at each site but the neighbours, devices where they are or begin, and other users."""
        profile = PROFILES[self.profile]
        self._configure(ns, profile, len(places_m) + len(others_m))
        own = [site for site in sites if not site.is_neighbour]
        cells = ns.NodeContainer(len(own))
        nodes = ns.NodeContainer(len(places_m))
        others = ns.NodeContainer(len(others_m))
        stand(ns, cells, [(site.x_m, site.y_m, site.z_m) for site in own])
        if self.movement is None:
            stand_in_fading(ns, nodes, places_m, self.fading_speed_mps)
        else:
            self.place(ns, nodes, places_m)
        if others_m:  # ns-3's helper draws a stream of random numbers, which no one else should miss
            stand_in_fading(ns, others, others_m, self.fading_speed_mps)
        epc = ns.CreateObject[ns.PointToPointEpcHelper]()
        lte = ns.CreateObject[ns.LteHelper]()
        lte.SetEpcHelper(epc)
        lte.SetSchedulerType({"pf": "ns3::PfFfMacScheduler", "rr": "ns3::RrFfMacScheduler"}[self.scheduler])
        if profile.carriers > 1:
            lte.SetAttribute("UseCa", ns.BooleanValue(True))
            lte.SetAttribute("NumberOfComponentCarriers", ns.UintegerValue(profile.carriers))
            lte.SetEnbComponentCarrierManagerType("ns3::RrComponentCarrierManager")
        for name, value in (
            ("DlEarfcn", profile.downlink_earfcn),
            ("UlEarfcn", profile.uplink_earfcn),
            ("DlBandwidth", BAND_RB),
            ("UlBandwidth", BAND_RB),
        ):
            lte.SetEnbDeviceAttribute(name, ns.UintegerValue(value))
        lte.SetUeDeviceAttribute("DlEarfcn", ns.UintegerValue(profile.downlink_earfcn))
        channel = self._channel(ns, lte, DOWNLINK_HZ[profile.downlink_earfcn])
        self.hand_over(ns, lte)
        self.set_antennas(ns, lte)
        bs = lte.InstallEnbDevice(cells)
        users = ns.NodeContainer(nodes, others)
        radios = lte.InstallUeDevice(users)
        ns.InternetStackHelper().Install(users)
        addresses = epc.AssignUeIpv4Address(radios)
        radio = ns.CreateObject[ns.cosim.LteRadio]()
        radio.SetAttribute("CoreDelay", ns.StringValue(f"{self.core_delay_s!r}s"))
        for i in range(cells.GetN()):
            radio.AddEnb(bs.Get(i))
        for i in range(nodes.GetN()):
            radio.AddUe(radios.Get(i))
        for i in range(nodes.GetN(), users.GetN()):
            radio.AddOther(radios.Get(i))
        around = self.surround(ns, bs, radios, channel[0])
        if cells.GetN() == 1:
            lte.Attach(radios, bs.Get(0))
        else:
            lte.AddX2Interface(cells)
            lte.Attach(radios)
        air_w = watts(self.bs_power_dbm) * profile.carriers, watts(self.device_power_dbm) * profile.carriers
        made = [Device(f"ue{i}", users.Get(i), addresses.GetAddress(i), air_w) for i in range(users.GetN())]
        devices, beside = made[: nodes.GetN()], made[nodes.GetN() :]
        gateway = epc.GetUeDefaultGatewayAddress()
        band_hz = profile.carriers * BAND_RB * RB_HZ
        return Topology(
            epc.GetPgwNode(),
            gateway,
            devices,
            radio,
            beside,
            partial(_apply_shares, radio),
            bandwidth_hz=(band_hz, band_hz),
            keep=(lte, epc, channel, around),
            sites=sites,
        )

    def hand_over(self, ns: Any, lte: Any) -> None:
        """Tell the `LteHelper` when a device is handed over to another cell. It is not, unless a subclass does."""

    def set_antennas(self, ns: Any, lte: Any) -> None:
        """Tell the `LteHelper` which antennas BSs have. They are isotropic, unless a subclass does."""

    def surround(self, ns: Any, bs: Any, radios: Any, loss: Any) -> Any:
        """Put around the network, whose path loss is `loss`, what is not of it; returns what must live as long.

        Nothing, unless a subclass does.
        """

    def _configure(self, ns: Any, profile: Profile, contexts: int) -> None:
        """Defaults of what LteHelper makes out of sight. `contexts`: devices that one cell must have room for."""
        srs = next(period for period in SRS_PERIODICITIES_MS if period > contexts)
        text = {
            "ns3::LteEnbRrc::EpsBearerToRlcMapping": f"Rlc{profile.rlc}Always",
            "ns3::NoBackhaulEpcHelper::S5LinkDelay": "0s",
            "ns3::NoBackhaulEpcHelper::S5LinkDataRate": CORE_LINK_RATE,
            "ns3::PointToPointEpcHelper::S1uLinkDelay": f"{self.core_delay_s!r}s",
            "ns3::PointToPointEpcHelper::S1uLinkDataRate": CORE_LINK_RATE,
            "ns3::NoBackhaulEpcHelper::X2LinkDataRate": CORE_LINK_RATE,
            "ns3::DropTailQueue<Packet>::MaxSize": "4294967295p",
            "ns3::LteRlcAm::PollRetransmitTimer": "40ms",
        }
        numbers = {
            "ns3::LteEnbRrc::SrsPeriodicity": srs,
            "ns3::LteEnbRrc::DefaultTransmissionMode": profile.transmission_mode - 1,
            "ns3::LteRlcAm::MaxTxBufferSize": 0,  # no limit
            "ns3::LteRlcUm::MaxTxBufferSize": 2**32 - 1,
        }
        powers = {
            "ns3::LteEnbPhy::TxPower": self.bs_power_dbm,
            "ns3::LteUePhy::TxPower": self.device_power_dbm,
            "ns3::LteUePowerControl::Pcmax": self.device_power_dbm,
            "ns3::LteUePowerControl::Alpha": self.path_loss_factor,
        }
        integers = {"ns3::LteUePowerControl::PoNominalPusch": self.nominal_power_dbm}
        kinds = (
            (ns.StringValue, text),
            (ns.UintegerValue, numbers),
            (ns.DoubleValue, powers),
            (ns.IntegerValue, integers),
        )
        for make, values in kinds:
            for name, value in values.items():
                ns.Config.SetDefault(name, make(value))

    def models(self, ns: Any, frequency_hz: float) -> tuple[Any, Any]:
        """Of path loss with shadowing and, for umi and uma, of line of sight: new ones."""
        return path_loss(
            ns,
            self.path_loss,
            frequency_hz,
            exponent=self.path_loss_exponent,
            line_of_sight=self.line_of_sight,
            shadowing_sigma_db=self.shadowing_sigma_db,
            is_moving=self.movement is not None,
        )

    def _channel(self, ns: Any, lte: Any, frequency_hz: float) -> Any:
        """Set path loss, shadowing and fading, each one model for both directions."""
        model, condition = self.models(ns, frequency_hz)
        lte.SetPathlossModelType(ns.TypeId.LookupByName("ns3::cosim::SharedPathLoss"))
        lte.SetPathlossModelAttribute("Model", ns.PointerValue(model))
        if self.fading != "none":
            lte.SetFadingModel("ns3::cosim::ThreeGppFading")
            lte.SetFadingModelAttribute("Scenario", ns.StringValue(FADING_NAME[self.fading]))
            lte.SetFadingModelAttribute("Frequency", ns.DoubleValue(frequency_hz))
            lte.SetFadingModelAttribute("ChannelConditionModel", ns.PointerValue(condition))
        return model, condition


def _apply_shares(radio: Any, shares: Sequence[float] | None) -> None:
    if shares is None:
        radio.ClearShares()
    else:
        radio.SetShares(len(shares), array("d", shares))
