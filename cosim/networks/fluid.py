# SPDX-License-Identifier: Apache-2.0
"""Transfers as fluid: between two events everything flows at a constant rate.

A transfer first waits for its link's `floor_ns`, what it takes to come through an idle network, its own bits apart;
then it flows with

    efficiency * capacity / (1 + band_limited * (n - 1 + others) + overhead * (n - 1)) / (1 + coupling * m)

bit/s, where n counts the transfers that flow in the same pool, m the other pools on the same air in which one is under
way, and capacity, pool and `others` are the channel record's at that time. A part of the band gives a part of the rate,
and about all of it where power is the limit, which is denser there. Where an exchange has shares of the band, one flows
with share_efficiency * share * capacity / (1 + coupling * m) instead, and a pool counts in m for no more than the
shares of those under way in it.

Where all contend for one medium, a transfer waits `turn_ns` longer for each of those that are under way in its pool
when it begins: each of them has the medium once before it does. Where cells interfere, a transfer beside which another
cell was busy comes through `repeat_ns` later, since its last block failed and had to be repeated; where that cell had
only a part of its band in use, that part later.

Where the radio's frame has slots (`cosim.networks.frame`), a transfer begins to flow at the first occasion after its
waiting, and has come through at the first one after its last bit.

A message goes one way in the same manner, during exchanges and between them, with a floor of its own, and counts in n
and m while it flows; of those on one link each flows when the one before is through. The form is ours. Compiled by
numba: an exchange takes microseconds.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bridge.network import STATUSES, WAITS, Status, Wait
from cosim.networks.cursor import seek
from cosim.networks.frame import APART_NS
from cosim.networks.links import (
    UNDER_WAY,
    Channel,
    Constants,
    Cursor,
    Exchanges,
    Floats,
    Integers,
    Messages,
)

DONE, LATE, LOST, UNREACHABLE = map(STATUSES.index, (Status.DONE, Status.LATE, Status.LOST, Status.UNREACHABLE))
ALL, ANY, DEADLINE = map(WAITS.index, (Wait.ALL, Wait.ANY, Wait.DEADLINE))

_WAITING_DOWN, _DOWN, _REPEATING_DOWN, _COMPUTING, _WAITING_UP, _UP, _REPEATING_UP, _OVER, _VANISHED, _GONE = range(10)


class Use(NamedTuple):
    """How many transfers and messages flow in each pool, which part of its band is in use, and these of one air
    together."""

    sharing: Floats
    load: Floats
    heard: Floats


@njit(cache=True)
def carry(  # noqa: PLR0912, PLR0915  (in parts it takes twice as long)
    channel: Channel,
    constants: Constants,
    cursor: Cursor,
    messages: Messages | None,
    asked: Exchanges,
    end_ns: Floats,
    times: Floats,
    status: Integers,
) -> bool:
    """Carry out exchanges whose times of departure are given and rise; whether the channel changed meanwhile.

    `cursor` and `messages` are moved on to the end; None is compiled apart, and costs nothing. Written to:
    `end_ns` [exchanges]; `times` [transfers, 3], the ends of downlink, computing and uplink in ns, -1 for what did
    not happen; `status` [transfers], DONE, LATE, LOST or UNREACHABLE.
    """
    size = asked.first[1:] - asked.first[:-1]
    most = size.max() if len(size) else 0
    state = np.empty(most, np.int64)
    until = np.empty(most)  # the end of waiting or computing
    left = np.empty(most)  # bits
    rate = np.empty(most)  # bits a ns
    met = np.empty(most)  # the most of other cells' bands that was in use beside it
    use = _nothing_in_use(channel, constants)
    row_of, next_ns, capacity_bps, pool_of = cursor.row, cursor.next_ns, channel.capacity_bps, channel.pool
    moved = False
    for exchange in range(len(size)):
        begin = asked.first[exchange]
        count = size[exchange]
        now = asked.depart_ns[exchange]
        if messages is not None:  # noqa: SIM102  (numba leaves out an if of its own where there are none)
            if convey(channel, constants, cursor, messages, now, False):
                moved = True
        deadline_ns = asked.deadline_ns[exchange]
        pending = 0
        for link in range(len(row_of)):
            if next_ns[link] <= now:
                seek(channel, cursor, link, now)
                moved = True
        for i in range(count):
            link = 2 * asked.transfers[begin + i, 0]
            times[begin + i] = -1
            if capacity_bps[row_of[link]] >= 0 and capacity_bps[row_of[link + 1]] >= 0:
                state[i] = _WAITING_DOWN
                until[i] = now + constants.floor_ns[link]
                if constants.turn_ns[link] > 0:
                    before = _under_way(channel, cursor, asked.transfers[begin : begin + i], state[:i], link)
                    until[i] += before * constants.turn_ns[link]
                until[i] = _occasion(constants, link, until[i])
                met[i] = 0
                pending += 1
            else:
                state[i] = _GONE
        is_any_done = False
        while now < deadline_ns and (asked.wait == DEADLINE or pending > 0) and not (asked.wait == ANY and is_any_done):
            _clear(use)
            for i in range(count):
                if state[i] < _OVER and state[i] != _COMPUTING:
                    link = 2 * asked.transfers[begin + i, 0] + (state[i] > _COMPUTING)
                    pool = pool_of[row_of[link]]
                    use.sharing[pool] += state[i] == _DOWN or state[i] == _UP
                    share = asked.shares[begin + i]
                    more = (1.0 if np.isnan(share) else min(use.load[pool] + share, 1.0)) - use.load[pool]
                    use.load[pool] += more
                    use.heard[constants.air[link]] += more
            soonest = deadline_ns
            if messages is not None:
                _join(channel, constants, cursor, messages, use, now)
                soonest = min(soonest, _set_rates(channel, constants, cursor, messages, use, now))
            for i in range(count):
                link = 2 * asked.transfers[begin + i, 0]
                if state[i] == _DOWN or state[i] == _UP:
                    flowing = link + (state[i] == _UP)
                    row = row_of[flowing]
                    n = use.sharing[pool_of[row]]
                    share = asked.shares[begin + i]
                    if np.isnan(share):
                        payload = constants.efficiency[flowing] * _part(constants, flowing, n, channel.others[row])
                    else:
                        payload = constants.share_efficiency[flowing] * share
                    beside = max(use.heard[constants.air[flowing]] - use.load[pool_of[row]], 0.0)
                    met[i] = max(met[i], beside)
                    rate[i] = payload * capacity_bps[row] / 1e9
                    rate[i] /= 1 + constants.coupling[flowing] * beside
                    if rate[i] > 0:
                        soonest = min(soonest, now + left[i] / rate[i])
                elif state[i] < _OVER:
                    soonest = min(soonest, until[i])
                if state[i] < _OVER:
                    soonest = min(soonest, next_ns[link], next_ns[link + 1])
            for i in range(count):
                if state[i] == _DOWN or state[i] == _UP:
                    is_through = rate[i] > 0 and now + left[i] / rate[i] <= soonest
                    left[i] = 0.0 if is_through else left[i] - rate[i] * (soonest - now)
            if messages is not None:  # noqa: SIM102  (numba leaves out an if of its own where there are none)
                if _flow(channel, constants, cursor, messages, now, soonest):
                    moved = True
            now = soonest
            for i in range(count):
                at = begin + i
                link = 2 * asked.transfers[at, 0]
                if state[i] >= _OVER:
                    continue
                if (state[i] == _DOWN or state[i] == _UP) and left[i] <= 0:
                    way = 1 if state[i] == _UP else 0
                    if asked.vanishes[at, way]:
                        state[i] = _VANISHED
                        continue
                    until[i] = now + constants.repeat_ns[link + way] * min(met[i], 1.0)
                    until[i] = _occasion(constants, link + way, until[i])
                    state[i] += 1
                if state[i] == _REPEATING_DOWN and until[i] <= now:
                    times[at, 0] = now
                    until[i] = now + asked.transfers[at, 2]
                    state[i] = _COMPUTING
                elif state[i] == _REPEATING_UP and until[i] <= now:
                    times[at, 2] = now
                    state[i] = _OVER
                    pending -= 1
                    is_any_done = True
                    continue
                if state[i] == _COMPUTING and until[i] <= now:
                    times[at, 1] = until[i]
                    until[i] += constants.floor_ns[link + 1]
                    if constants.turn_ns[link + 1] > 0:
                        others = _under_way(channel, cursor, asked.transfers[begin : begin + count], state, link + 1)
                        until[i] += others * constants.turn_ns[link + 1]
                    until[i] = _occasion(constants, link + 1, until[i])
                    met[i] = 0
                    state[i] = _WAITING_UP
                if state[i] == _WAITING_DOWN and until[i] <= now:
                    left[i] = 8.0 * asked.transfers[at, 1]
                    state[i] = _DOWN
                elif state[i] == _WAITING_UP and until[i] <= now:
                    left[i] = 8.0 * asked.transfers[at, 3]
                    state[i] = _UP
                for either in (link, link + 1):
                    if next_ns[either] <= now:
                        seek(channel, cursor, either, now)
                        moved = True
                if capacity_bps[row_of[link]] < 0 or capacity_bps[row_of[link + 1]] < 0:
                    state[i] = _GONE
                    pending -= 1
        end_ns[exchange] = now
        for i in range(count):
            if state[i] == _OVER:
                status[begin + i] = DONE
            elif state[i] == _GONE:
                status[begin + i] = UNREACHABLE
            elif state[i] == _VANISHED:
                status[begin + i] = LOST
            else:
                status[begin + i] = LATE
        for link in range(len(row_of)):
            if next_ns[link] <= now:
                seek(channel, cursor, link, now)
                moved = True
    return moved


@njit(cache=True)
def _occasion(constants: Constants, link: int, time_ns: float) -> float:
    """The first occasion of a link at this time or later; the time itself where the link has none, or just had one."""
    period_ns = constants.period_ns[link]
    if period_ns == 0:
        return time_ns
    begin_ns = np.floor((time_ns - APART_NS) / period_ns) * period_ns
    for occasion in range(constants.occasions_ns.shape[1]):
        found_ns = begin_ns + constants.occasions_ns[link, occasion]
        if found_ns >= time_ns - APART_NS:
            return float(max(found_ns, time_ns))
    return float(max(begin_ns + period_ns + constants.occasions_ns[link, 0], time_ns))


@njit(cache=True)
def _part(constants: Constants, link: int, sharing: float, others: float) -> float:
    """What a link has of its rate alone where so many share the pool with it, itself among them, and others wait."""
    more = constants.band_limited[link] * (sharing - 1 + others) + constants.overhead[link] * (sharing - 1)
    return float(1 / (1 + more))


@njit(cache=True)
def _nothing_in_use(channel: Channel, constants: Constants) -> Use:
    airs = constants.air.max() + 1 if len(constants.air) else 0
    return Use(np.zeros(channel.pools), np.zeros(channel.pools), np.zeros(airs))


@njit(cache=True)
def _clear(use: Use) -> None:
    use.sharing[:] = 0
    use.load[:] = 0
    use.heard[:] = 0


@njit(cache=True)
def convey(
    channel: Channel, constants: Constants, cursor: Cursor, messages: Messages, until_ns: float, to_end: bool
) -> bool:
    """Let messages go their way alone to `until_ns`, or, if `to_end`, until one ends; whether the channel changed.

    `cursor` is moved on to the end for the links of messages under way.
    """
    use = _nothing_in_use(channel, constants)
    now = messages.now_ns[0]
    there = _count(messages)
    moved: bool = _settle(channel, cursor, messages, now)
    while now < until_ns and not (to_end and _count(messages) < there):
        _clear(use)
        _join(channel, constants, cursor, messages, use, now)
        soonest = min(until_ns, _set_rates(channel, constants, cursor, messages, use, now))
        if _flow(channel, constants, cursor, messages, now, soonest):
            moved = True
        now = soonest
    return moved


@njit(cache=True)
def _count(messages: Messages) -> int:
    """How many messages have not ended."""
    count = 0
    for i in range(messages.first[0], len(messages.link)):
        count += messages.status[i] == UNDER_WAY
    return count


@njit(cache=True)
def _join(channel: Channel, constants: Constants, cursor: Cursor, messages: Messages, use: Use, now_ns: float) -> None:
    """Mark the messages that flow from now on by a rate above 0, and count them in their pools."""
    is_taken = np.zeros(len(cursor.row), np.bool_)
    for i in range(messages.first[0], len(messages.link)):
        if messages.begin_ns[i] > now_ns:
            break
        link = messages.link[i]
        messages.rate[i] = 0
        if messages.status[i] == UNDER_WAY and messages.left[i] > 0 and not is_taken[link]:
            is_taken[link] = True
            if _occasion(constants, link, messages.begin_ns[i] + constants.message_floor_ns[link]) <= now_ns:
                messages.rate[i] = 1
                pool = channel.pool[cursor.row[link]]
                use.sharing[pool] += 1
                use.heard[constants.air[link]] += 1 - use.load[pool]
                use.load[pool] = 1


@njit(cache=True)
def _set_rates(
    channel: Channel, constants: Constants, cursor: Cursor, messages: Messages, use: Use, now_ns: float
) -> float:
    """Give those that flow their rates; when something happens to a message next if all stays so."""
    now = max(now_ns, messages.now_ns[0])
    soonest = np.inf
    for i in range(messages.first[0], len(messages.link)):
        if messages.begin_ns[i] > now_ns:
            soonest = min(soonest, messages.begin_ns[i])
            break
        if messages.status[i] != UNDER_WAY:
            continue
        link = messages.link[i]
        soonest = min(soonest, messages.deadline_ns[i], cursor.next_ns[link], cursor.next_ns[link ^ 1])
        if messages.left[i] <= 0:
            if messages.end_ns[i] > now_ns:
                soonest = min(soonest, messages.end_ns[i])
            continue
        flows_ns = _occasion(constants, link, messages.begin_ns[i] + constants.message_floor_ns[link])
        if messages.rate[i] > 0:
            row = cursor.row[link]
            pool = channel.pool[row]
            share = _part(constants, link, use.sharing[pool], channel.others[row])
            beside = max(use.heard[constants.air[link]] - use.load[pool], 0.0)
            messages.rate[i] = constants.efficiency[link] * channel.capacity_bps[row] * share / 1e9
            messages.rate[i] /= 1 + constants.coupling[link] * beside
            if messages.rate[i] > 0:
                soonest = min(soonest, now + messages.left[i] / messages.rate[i])
        elif flows_ns > now_ns:
            soonest = min(soonest, flows_ns)
    return soonest


@njit(cache=True)
def _flow(
    channel: Channel, constants: Constants, cursor: Cursor, messages: Messages, now_ns: float, until_ns: float
) -> bool:
    """Let messages flow with their rates, to a time up to which nothing happens; whether the channel changed then.

    What has been carried further already, as far as an exchange ended behind the departure of the next, stays.
    """
    now = max(now_ns, messages.now_ns[0])
    for i in range(messages.first[0], len(messages.link)):
        if messages.begin_ns[i] > now:
            break
        if messages.status[i] == UNDER_WAY and messages.rate[i] > 0:
            if now + messages.left[i] / messages.rate[i] <= until_ns:
                messages.left[i] = 0
                messages.end_ns[i] = _occasion(constants, messages.link[i], until_ns)
            elif until_ns > now:
                messages.left[i] -= messages.rate[i] * (until_ns - now)
    moved: bool = _settle(channel, cursor, messages, max(until_ns, messages.now_ns[0]))
    return moved


@njit(cache=True)
def _settle(channel: Channel, cursor: Cursor, messages: Messages, now_ns: float) -> bool:
    """End the messages that come to their end now; whether the channel of one under way changed."""
    moved = False
    messages.now_ns[0] = now_ns
    for i in range(messages.first[0], len(messages.link)):
        if messages.begin_ns[i] > now_ns:
            break
        if messages.status[i] != UNDER_WAY:
            continue
        link = messages.link[i]
        for either in (link, link ^ 1):
            if cursor.next_ns[either] <= now_ns:
                seek(channel, cursor, either, now_ns)
                moved = True
        is_through = messages.left[i] <= 0 and messages.end_ns[i] <= now_ns
        if is_through and not messages.vanishes[i]:
            messages.status[i] = DONE
        elif channel.capacity_bps[cursor.row[link]] < 0 or channel.capacity_bps[cursor.row[link ^ 1]] < 0:
            messages.status[i] = UNREACHABLE
        elif messages.deadline_ns[i] <= now_ns:
            messages.status[i] = LOST if is_through else LATE
        if messages.status[i] != UNDER_WAY:
            messages.end_ns[i] = now_ns
    while messages.first[0] < len(messages.link) and messages.status[messages.first[0]] != UNDER_WAY:
        messages.first[0] += 1
    return moved


@njit(cache=True)
def _under_way(channel: Channel, cursor: Cursor, transfers: Integers, state: Integers, link: int) -> int:
    """How many of these transfers, in these states, are on the way in the pool of a link."""
    found = 0
    for i in range(len(transfers)):
        if state[i] < _OVER and state[i] != _COMPUTING:
            other = 2 * transfers[i, 0] + (state[i] > _COMPUTING)
            found += channel.pool[cursor.row[other]] == channel.pool[cursor.row[link]]
    return found
