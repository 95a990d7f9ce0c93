# SPDX-License-Identifier: GPL-2.0-only
"""What the NR scenarios share: the carrier, its radio channels, the ends' times, and the core behind the gNBs."""

from array import array
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from bridge.network import NS_PER_S, RequestError

from ..scenario import Device, Scenario, fill
from ..world.movement import HEADERS as MOVEMENT_HEADERS
from ..world.movement import Point, stand_in_fading
from . import nr_arq, nr_connection, nr_drx, nr_frame, nr_qos, nr_timing, propagation
from .propagation import PathLoss, Sight, watts

MOST_DEVICES = 256
ANY_DEVICES = Meta(min_length=1, max_length=MOST_DEVICES)
CORE_LINK_RATE = "1000Gb/s"  # so fast that the way from the edge server to the gNB takes its delay and no more
CORE_NETWORK = "10.3.0.0"  # of no other scenario, so that they go together
DEVICE_NETWORK = "10.2.0.0", "255.255.0.0"
CORE_QUEUE = "4000000000B"  # ns-3 counts the bytes of a queue in 32 bits
Count = Annotated[int, Meta(ge=1, le=64)]
Symbols = Annotated[int, Meta(ge=0, le=280)]
MCS_TABLES = {"64qam": 1, "256qam": 2, "64qam-low": 3}


