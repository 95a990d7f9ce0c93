# SPDX-License-Identifier: Apache-2.0
"""The link as a formula: Shannon's rate with the SINR of the live scenario, the band divided among the devices.

So WDMoE models its radio (arXiv 2405.03131, 2411.06681): the rate of device k is b_k log2(1 + SINR_k) with its part b_k
of the band, and a layer lasts as long as its slowest device. The restatement here is ours, as are the equal parts where
none are given. Headers, delay, queues, retransmissions, losses and every coding that is no ideal one are what the
formula leaves out: to see how much that is, is what this network is for.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from bridge.network import (
    NS_PER_S,
    Conveyed,
    Delivery,
    LinkState,
    Message,
    NetworkInfo,
    Outcome,
    RequestError,
    Status,
    Transfer,
    TransferOutcome,
    Wait,
    check_messages,
    check_request,
)
from cosim.networks.idle_channel import IdleChannel, Rows
from cosim.networks.source import Source, TimedNetwork
from cosim.record.channel_row import DOWN, UP

NEVER = 1 << 62


def band_of(info: NetworkInfo) -> tuple[float, float]:
    """The band in Hz, down and up. Raises `RequestError` naming radio.scenario for a network without one."""
    if info.bandwidth_hz is None:
        raise RequestError(
            "radio.scenario", f"{info.scenario} has no band for a formula to divide; leave --network analytic away"
        )
    return info.bandwidth_hz


class Course(NamedTuple):
    """The times of one transfer if nothing ended its exchange, in ns; `NEVER`, or any later one, beyond the deadline.

    `gone_ns`: when the device was first found without a connection.
    """

    downlink_end_ns: int
    compute_end_ns: int
    uplink_end_ns: int
    gone_ns: int

    @property
    def done(self) -> bool:
        """Whether it comes to its end at all."""
        return self.uplink_end_ns <= self.gone_ns

    @property
    def settled_ns(self) -> int:
        """When nothing more is to be waited for."""
        return min(self.uplink_end_ns, self.gone_ns)


class AnalyticNetwork:
    """A `Network` with the formula's times, on the channel that an idle `session` of the live scenario shows.

    Its clock is its own; the session is moved ahead of it as far as the channel is needed. Nobody transmits there but
    what the scenario itself sends, so what devices' own transfers would change (interference that they make, battery
    and heat) is not in it. SINR is taken per link and direction, over the whole band, as the record has it.

    Without `bandwidth_shares` each device asked has an equal part of the band for the whole exchange, where there are
    several cells of that of the cell that serves it at the departure. Where there are `users`, the last ones of D
    devices, each has a D-th of the band for itself, in which its messages go one after the other, each way; the rest is
    for exchanges. Nothing is ever lost; what is for a device that has no connection, or
    loses it, is unreachable from then on. Raises `RequestError` as `band_of`, and for a scenario that keeps no channel
    record.
    """

    def __init__(self, session: TimedNetwork, users: int = 0):
        self.info = replace(session.info, takes_shares=True)
        self.now_ns = session.info.now_ns
        self.busy_ns = 0
        """Wall-clock nanoseconds that ns-3 took to show the channel for the latest exchange."""
        self._user_share = 1 / len(self.info.devices)
        self._exchange_share = 1 - users / len(self.info.devices)
        self._free_ns: dict[tuple[int, int], int] = {}
        self._under_way: list[Delivery] = []
        self._band_hz = band_of(session.info)
        self._channel = IdleChannel(session)
        self._channel.read_to(self.now_ns)
        links = [self._channel.link(device, way) for device in range(len(self.info.devices)) for way in (DOWN, UP)]
        if not all(map(len, links)):
            raise RequestError("radio.scenario", f"{self.info.scenario} keeps no record of its channel; use another")

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """As `bridge.network.Network.exchange`; more in the class's description."""
        check_request(self.info, self.now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        busy_before_ns = self._channel.busy_ns
        shares = bandwidth_shares or self._equal_shares(transfers, depart_ns)
        courses = [self._course(transfer, shares[transfer.device], depart_ns, deadline_ns) for transfer in transfers]
        self.now_ns = _end_ns(courses, depart_ns, deadline_ns, wait)
        channel = self._channel.pass_to(self.now_ns)
        self.busy_ns = self._channel.busy_ns - busy_before_ns
        outcomes = tuple(
            _outcome(transfer.device, depart_ns, course, self.now_ns)
            for transfer, course in zip(transfers, courses, strict=True)
        )
        links = tuple(map(self._state, range(len(self.info.devices))))
        return Outcome(self.now_ns, outcomes, links, channel, tracks=self._channel.tracks_to(self.now_ns))

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """As `bridge.network.MessageNetwork.convey`; more in the class's description."""
        check_messages(self.info, self.now_ns, messages, until_ns)
        busy_before_ns = self._channel.busy_ns
        for message in sorted(messages, key=lambda each: each.begin_ns):
            self._under_way.append(self._delivery(message))
        self.busy_ns = self._channel.busy_ns - busy_before_ns
        ends_ns = [each.end_ns for each in self._under_way if each.end_ns > self.now_ns]
        self.now_ns = min([until_ns, *ends_ns])
        told = [each for each in self._under_way if each.end_ns <= self.now_ns]
        self._under_way = [each for each in self._under_way if each.end_ns > self.now_ns]
        return Conveyed(self.now_ns, tuple(sorted(told, key=lambda each: (each.end_ns, each.message))))

    def _delivery(self, message: Message) -> Delivery:
        """How a message will end, which goes when those of its user and direction before it have."""
        device, way = message.device, UP if message.is_uplink else DOWN
        begin_ns = max(message.begin_ns, self._free_ns.get((device, way), 0))
        deadline_ns = message.deadline_ns
        end_ns = min(
            self._cross(device, way, begin_ns, 8 * message.size_bytes, self._user_share, deadline_ns), deadline_ns + 1
        )
        gone_ns = self._gone_ns(device, message.begin_ns, min(end_ns, deadline_ns))
        if min(end_ns, deadline_ns) > gone_ns:
            return Delivery(message.message, Status.UNREACHABLE, gone_ns)
        self._free_ns[device, way] = max(begin_ns, min(end_ns, deadline_ns))
        if end_ns > deadline_ns:
            return Delivery(message.message, Status.LATE, deadline_ns)
        return Delivery(message.message, Status.DONE, end_ns)

    def close(self) -> None:
        """End the session. Closing twice does nothing."""
        self._channel.close()

    def _equal_shares(self, transfers: Sequence[Transfer], depart_ns: int) -> list[float]:
        """Of each device, an equal part of its cell's band for exchanges; a cell is a pool of the channel record."""
        self._channel.read_to(depart_ns)
        cell = {transfer.device: self._pool(transfer.device, depart_ns) for transfer in transfers}
        sizes = Counter(cell.values())
        return [
            self._exchange_share / sizes[cell[device]] if device in cell else 0.0
            for device in range(len(self.info.devices))
        ]

    def _pool(self, device: int, time_ns: int) -> int:
        rows = self._channel.link(device, DOWN)
        return int(rows["pool"][np.searchsorted(rows["time_ns"], time_ns, side="right") - 1])

    def _course(self, transfer: Transfer, share: float, depart_ns: int, deadline_ns: int) -> Course:
        device = transfer.device
        received_ns = self._cross(device, DOWN, depart_ns, 8 * transfer.downlink_bytes, share, deadline_ns)
        computed_ns = received_ns + transfer.compute_ns
        end_ns = self._cross(device, UP, computed_ns, 8 * transfer.uplink_bytes, share, deadline_ns)
        return Course(received_ns, computed_ns, end_ns, self._gone_ns(device, depart_ns, min(end_ns, deadline_ns)))

    def _cross(self, device: int, way: int, begin_ns: int, bits: int, share: float, deadline_ns: int) -> int:
        """When so many bits have crossed a link, of whose band the device has a share from `begin_ns` on."""
        if begin_ns > deadline_ns:
            return NEVER
        self._channel.read_to(begin_ns)
        while True:
            rows = self._channel.link(device, way)
            edges_s = (np.append(rows["time_ns"], self._channel.known_ns).clip(begin_ns) - begin_ns) / NS_PER_S
            rate_bps = share * _rate_bps(rows, self._band_hz[way])
            carried = np.append(0.0, np.cumsum(rate_bps * np.diff(edges_s)))
            if carried[-1] >= bits:
                last = np.searchsorted(carried, bits) - 1
                crossed_s = edges_s[last] + (bits - carried[last]) / rate_bps[last]
                return begin_ns + round(float(crossed_s) * NS_PER_S)
            if self._channel.known_ns > deadline_ns:
                return NEVER
            self._channel.read_to(self._channel.known_ns)

    def _gone_ns(self, device: int, from_ns: int, to_ns: int) -> int:
        """The first time in these bounds at which the device has no connection."""
        self._channel.read_to(to_ns)
        found_ns = [NEVER]
        for way in (DOWN, UP):
            rows = self._channel.link(device, way)
            ends_ns = np.append(rows["time_ns"][1:], NEVER)
            gone = (rows["capacity_bps"] < 0) & (ends_ns > from_ns) & (rows["time_ns"] <= to_ns)
            found_ns += rows["time_ns"][gone].clip(from_ns).tolist()
        return min(found_ns)

    def _state(self, device: int) -> LinkState:
        """A device's link now."""
        down, up = (self._channel.link(device, way)[:1] for way in (DOWN, UP))
        rates_bps = [_rate_bps(row, self._band_hz[way]) for way, row in ((DOWN, down), (UP, up))]
        return LinkState(
            device,
            connected=bool(down["capacity_bps"][0] >= 0 and up["capacity_bps"][0] >= 0),
            downlink_sinr_db=_measured(down["sinr_db"][0]),
            uplink_sinr_db=_measured(up["sinr_db"][0]),
            downlink_rate_bps=float(rates_bps[DOWN][0]),
            uplink_rate_bps=float(rates_bps[UP][0]),
        )


@dataclass(frozen=True)
class AnalyticSource:
    """Opens analytic networks on sessions of `live`, whose last `users` devices are users."""

    live: Source
    users: int = 0

    def open(self, name: str) -> AnalyticNetwork:
        """As `Source.open`; raises also as `AnalyticNetwork`."""
        session = self.live.open(f"{name}-analytic")
        try:
            return AnalyticNetwork(session, self.users)
        except BaseException:
            session.close()
            raise

    def abandon(self) -> None:
        """As `Source.abandon`."""
        self.live.abandon()


def _rate_bps(rows: Rows, band_hz: float) -> NDArray[np.float64]:
    """Shannon's rate over the whole band in each row; 0 where nothing is measured or the device is not connected."""
    sinr = 10 ** (rows["sinr_db"].astype(np.float64) / 10)
    return np.where((rows["capacity_bps"] < 0) | np.isnan(sinr), 0.0, band_hz * np.log2(1 + sinr))


def _end_ns(courses: Sequence[Course], depart_ns: int, deadline_ns: int, wait: Wait) -> int:
    if wait is Wait.DEADLINE:
        return deadline_ns
    end_ns = max((course.settled_ns for course in courses), default=depart_ns)
    if wait is Wait.ANY:
        end_ns = min((course.uplink_end_ns for course in courses if course.done), default=end_ns)
    return min(end_ns, deadline_ns)


def _outcome(device: int, depart_ns: int, course: Course, end_ns: int) -> TransferOutcome:
    seen_ns = min(end_ns, course.gone_ns)
    status = Status.LATE
    if course.uplink_end_ns <= seen_ns:
        status = Status.DONE
    elif course.gone_ns <= end_ns:
        status = Status.UNREACHABLE
    began_ns = depart_ns if course.gone_ns > depart_ns else None
    return TransferOutcome(device, status, began_ns, *(time if time <= seen_ns else None for time in course[:3]))


def _measured(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
