# SPDX-License-Identifier: Apache-2.0
"""Transfers as fluid: between two events everything flows at a constant rate.

A link is one direction of one device, number 2 * device + direction (0 downlink, 1 uplink). A transfer first waits
for its link's `floor_ns`, what it takes to come through an idle network, its own bits apart; then it flows with

    efficiency * capacity / (n + overhead * (n - 1) + others)

bit/s, where n counts the transfers that flow in the same pool, and capacity, pool and `others` are the channel
record's at that time. The form is ours. Compiled by numba: an exchange takes microseconds.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

DONE, LATE, LOST, UNREACHABLE = range(4)
ALL, ANY, DEADLINE = range(3)

_WAITING_DOWN, _DOWN, _COMPUTING, _WAITING_UP, _UP, _OVER, _VANISHED, _GONE = range(8)


class Channel(NamedTuple):
    """A channel record by link: the rows of link l are those from `first[l]` up to `first[l + 1]`, in order of time.

    Row r holds from `begin_ns[r]` until the link's next one. A `capacity_bps` below 0: not connected. Pools are
    numbered from 0.
    """

    first: Integers
    begin_ns: Floats
    capacity_bps: Floats
    pool: Integers
    others: Floats


class Constants(NamedTuple):
    """What a fit finds out about each link; `efficiency` is the part of the capacity that is payload."""

    floor_ns: Floats
    efficiency: Floats
    overhead: Floats


class Exchanges(NamedTuple):
    """Exchanges one behind the other: the transfers of exchange e are those from `first[e]` up to `first[e + 1]`.

    `transfers` [transfers, 4]: device, downlink bytes, computing in ns, uplink bytes. `vanishes` [transfers, 2]:
    whether the downlink or the uplink is lost on the way. `wait`: ALL, ANY or DEADLINE.
    """

    first: Integers
    depart_ns: Floats
    deadline_ns: Floats
    transfers: Integers
    vanishes: Flags
    wait: int


class _Flight(NamedTuple):
    """Where the transfers of the exchange under way are; room for those of the largest exchange."""

    state: Integers
    until_ns: Floats  # the end of waiting or computing
    left_bits: Floats
    rate: Floats  # bits a ns
    sharing: Floats  # by pool: how many transfers flow


@njit(cache=True)
def carry(
    channel: Channel,
    constants: Constants,
    cursor: Integers,
    asked: Exchanges,
    end_ns: Floats,
    times: Floats,
    status: Integers,
) -> bool:
    """Carry out exchanges whose times of departure are given and rise; whether the channel changed meanwhile.

    `cursor` [links] holds the row at which each link stands, and is moved on to the end. Written to:
    `end_ns` [exchanges]; `times` [transfers, 3], the ends of downlink, computing and uplink in ns, -1 for what did
    not happen; `status` [transfers], DONE, LATE, LOST or UNREACHABLE.
    """
    size = asked.first[1:] - asked.first[:-1]
    most = size.max() if len(size) else 0
    flight = _Flight(
        np.empty(most, np.int64), np.empty(most), np.empty(most), np.empty(most), np.zeros(channel.pool.max() + 1)
    )
    before = cursor.copy()
    for exchange in range(len(size)):
        end_ns[exchange] = _carry_one(channel, constants, cursor, asked, exchange, flight, times)
        for i in range(size[exchange]):
            status[asked.first[exchange] + i] = _status(flight.state[i])
        for link in range(len(cursor)):
            _seek(channel, cursor, link, end_ns[exchange])
    return bool((cursor != before).any())


@njit(cache=True)
def _carry_one(
    channel: Channel,
    constants: Constants,
    cursor: Integers,
    asked: Exchanges,
    exchange: int,
    flight: _Flight,
    times: Floats,
) -> float:
    """One exchange, from its departure to its end."""
    begin, count = asked.first[exchange], asked.first[exchange + 1] - asked.first[exchange]
    now_ns, deadline_ns = asked.depart_ns[exchange], asked.deadline_ns[exchange]
    for i in range(count):
        link = 2 * asked.transfers[begin + i, 0]
        times[begin + i] = -1
        flight.state[i] = _WAITING_DOWN if _is_connected(channel, cursor, link, now_ns) else _GONE
        flight.until_ns[i] = now_ns + constants.floor_ns[link]
    while now_ns < deadline_ns and not _is_over(flight.state[:count], asked.wait):
        _share(channel, constants, cursor, asked, begin, count, flight)
        soonest_ns = deadline_ns
        for i in range(count):
            soonest_ns = min(
                soonest_ns, _next_ns(channel, cursor, 2 * asked.transfers[begin + i, 0], i, flight, now_ns)
            )
        for i in range(count):
            if _flows(flight.state[i]):
                is_through = flight.rate[i] > 0 and now_ns + flight.left_bits[i] / flight.rate[i] <= soonest_ns
                flowed = flight.rate[i] * (soonest_ns - now_ns)
                flight.left_bits[i] = 0.0 if is_through else flight.left_bits[i] - flowed
        now_ns = soonest_ns
        for i in range(count):
            if flight.state[i] < _OVER:
                _move_on(constants, asked, begin + i, i, flight, times, now_ns)
            if flight.state[i] < _OVER and not _is_connected(
                channel, cursor, 2 * asked.transfers[begin + i, 0], now_ns
            ):
                flight.state[i] = _GONE
    return float(now_ns)


@njit(cache=True)
def _is_over(state: Integers, wait: int) -> bool:
    """Whether an exchange ends before its deadline. What vanished is waited for: nobody knows."""
    if wait == DEADLINE:
        return False
    if wait == ANY and (state == _OVER).any():
        return True
    return not ((state < _OVER) | (state == _VANISHED)).any()


@njit(cache=True)
def _share(
    channel: Channel,
    constants: Constants,
    cursor: Integers,
    asked: Exchanges,
    begin: int,
    count: int,
    flight: _Flight,
) -> None:
    """Give each transfer that flows its rate."""
    flight.sharing[:] = 0
    for i in range(count):
        if _flows(flight.state[i]):
            link = 2 * asked.transfers[begin + i, 0] + (flight.state[i] == _UP)
            flight.sharing[channel.pool[cursor[link]]] += 1
    for i in range(count):
        if _flows(flight.state[i]):
            link = 2 * asked.transfers[begin + i, 0] + (flight.state[i] == _UP)
            row = cursor[link]
            n = flight.sharing[channel.pool[row]]
            shares = n + constants.overhead[link] * (n - 1) + channel.others[row]
            flight.rate[i] = constants.efficiency[link] * channel.capacity_bps[row] / shares / 1e9


@njit(cache=True)
def _next_ns(channel: Channel, cursor: Integers, downlink: int, i: int, flight: _Flight, now_ns: float) -> float:
    """When next something happens to a transfer, or to one of its links."""
    if flight.state[i] >= _OVER:
        return float(np.inf)
    soonest_ns = np.inf
    if not _flows(flight.state[i]):
        soonest_ns = flight.until_ns[i]
    elif flight.rate[i] > 0:
        soonest_ns = now_ns + flight.left_bits[i] / flight.rate[i]
    for link in (downlink, downlink + 1):
        row = cursor[link] + 1
        if row < channel.first[link + 1]:
            soonest_ns = min(soonest_ns, channel.begin_ns[row])
    return float(soonest_ns)


@njit(cache=True)
def _move_on(
    constants: Constants, asked: Exchanges, at: int, i: int, flight: _Flight, times: Floats, now_ns: float
) -> None:
    """Take a transfer through every state that has ended by now."""
    link = 2 * asked.transfers[at, 0]
    if _flows(flight.state[i]) and flight.left_bits[i] <= 0:
        is_up = flight.state[i] == _UP
        if asked.vanishes[at, int(is_up)]:
            flight.state[i] = _VANISHED
        elif is_up:
            times[at, 2] = now_ns
            flight.state[i] = _OVER
        else:
            times[at, 0] = now_ns
            flight.until_ns[i] = now_ns + asked.transfers[at, 2]
            flight.state[i] = _COMPUTING
    if flight.state[i] == _COMPUTING and flight.until_ns[i] <= now_ns:
        times[at, 1] = flight.until_ns[i]
        flight.until_ns[i] += constants.floor_ns[link + 1]
        flight.state[i] = _WAITING_UP
    if flight.state[i] == _WAITING_DOWN and flight.until_ns[i] <= now_ns:
        flight.left_bits[i] = 8.0 * asked.transfers[at, 1]
        flight.state[i] = _DOWN
    elif flight.state[i] == _WAITING_UP and flight.until_ns[i] <= now_ns:
        flight.left_bits[i] = 8.0 * asked.transfers[at, 3]
        flight.state[i] = _UP


@njit(cache=True)
def _flows(state: int) -> bool:
    return state in (_DOWN, _UP)


@njit(cache=True)
def _status(state: int) -> int:
    """Of a transfer whose exchange has ended."""
    if state == _OVER:
        return DONE
    if state == _GONE:
        return UNREACHABLE
    return LOST if state == _VANISHED else LATE


@njit(cache=True)
def _is_connected(channel: Channel, cursor: Integers, downlink: int, now_ns: float) -> bool:
    """Whether a device is, both ways."""
    _seek(channel, cursor, downlink, now_ns)
    _seek(channel, cursor, downlink + 1, now_ns)
    return bool(channel.capacity_bps[cursor[downlink]] >= 0 and channel.capacity_bps[cursor[downlink + 1]] >= 0)


@njit(cache=True)
def _seek(channel: Channel, cursor: Integers, link: int, now_ns: float) -> None:
    """Move a link on to the row that holds now."""
    while cursor[link] + 1 < channel.first[link + 1] and channel.begin_ns[cursor[link] + 1] <= now_ns:
        cursor[link] += 1