class NrNetwork(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """5G NR cells on one carrier.

    `frequency_hz`: of the carrier; of its downlink with FDD.
    `duplex_spacing_hz`: by how much the uplink's carrier lies below the downlink's with FDD.
    `bandwidth_mhz`: of the carrier, one that TS 38.101 has for the numerology.
    `numerology`: subcarriers of 15 kHz * 2^numerology; slots of 1 ms / 2^numerology.
    `pattern`: of slots with TDD, repeated: D downlink, U uplink, S special; or "FDD".
    `special_symbols`: of a special slot, for downlink, guard and uplink.
    `special_pusch_symbols`: of its uplink, from the first on, with data and their DM-RS; the others are for sounding.
    `mini_slot_symbols`: 7, by which each half of a slot is scheduled like a slot; None: slots are.
    `layers`: at most, down and up; more than two need arrays at both ends that can be halved.
    `polarizations`: of all antennas; two carry two layers, and more with as many ports.
    `gnb_antennas`: rows and columns of the gNB's array, of each polarization.
    `device_antennas`: rows and columns of each device's array, likewise.
    `path_loss`: "umi" street canyon, "uma", "rma" or "inh" (mixed office) of TR 38.901 table 7.4.1-1, "log-distance"
    from Friis at 1 m on with `path_loss_exponent`, or "friis".
    `path_loss_exponent`: of "log-distance".
    `line_of_sight`: "random" as in TR 38.901 table 7.4.2-1, or "always", or "never" (not with the last two).
    `shadowing_sigma_db`: standard deviation of log-normal shadowing, reciprocal, changing with `movement`; 0 is none;
    None is what TR 38.901 prescribes, and none for the last two.
    `fading`: fast fading of TR 38.901 clause 7.5 for the scenario of `path_loss` (default: where there is one).
    `fading_speed_mps`: gives the Doppler shift of the fading of devices that stay where they are.
    `scheduler`: "pf" proportional fair or "rr" round robin.
    `rlc`: "am", or "um" without retransmissions after those of HARQ.
    `arq`: of "am": "ideal", where the sender knows at once what HARQ gave up, or a table of when it polls and the other
    end reports (default: "ideal"; with `timing` "testbed" the table's own defaults).
    `connection`: "always" there, or a table of when it is released and how it is set up again (default: "always"; with
    `timing` "testbed" the table's own defaults).
    `drx`: "off", where devices listen always, or a table of when they do (default: "off"; with `timing` "testbed" the
    table's own defaults).
    `qos_flows`: the 5QIs of a flow for hidden states and of one for background (default: one flow for both).
    `mcs_table`: "256qam", "64qam", or "64qam-low" for low rates (TS 38.214 tables 5.1.3.1-1 to -3).
    `target_bler`: block error rate of first transmissions that link adaptation aims at.
    `outer_loop_step_db`: by how much the outer loop lowers what it expects of a link when a block fails; 0 is off.
    `harq`: soft combining: "incremental" redundancy, or "chase".
    `timing`: "specification", or "testbed" with the round trips of open-source gNBs; what of the following is not given
    is as in it.
    `device_decoding_symbols`, `device_preparation_symbols`: a device's processing times N1 and N2 + d2,1 (TS 38.214
    clauses 5.3, 6.4), beside the timing advance.
    `gnb_decoding_symbols`: from the end of what comes up until the gNB knows it.
    `gnb_lead_symbols`: so long before a slot the gNB decides what it carries.
    `least_k1_slots`, `least_k2_slots`: from PDSCH to its answer, and from a grant to its PUSCH, at least.
    `request_period_slots`, `request_offset_slots`: of occasions for scheduling requests, each in the first uplink slot
    from there on.
    `request_grant_bytes`: what a device is granted upon a scheduling request.
    `buffer_bytes`: what may wait for each device, and at it; more is dropped.
    `core_delay_s`: one-way delay between the edge server and the gNB.
    `gnb_power_dbm`, `device_power_dbm`: transmit powers, the latter at most.
    `nominal_power_dbm`, `path_loss_factor`: P0 (in a PRB of 15 kHz) and alpha of the uplink's power control, TS 38.213
    clause 7.1.1.
    """

    modules: ClassVar[Sequence[str]] = ("spectrum", "point-to-point", "internet")
    headers: ClassVar[Sequence[str]] = (
        "ns3/point-to-point-helper.h",
        "ns3/internet-stack-helper.h",
        "ns3/ipv4-address-helper.h",
        "ns3/ipv4-static-routing-helper.h",
        "ns3/propagation-loss-model.h",
        "ns3/channel-condition-model.h",
        *MOVEMENT_HEADERS,
        "nr-helper.h",
        "site-element.h",
        "nr-radio.h",
    )
    attach_s: ClassVar[float] = 0.5

    frequency_hz: Annotated[float, Meta(ge=0.5e9, le=100e9)] = 3.5e9
    duplex_spacing_hz: Annotated[float, Meta(ge=0, le=1e9)] = 100e6
    bandwidth_mhz: int = 100
    numerology: int = 1
    pattern: str = "DDDSU"
    special_symbols: tuple[int, int, int] = (10, 2, 2)
    special_pusch_symbols: Annotated[int, Meta(ge=0, le=14)] = 0
    mini_slot_symbols: Literal[7] | None = None
    layers: Annotated[int, Meta(ge=1, le=4)] = 2
    polarizations: Annotated[int, Meta(ge=1, le=2)] = 2
    gnb_antennas: tuple[Count, Count] = (4, 8)
    device_antennas: tuple[Count, Count] = (1, 1)
    path_loss: PathLoss = "umi"
    path_loss_exponent: Annotated[float, Meta(ge=1, le=10)] = 3.0
    line_of_sight: Sight = "random"
    shadowing_sigma_db: Annotated[float, Meta(ge=0, le=30)] | None = None
    fading: bool | None = None
    fading_speed_mps: Annotated[float, Meta(ge=0, le=150)] = 0.83
    scheduler: Literal["pf", "rr"] = "pf"
    rlc: Literal["am", "um"] = "am"
    arq: Literal["ideal"] | nr_arq.Arq | None = None
    connection: Literal["always"] | nr_connection.Connection | None = None
    drx: Literal["off"] | nr_drx.Drx | None = None
    qos_flows: nr_qos.QosFlows | None = None
    mcs_table: Literal["64qam", "256qam", "64qam-low"] = "256qam"
    target_bler: Annotated[float, Meta(ge=0.001, le=0.5)] = 0.01
    outer_loop_step_db: Annotated[float, Meta(ge=0, le=5)] = 0.25
    harq: Literal["incremental", "chase"] = "incremental"
    timing: nr_timing.Profile = "specification"
    device_decoding_symbols: Symbols | None = None
    device_preparation_symbols: Symbols | None = None
    gnb_decoding_symbols: Symbols | None = None
    gnb_lead_symbols: Symbols | None = None
    least_k1_slots: Annotated[int, Meta(ge=0, le=15)] | None = None
    least_k2_slots: Annotated[int, Meta(ge=0, le=32)] | None = None
    request_period_slots: Annotated[int, Meta(ge=1, le=640)] | None = None
    request_offset_slots: Annotated[int, Meta(ge=0, le=639)] = 0
    request_grant_bytes: Annotated[int, Meta(ge=16, le=100_000)] | None = None
    buffer_bytes: Annotated[int, Meta(ge=1500, le=10**12)] = 64_000_000
    core_delay_s: Annotated[float, Meta(ge=0, le=10)] = 0.0
    gnb_power_dbm: Annotated[float, Meta(ge=-30, le=60)] = 40.0
    device_power_dbm: Annotated[float, Meta(ge=-30, le=40)] = 23.0
    nominal_power_dbm: Annotated[float, Meta(ge=-202, le=24)] = -85.0
    path_loss_factor: Annotated[float, Meta(ge=0, le=1)] = 0.9

    def check_radio(self) -> None:
        """For `__post_init__`: fill in what was left out, and raise `RequestError` for what does not fit together."""
        if self.fading is None:
            fill(self, fading=self.path_loss in propagation.FADING_NAME)
        nr_frame.prbs(self.frequency_hz, self.numerology, self.bandwidth_mhz)
        nr_frame.check_pattern(self.pattern, self.special_symbols, self.special_pusch_symbols)
        self._check_layers()
        if self.request_offset_slots >= (period := self.times().request_period_slots):
            reason = f"{self.request_offset_slots} is not below the period, {period}"
            raise RequestError("radio.request_offset_slots", reason)
        if self.rlc == "um" and self.arq is not None:
            raise RequestError("radio.arq", 'only with rlc = "am"; "um" sends nothing again')
        if connection := self.connecting():
            connection.check(self.pattern, self.special_symbols[0], self.numerology, self.times())
        if drx := self.listening():
            drx.check()
        if self.fading and self.path_loss not in propagation.FADING_NAME:
            raise RequestError("radio.fading", f"{self.path_loss} has none; take one of TR 38.901's path_loss")

    def _check_layers(self) -> None:
        if self.layers > 1 and self.polarizations == 1:
            raise RequestError("radio.layers", f"{self.layers} layers need two polarizations; there is one")
        halved = {"gnb_antennas": self.gnb_antennas, "device_antennas": self.device_antennas}
        for name, (rows, columns) in halved.items() if self.layers > 2 else ():
            if rows % 2 and columns % 2:
                reason = (
                    f"{self.layers} layers need four ports at both ends; {name} has no even number of columns or rows"
                )
                raise RequestError("radio.layers", reason)

    def times(self) -> nr_timing.Timing:
        """Those of the profile, but for what is given."""
        named = nr_timing.profile(self.timing, self.numerology)
        given = {name: value for name in named.__struct_fields__ if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(named, **given)

    def reports(self) -> nr_arq.Arq | None:
        """When acknowledged mode polls and reports, if it does."""
        if isinstance(self.arq, nr_arq.Arq):
            return self.arq
        return nr_arq.Arq() if self.arq is None and self.rlc == "am" and self.timing == "testbed" else None

    def connecting(self) -> nr_connection.Connection | None:
        """When connections are released, if they are, and set up again."""
        if isinstance(self.connection, nr_connection.Connection):
            return self.connection
        return nr_connection.Connection() if self.connection is None and self.timing == "testbed" else None

    def listening(self) -> nr_drx.Drx | None:
        """When devices listen, if not always."""
        if isinstance(self.drx, nr_drx.Drx):
            return self.drx
        return nr_drx.Drx() if self.drx is None and self.timing == "testbed" else None

    def prbs(self) -> int:
        """Of the carrier."""
        return nr_frame.prbs(self.frequency_hz, self.numerology, self.bandwidth_mhz)

    @property
    def height_m(self) -> float:
        """Of a gNB."""
        return propagation.HEIGHT_M.get(self.path_loss, propagation.HEIGHT_M["umi"])

    def models(self, ns: Any, condition: Any = None) -> tuple[Any, Any]:
        """Of path loss with shadowing and of line of sight: new ones, but for a given `condition` of sight."""
        return propagation.path_loss(
            ns,
            self.path_loss,
            self.frequency_hz,
            exponent=self.path_loss_exponent,
            line_of_sight=self.line_of_sight,
            shadowing_sigma_db=self.shadowing_sigma_db,
            is_moving=self.movement is not None,
            condition=condition,
        )

    def stand_or_move(
        self, ns: Any, nodes: Any, places_m: Sequence[Point], others: Any, others_m: Sequence[Point]
    ) -> None:
        """Put devices where they are or begin, and other users where they stay."""
        if self.movement is None:
            stand_in_fading(ns, nodes, places_m, self.fading_speed_mps)
        else:
            self.place(ns, nodes, places_m)
        if others_m:
            stand_in_fading(ns, others, others_m, self.fading_speed_mps)

    def address(self, ns: Any, users: Any, ends: Any) -> list[Device]:
        """Give the ends addresses, the gNBs' end first, and say who the users are that these carry."""
        addresses = ns.Ipv4AddressHelper()
        addresses.SetBase(ns.Ipv4Address(DEVICE_NETWORK[0]), ns.Ipv4Mask(DEVICE_NETWORK[1]))
        reached = addresses.Assign(ends)
        routing = ns.Ipv4StaticRoutingHelper()
        for i in range(users.GetN()):
            routing.GetStaticRouting(users.Get(i).GetObject[ns.Ipv4]()).SetDefaultRoute(reached.GetAddress(0), 1)
        air_w = watts(self.gnb_power_dbm), watts(self.device_power_dbm)
        return [Device(f"ue{i}", users.Get(i), reached.GetAddress(1 + i), air_w) for i in range(users.GetN())]

    @property
    def band_hz(self) -> float:
        """Of all PRBs."""
        return self.prbs() * nr_frame.PRB_SUBCARRIERS * nr_frame.SUBCARRIER_HZ * float(2**self.numerology)

    @property
    def spectrum_hz(self) -> tuple[tuple[float, float], ...]:
        """From and to, of the downlink's channel and of the uplink's."""
        half_hz = self.bandwidth_mhz * 1e6 / 2
        return tuple((centre - half_hz, centre + half_hz) for centre in (self.frequency_hz, self.uplink_hz))

    def timing_settings(self, ns: Any, farthest_m: float) -> Any:
        """For `NrHelper.SetTiming`; devices are no farther from a gNB."""
        times, settings = self.times(), ns.cosim.NrTimingSettings()
        settings.decodingSymbols = times.device_decoding_symbols
        settings.preparationSymbols = times.device_preparation_symbols
        settings.gnbDecodingSymbols = times.gnb_decoding_symbols
        settings.gnbLeadSymbols = times.gnb_lead_symbols
        settings.timingAdvanceNs = round(nr_timing.timing_advance_s(self.frequency_hz, farthest_m) * NS_PER_S)
        settings.leastK1, settings.leastK2 = times.least_k1_slots, times.least_k2_slots
        settings.requestPeriod, settings.requestOffset = times.request_period_slots, self.request_offset_slots
        return settings

    def connect_core(self, ns: Any, server: Any, gnb: Any) -> Any:
        """Connect the edge server with the node that has the gNBs' end; returns its address."""
        link, addresses = ns.PointToPointHelper(), ns.Ipv4AddressHelper()
        link.SetDeviceAttribute("DataRate", ns.StringValue(CORE_LINK_RATE))
        link.SetChannelAttribute("Delay", ns.StringValue(f"{self.core_delay_s!r}s"))
        link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(CORE_QUEUE))
        link.DisableFlowControl()
        addresses.SetBase(ns.Ipv4Address(CORE_NETWORK), ns.Ipv4Mask("255.255.255.252"))
        interfaces = addresses.Assign(link.Install(server, gnb))
        routing = ns.Ipv4StaticRoutingHelper()
        devices = ns.Ipv4Address(DEVICE_NETWORK[0]), ns.Ipv4Mask(DEVICE_NETWORK[1])
        down = routing.GetStaticRouting(server.GetObject[ns.Ipv4]())
        down.AddNetworkRouteTo(*devices, interfaces.GetAddress(1), interfaces.Get(0).second)
        up = routing.GetStaticRouting(gnb.GetObject[ns.Ipv4]())
        up.SetDefaultRoute(interfaces.GetAddress(0), interfaces.Get(1).second)  # to whatever address the server has
        return interfaces.GetAddress(0)

    @property
    def uplink_hz(self) -> float:
        """Frequency of the uplink's carrier."""
        return self.frequency_hz - (self.duplex_spacing_hz if self.pattern == "FDD" else 0.0)

    def configure(self, ns: Any, helper: Any, downtilt_deg: float | None, condition: Any = None) -> Any:
        """Set the helper's attributes; what is returned, path loss and sight, must live as long as the network.

        With `downtilt_deg` a gNB has the elements of a site of three sectors; without, isotropic ones. With a
        `condition` of sight that is the channel's.
        """
        model, condition = self.models(ns, condition)
        channel = {
            "Frequency": ns.DoubleValue(self.frequency_hz),
            "UplinkFrequency": ns.DoubleValue(self.uplink_hz),
            "Prbs": ns.UintegerValue(self.prbs()),
            "SubcarrierSpacing": ns.DoubleValue(nr_frame.SUBCARRIER_HZ * 2**self.numerology),
            "PropagationLossModel": ns.PointerValue(model),
            "Fading": ns.StringValue(propagation.FADING_NAME[self.path_loss] if self.fading else "none"),
            "MaxRank": ns.UintegerValue(self.layers),
        }
        if condition:
            channel["ChannelConditionModel"] = ns.PointerValue(condition)
        cell = {
            "Numerology": ns.UintegerValue(self.numerology),
            "Pattern": ns.StringValue("F" if self.pattern == "FDD" else self.pattern),
            "SpecialDownlinkSymbols": ns.UintegerValue(self.special_symbols[0]),
            "SpecialUplinkSymbols": ns.UintegerValue(self.special_symbols[2]),
            "SpecialPuschSymbols": ns.UintegerValue(self.special_pusch_symbols),
            "UnitSymbols": ns.UintegerValue(self.mini_slot_symbols or nr_frame.SYMBOLS),
            "Prbs": ns.UintegerValue(self.prbs()),
            "GnbPower": ns.DoubleValue(self.gnb_power_dbm),
            "DevicePower": ns.DoubleValue(self.device_power_dbm),
            "NominalPower": ns.DoubleValue(self.nominal_power_dbm),
            "PathLossFactor": ns.DoubleValue(self.path_loss_factor),
            "McsTable": ns.UintegerValue(MCS_TABLES[self.mcs_table]),
            "TargetBler": ns.DoubleValue(self.target_bler),
            "OuterLoopStep": ns.DoubleValue(self.outer_loop_step_db),
            "IncrementalRedundancy": ns.BooleanValue(self.harq == "incremental"),
            "RequestGrantBytes": ns.UintegerValue(self.times().request_grant_bytes),
            "Acknowledged": ns.BooleanValue(self.rlc == "am"),
            "BufferBytes": ns.UintegerValue(self.buffer_bytes),
            "Scheduler": ns.StringValue(self.scheduler),
        }
        if reports := self.reports():
            helper.SetArq(reports.settings(ns))
            cell["Reordering"] = ns.TimeValue(nr_arq.time(ns, reports.reordering_s))
        if connection := self.connecting():
            helper.SetConnection(connection.settings(ns, self.numerology))
        if drx := self.listening():
            helper.SetDrx(drx.settings(ns))
        if self.qos_flows:
            helper.SetQosFlows(self.qos_flows.settings(ns))
        arrays = [
            {
                "NumRows": ns.UintegerValue(rows),
                "NumColumns": ns.UintegerValue(columns),
                "IsDualPolarized": ns.BooleanValue(self.polarizations == 2),
            }
            for rows, columns in (self.gnb_antennas, self.device_antennas)
        ]
        if downtilt_deg is not None:
            element = ns.CreateObject[ns.cosim.SiteElement]()
            element.SetAttribute("Downtilt", ns.DoubleValue(downtilt_deg))
            arrays[0]["AntennaElement"] = ns.PointerValue(element)
        for setter, values in (
            (helper.SetChannelAttribute, channel),
            (helper.SetCellAttribute, cell),
            (helper.SetGnbAntennaAttribute, arrays[0]),
            (helper.SetDeviceAntennaAttribute, arrays[1]),
        ):
            for name, value in values.items():
                setter(name, value)
        return model, condition


def apply_shares(radio: Any, shares: Sequence[float] | None) -> None:
    """To an `NrCell` or `NrCells`, for `Topology.apply_shares`."""
    if shares is None:
        radio.ClearShares()
    else:
        radio.SetShares(len(shares), array("d", shares))
