# SPDX-License-Identifier: Apache-2.0
"""What-if: other questions than those recorded, answered by the link model of a recorded run."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bridge.network import (
    STATUSES,
    WAITS,
    Conveyed,
    Delivery,
    LinkState,
    Message,
    NetworkInfo,
    Outcome,
    Transfer,
    TransferOutcome,
    Wait,
    check_messages,
    check_request,
)
from cosim.networks.cursor import at_begin
from cosim.networks.fluid import DONE, UNREACHABLE, carry, convey
from cosim.networks.link_model import LinkModel, message_vanishes, vanishes
from cosim.networks.links import (
    UNDER_WAY,
    Cursor,
    Exchanges,
    Flags,
    Floats,
    Integers,
    Messages,
    copied,
    messages_of,
    no_messages,
    these,
    together,
)


@dataclass(frozen=True)
class WhatIfSource:
    """Opens what-if networks on the record of a live one."""

    model: LinkModel
    info: NetworkInfo
    seed: int

    def open(self, name: str) -> "WhatIfNetwork":
        """As `cosim.networks.source.Source.open`; a network for each policy."""
        return WhatIfNetwork(self.model, self.info, self.seed)

    def abandon(self) -> None:
        """As `cosim.networks.source.Source.abandon`; nothing can be lost."""


class WhatIfNetwork:
    """A `Network` that the link model answers for, from the virtual time at which the recorded one was ready.

    Where the record ends it begins again. `seed` is that of the losses. Link states carry whether a device is
    connected, SINR, and the capacity as its rate. A share of the band is that part of the capacity, on whatever radio
    the record is from. Raises `RequestError` for what makes no sense.
    """

    busy_ns = 0
    """No ns-3 works for it."""

    def __init__(self, model: LinkModel, info: NetworkInfo, seed: int):
        self.info = msgspec.structs.replace(info, takes_shares=True)
        self.now_ns = info.now_ns
        self._model = model
        self._record = model.record
        self._seed = seed
        self._number = 0
        self._is_lossy = bool(model.loss_per_byte.any())
        devices = len(info.devices)
        self._cursor = at_begin(self._record.channel)
        self._messages = no_messages(info.now_ns)
        self._links = self._link_states()
        self._never = np.zeros((devices, 2), dtype=bool)
        self._unshared = np.full(devices, np.nan)
        self._first = np.zeros(2, np.int64)
        self._depart_ns, self._deadline_ns, self._end_ns = np.empty(1), np.empty(1), np.empty(1)
        self._times = np.empty((devices, 3))
        self._status = np.empty(devices, np.int64)

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """As `bridge.network.Network.exchange`."""
        check_request(self.info, self.now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        moved = self._carry(self._cursor, self._messages, transfers, depart_ns, deadline_ns, wait, bandwidth_shares)
        count = len(transfers)
        self._number += 1
        self.now_ns = round(self._end_ns[0])
        outcomes = tuple(
            TransferOutcome(
                transfer.device,
                STATUSES[status],
                None if status == UNREACHABLE and times[0] < 0 else depart_ns,
                *(None if ns < 0 else round(ns) for ns in times),
            )
            for transfer, status, times in zip(
                transfers, self._status[:count].tolist(), self._times[:count].tolist(), strict=True
            )
        )
        if moved:
            self._links = self._link_states()
        return Outcome(self.now_ns, outcomes, self._links)

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """As `bridge.network.MessageNetwork.convey`."""
        check_messages(self.info, self.now_ns, messages, until_ns)
        if messages:
            self._messages = together(self._messages, self._begun(messages))
        if convey(self._record.channel, self._model.constants, self._cursor, self._messages, until_ns, True):
            self._links = self._link_states()
        self.now_ns = max(self.now_ns, round(self._messages.now_ns[0]))
        has_ended = self._messages.status != UNDER_WAY
        ended = these(self._messages, has_ended)
        self._messages = these(self._messages, ~has_ended)
        told = sorted(zip(ended.end_ns.tolist(), ended.number.tolist(), ended.status.tolist(), strict=True))
        deliveries = (Delivery(number, STATUSES[status], round(end_ns)) for end_ns, number, status in told)
        return Conveyed(self.now_ns, tuple(deliveries))

    def foresee(self, transfers: Sequence[Transfer], depart_ns: int, deadline_ns: int) -> Floats:
        """When each of `transfers` [M] would be done if they were the next exchange, in ns; inf where it would not."""
        row, laps, next_ns = self._cursor
        cursor = Cursor(row.copy(), laps.copy(), next_ns.copy())
        self._carry(cursor, copied(self._messages), transfers, depart_ns, deadline_ns, Wait.ALL, None)
        count = len(transfers)
        return np.where(self._status[:count] == DONE, self._times[:count, 2], np.inf)

    def close(self) -> None:
        """Nothing is held."""

    def _carry(
        self,
        cursor: Cursor,
        messages: Messages,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait,
        bandwidth_shares: Sequence[float] | None,
    ) -> bool:
        count = len(transfers)
        asked = np.array([msgspec.structs.astuple(transfer) for transfer in transfers], np.int64).reshape(count, 4)
        self._first[1], self._depart_ns[0], self._deadline_ns[0] = count, depart_ns, deadline_ns
        if bandwidth_shares is None:
            shares = self._unshared[:count]
        else:
            shares = np.asarray(bandwidth_shares, dtype=np.float64)[asked[:, 0]]
        moved: bool = carry(
            self._record.channel,
            self._model.constants,
            cursor,
            messages if len(messages.link) else None,
            Exchanges(
                self._first,
                self._depart_ns,
                self._deadline_ns,
                asked,
                self._vanishes(asked),
                shares,
                WAITS.index(wait),
            ),
            self._end_ns,
            self._times,
            self._status,
        )
        return moved

    def _begun(self, messages: Sequence[Message]) -> Messages:
        """Messages that go their way from now on."""
        asked = np.array([msgspec.structs.astuple(message) for message in messages], np.int64)
        number, device, is_uplink, size_bytes, begin_ns, deadline_ns = asked.T
        lost = np.zeros(len(messages), dtype=bool)
        if self._is_lossy:
            lost = message_vanishes(self._model, is_uplink, size_bytes, message_draws(self._seed, number))
        return messages_of(number, 2 * device + is_uplink, size_bytes, begin_ns, deadline_ns, lost)

    def _vanishes(self, asked: Integers) -> Flags:
        if not self._is_lossy:
            return self._never
        return vanishes(self._model, asked, loss_draws(self._seed, self._number + 1, len(asked)))

    def _link_states(self) -> tuple[LinkState, ...]:
        rows = self._cursor.row
        capacity, sinr = self._record.channel.capacity_bps[rows], self._record.sinr_db[rows]
        connected = (capacity[0::2] >= 0) & (capacity[1::2] >= 0)
        figures = [None if value != value else value for value in sinr.tolist()]  # NaN  # noqa: PLR0124
        rates = [rate if rate > 0 else None for rate in capacity.tolist()]
        return tuple(
            LinkState(
                device,
                up,
                downlink_sinr_db=figures[2 * device],
                uplink_sinr_db=figures[2 * device + 1],
                downlink_rate_bps=rates[2 * device],
                uplink_rate_bps=rates[2 * device + 1],
            )
            for device, up in enumerate(connected.tolist())
        )


def loss_draws(seed: int, exchange: int, transfers: int) -> Floats:
    """What decides the losses of an exchange [transfers, 2], uniform in [0, 1): no other exchange has any of it.

    Philox counts blocks of four draws; each exchange has 2^64 of them to itself.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=exchange << 64)).random((transfers, 2))


def message_draws(seed: int, numbers: Integers) -> Floats:
    """What decides whether messages of these numbers are lost, as `loss_draws` and apart from them."""
    counters = ((1 << 192) + (number << 64) for number in numbers.tolist())
    return np.array([np.random.Generator(np.random.Philox(key=seed, counter=each)).random() for each in counters])
