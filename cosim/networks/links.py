# SPDX-License-Identifier: Apache-2.0
"""Links, what is known of them, and what they are asked to carry: arrays, as compiled code takes them.

A link is one direction of one device, number 2 * device + direction (0 downlink, 1 uplink).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNDER_WAY = -1
"""The status of a message that has not ended."""


class Channel(NamedTuple):
    """A channel record by link: the rows of link l are those from `first[l]` up to `first[l + 1]`, in order of time.

    Row r holds from `begin_ns[r]` until the link's next one. A `capacity_bps` below 0: not connected. The
    `pools` pools are numbered from 0. Every `period_ns` from a link's first row on it begins again; inf for never.
    """

    first: Integers
    begin_ns: Floats
    capacity_bps: Floats
    pool: Integers
    others: Floats
    pools: int
    period_ns: float


class Cursor(NamedTuple):
    """Where each link stands [links]: its row, how often its record has begun again, and when its next row begins."""

    row: Integers
    laps: Integers
    next_ns: Floats


class Constants(NamedTuple):
    """What a fit finds out about each link; `efficiency` is the part of the capacity that is payload, and
    `share_efficiency` that of a share of the band.

    `band_limited`: how much its rate goes with the part of the band that others leave it: 1 all, 0 not at all, as where
    power is the limit, which on a part of the band is so much denser.
    Pools of the same `air` are cells on one band, in one direction; in another air nothing is heard of them.
    `message_floor_ns`: of messages, whose first byte finds the device in another state than that of a transfer.
    `period_ns` and `occasions_ns` [links, K]: its frame (`cosim.networks.frame`), 0 and any for a link without.
    """

    floor_ns: Floats
    efficiency: Floats
    share_efficiency: Floats
    overhead: Floats
    band_limited: Floats
    turn_ns: Floats
    coupling: Floats
    repeat_ns: Floats
    air: Integers
    message_floor_ns: Floats
    period_ns: Floats
    occasions_ns: Floats


class Exchanges(NamedTuple):
    """Exchanges one behind the other: the transfers of exchange e are those from `first[e]` up to `first[e + 1]`.

    `transfers` [transfers, 4]: device, downlink bytes, computing in ns, uplink bytes. `vanishes` [transfers, 2]:
    whether the downlink or the uplink is lost on the way. `shares` [transfers]: of the band, NaN where who is active
    divides it equally. `wait`: ALL, ANY or DEADLINE.
    """

    first: Integers
    depart_ns: Floats
    deadline_ns: Floats
    transfers: Integers
    vanishes: Flags
    shares: Floats
    wait: int


def undisturbed(
    floor_ns: Floats, efficiency: Floats, overhead: Floats, message_floor_ns: Floats | None = None
) -> Constants:
    """Those of links that the band limits, whose medium costs nothing to come by, which hear nothing of other pools and
    have no slots.

    Without `message_floor_ns` messages have the floors of transfers.
    """
    nothing = np.zeros(len(floor_ns))
    of_messages = floor_ns if message_floor_ns is None else message_floor_ns
    return Constants(
        floor_ns,
        efficiency,
        efficiency,
        overhead,
        np.ones(len(floor_ns)),
        nothing,
        nothing,
        nothing,
        np.arange(len(floor_ns)),
        of_messages,
        nothing,
        np.zeros((len(floor_ns), 1)),
    )


class Messages(NamedTuple):
    """Messages in order of `begin_ns`, and how far they are [messages]; moved on in place.

    `left` are bits yet to cross. `vanishes`: whether a message is lost on the way. `status`: `UNDER_WAY`, also before
    it began, or as of a transfer, and then `end_ns` is when it ended; of one under way with nothing left, when it will
    have come through. `rate`, bits a ns: 0 for one that does not flow.
    `now_ns` [1]: up to when they were carried. `first` [1]: all before this one have ended.
    """

    number: Integers
    link: Integers
    begin_ns: Floats
    deadline_ns: Floats
    left: Floats
    vanishes: Flags
    status: Integers
    end_ns: Floats
    rate: Floats
    now_ns: Floats
    first: Integers


def messages_of(
    number: Integers,
    link: Integers,
    size_bytes: Integers,
    begin_ns: Integers,
    deadline_ns: Integers,
    vanishes: Flags,
    now_ns: float = -np.inf,
) -> Messages:
    """Messages of which none has begun; they were carried to `now_ns`."""
    count = len(number)
    made = Messages(
        number.astype(np.int64),
        link.astype(np.int64),
        begin_ns.astype(np.float64),
        deadline_ns.astype(np.float64),
        np.float64(8) * size_bytes.astype(np.float64),
        vanishes,
        np.full(count, UNDER_WAY, np.int64),
        np.full(count, -1.0),
        np.zeros(count),
        np.array([now_ns], np.float64),
        np.zeros(1, np.int64),
    )
    return these(made, np.argsort(begin_ns, kind="stable"))


def no_messages(now_ns: float = -np.inf) -> Messages:
    """None, carried to `now_ns`."""
    none = np.empty(0, np.int64)
    return messages_of(none, none, none, none, none, np.empty(0, bool), now_ns)


def these(messages: Messages, which: Integers | Flags) -> Messages:
    """Some of them, in order of `begin_ns` as they were."""
    each: list[Any] = [values[which] for values in messages[:-2]]
    return Messages._make([*each, messages.now_ns.copy(), np.zeros(1, np.int64)])


def copied(messages: Messages) -> Messages:
    """The same, to be moved on apart."""
    return messages._replace(**{name: values.copy() for name, values in messages._asdict().items()})


def together(messages: Messages, others: Messages) -> Messages:
    """Both, carried as far as the former were."""
    each: list[Any] = [np.concatenate(pair) for pair in zip(messages[:-2], others[:-2], strict=True)]
    both = Messages._make([*each, messages.now_ns, messages.first])
    return these(both, np.argsort(both.begin_ns, kind="stable"))
