# SPDX-License-Identifier: Apache-2.0
"""What was observed of exchanges, what constants predict for the same, and how far the two are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bridge.network import WAITS, Wait
from cosim.networks.cursor import at_begin
from cosim.networks.fluid import DONE, carry, convey
from cosim.networks.links import (
    Channel,
    Constants,
    Exchanges,
    Floats,
    Messages,
    copied,
    messages_of,
    no_messages,
    these,
)
from cosim.networks.recorded_channel import Record
from cosim.record.journal import Journal

MOST_EXCHANGES = 2000
"""More than this are not looked at: they are taken evenly from the record, or are its first ones where messages went
beside them."""

MOST = 1.0
"""No error counts for more."""
_SIZE = 100  # residuals of one kind together weigh as much as this many


@dataclass(frozen=True)
class Observed:
    """Exchanges as they came out, and the messages beside them: `end_ns` [exchanges], `times` [transfers, 3] and
    `come_ns` [messages] in ns, NaN for what did not happen."""

    asked: Exchanges
    end_ns: Floats
    times: Floats
    messages: Messages = field(default_factory=no_messages)
    come_ns: Floats = field(default_factory=lambda: np.empty(0))


def observe(journal: Journal, variant: int, wait: Wait) -> Observed:
    """What a variant's exchanges came to, at most `MOST_EXCHANGES` of them, and its messages."""
    exchanges = journal.rows(
        "SELECT exchange, depart_ns, deadline_ns, end_ns, shares FROM exchanges WHERE variant = ? ORDER BY exchange",
        variant,
    )
    messages, come_ns = _messages(journal, variant)
    if len(come_ns):  # which share the links with all exchanges
        exchanges = exchanges[:MOST_EXCHANGES]
        known = messages.begin_ns < exchanges[-1][3]
        messages, come_ns = these(messages, known), come_ns[known]
    exchanges = exchanges[:: -(-len(exchanges) // MOST_EXCHANGES)]
    number, depart_ns, deadline_ns, end_ns = (np.array(column) for column in list(zip(*exchanges, strict=True))[:4])
    rows = journal.rows(
        "SELECT exchange, device, downlink_bytes, compute_ns, uplink_bytes, downlink_end_ns, compute_end_ns, "
        "uplink_end_ns FROM transfers WHERE variant = ? ORDER BY exchange, device",
        variant,
    )
    table = np.array(rows, dtype=np.float64).reshape(-1, 8)  # a time that is NULL becomes NaN
    table = table[np.isin(table[:, 0], number)]
    first = np.searchsorted(table[:, 0], np.append(number, np.inf))
    asked = Exchanges(
        first.astype(np.int64),
        depart_ns.astype(np.float64),
        deadline_ns.astype(np.float64),
        table[:, 1:5].astype(np.int64),
        np.zeros((len(table), 2), dtype=bool),
        _shares(table, {exchange: np.frombuffer(blob, "<f8") for exchange, *_, blob in exchanges if blob is not None}),
        WAITS.index(wait),
    )
    return Observed(asked, end_ns.astype(np.float64), table[:, 5:], messages, come_ns)


def _messages(journal: Journal, variant: int) -> tuple[Messages, Floats]:
    """A variant's messages, and when each arrived in ns, NaN for those that did not."""
    rows = journal.rows(
        "SELECT message, 2 * device + uplink, size_bytes, begin_ns, deadline_ns, coalesce(status = 'done', 0), "
        "coalesce(end_ns, 0) FROM messages LEFT JOIN (SELECT message, status, end_ns FROM deliveries "
        "WHERE variant = :variant) USING (message) WHERE variant = :variant ORDER BY begin_ns, message",
        variant,
    )
    number, link, size_bytes, begin_ns, deadline_ns, is_done, end_ns = np.array(rows, np.int64).reshape(-1, 7).T
    none_lost = np.zeros(len(rows), dtype=bool)
    messages = messages_of(number, link, size_bytes, begin_ns, deadline_ns, none_lost)
    return messages, np.where(is_done, end_ns, np.nan)


def _shares(transfers: Floats, of_exchange: Mapping[int, Floats]) -> Floats:
    """Each transfer's share of the band, NaN where its exchange had none; a row begins with exchange and device."""
    if not of_exchange:
        return np.full(len(transfers), np.nan)
    keys = transfers[:, :2].astype(np.int64).tolist()
    return np.array([of_exchange[number][device] if number in of_exchange else np.nan for number, device in keys])


def predict(channel: Channel, constants: Constants, observed: Observed) -> Observed:
    """The same exchanges and messages as they come out with these constants, each departing when it did; -1 for what
    does not happen."""
    asked = observed.asked
    end_ns, times = np.empty(len(asked.depart_ns)), np.empty((len(asked.transfers), 3))
    messages = copied(observed.messages)
    cursor = at_begin(channel)
    under_way = messages if len(messages.link) else None
    carry(channel, constants, cursor, under_way, asked, end_ns, times, np.empty(len(asked.transfers), np.int64))
    convey(channel, constants, cursor, messages, np.inf, False)
    come_ns = np.where(messages.status == DONE, messages.end_ns, -1.0)
    return Observed(asked, end_ns, times, observed.messages, come_ns)


def residuals(parts: Sequence[tuple[Record, Observed]], constants: Constants, most: float = MOST) -> Floats:
    """How far the logarithms of latencies are off, each by `most` at most: of exchanges, of downlinks, and of whole
    transfers, all alike."""
    off = []
    for record, observed in parts:
        asked = observed.asked
        came = predict(record.channel, constants, observed)
        depart_ns = np.repeat(asked.depart_ns, np.diff(asked.first))
        off.append(_log_ratio(came.end_ns, observed.end_ns, asked.depart_ns, most))
        off += [_log_ratio(came.times[:, end], observed.times[:, end], depart_ns, most) for end in (0, 2)]
    return _weighed(off)


def message_residuals(parts: Sequence[tuple[Record, Observed]], constants: Constants, most: float = MOST) -> Floats:
    """The same of messages, down and up."""
    off = []
    for record, observed in parts:
        came_ns, messages = predict(record.channel, constants, observed).come_ns, observed.messages
        told = _log_ratio(came_ns, observed.come_ns, messages.begin_ns, most)
        off += [told[messages.link % 2 == way] for way in (0, 1)]
    return _weighed(off)


def _weighed(kinds: Sequence[Floats]) -> Floats:
    """Residuals of which each kind weighs alike, however many there are."""
    return np.asarray(np.concatenate([each / np.sqrt(max(len(each), 1)) for each in kinds]) * np.sqrt(_SIZE))


def _log_ratio(predicted_ns: Floats, observed_ns: Floats, depart_ns: Floats, most: float) -> Floats:
    """By how much latencies are off; 0 where nothing was observed, 1 where what was observed is not predicted."""
    latency = np.maximum(observed_ns - depart_ns, 1.0)
    off = np.log(np.maximum(predicted_ns - depart_ns, 1.0) / latency)
    return np.asarray(np.where(np.isnan(observed_ns), 0.0, np.where(predicted_ns < 0, 1.0, np.clip(off, -most, most))))
