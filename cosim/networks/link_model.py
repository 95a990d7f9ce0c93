# SPDX-License-Identifier: Apache-2.0
"""The link model of a recorded run: its channel record, and constants fitted to its transfers.

The constants are fitted by robust least squares on the logarithms of latencies: first those that all devices of one
radio have in common in either direction, then each device's own floors, efficiencies and repetitions, which cling to
the common ones. Which constants a radio has, its pools tell: turns where both directions contend for one medium,
coupling and repetitions where its devices are in several cells. What is lost on the way is counted. The form is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
import scipy.optimize
import scipy.sparse.csgraph

from bridge.network import WAITS, RequestError, Status, Wait
from cosim.networks.fluid import DONE, at_begin, carry, convey
from cosim.networks.links import (
    Channel,
    Constants,
    Exchanges,
    Flags,
    Floats,
    Integers,
    Messages,
    copied,
    messages_of,
    no_messages,
    these,
)
from cosim.networks.recorded_channel import Record, read_record
from cosim.record.journal import Journal

MOST_EXCHANGES = 2000
"""More than this are not looked at: they are taken evenly from the record, or are its first ones where messages went
beside them."""

_FLOOR_NS = 1e6  # the unit of floors in the search
_START = {"floor": 1.0, "efficiency": 0.9, "overhead": 0.01, "turn": 0.1, "coupling": 0.1, "repeat": 1.0}
_LEAST = 1e-6
_SCALE = 0.05  # errors beyond this are rather mishaps (soft L1)
_MOST = 1.0  # no error counts for more
_SIZE = 100  # residuals of one kind together weigh as much as this many
_LOYALTY = 0.1  # how much a device's constants cling to those of all


@dataclass(frozen=True)
class Observed:
    """Exchanges as they came out, and the messages beside them: `end_ns` [exchanges], `times` [transfers, 3] and
    `come_ns` [messages] in ns, NaN for what did not happen."""

    asked: Exchanges
    end_ns: Floats
    times: Floats
    messages: Messages = field(default_factory=no_messages)
    come_ns: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class LinkModel:
    """All that answers a what-if: the record of a variant, and what was fitted.

    `loss_per_byte` [2]: how often a byte of a downlink, of an uplink, ends a transfer.
    """

    variant: int
    record: Record
    constants: Constants
    loss_per_byte: Floats

    def describe(self) -> dict[str, object]:
        """The constants as plain values, by link (2 * device + direction), for the record; floors of messages where
        there were any."""
        fitted = {name: values.tolist() for name, values in self.constants._asdict().items()}
        if fitted["message_floor_ns"] == fitted["floor_ns"]:
            del fitted["message_floor_ns"]
        return {"variant": self.variant, **fitted, "loss_per_byte": self.loss_per_byte.tolist()}


def fit(journal: Journal, with_overhead: bool = True) -> LinkModel:
    """The link model of a run's live variants, if not `with_overhead` one in which sharing costs nothing.

    Raises `RequestError` naming RUN if nothing can be learnt from it.
    """
    found = journal.rows(
        "SELECT variant FROM variants JOIN (SELECT variant, max(end_ns) AS end_ns FROM exchanges GROUP BY variant) "
        "USING (variant) WHERE network = 'live' ORDER BY end_ns DESC, variant"
    )
    if not found:
        raise RequestError("RUN", "holds no exchange of a live network, which a what-if would be answered from")
    wait = Wait(journal.config["exchange"]["wait"])
    parts = [(read_record(journal, variant), observe(journal, variant, wait)) for (variant,) in found]
    return LinkModel(found[0][0], parts[0][0], fit_constants(parts, with_overhead), _losses(journal))


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


def fit_constants(parts: Sequence[tuple[Record, Observed]], with_overhead: bool = True) -> Constants:
    """The constants under which the observed exchanges and messages come out best; if not `with_overhead`, sharing
    costs nothing."""
    channel = parts[0][0].channel
    radio = radios(channel)
    kinds = [_kinds(channel, radio == number, with_overhead) for number in range(radio.max() + 1)]
    names = [(number, name) for number, of_radio in enumerate(kinds) for name in of_radio]

    def common(values: Floats) -> Constants:
        links = {name: np.zeros(2 * len(radio)) for name in _START}
        for (number, name), both in zip(names, values.reshape(-1, 2), strict=True):
            links[name][np.repeat(radio == number, 2)] = np.tile(both, np.count_nonzero(radio == number))
        return _constants(links, radio)

    start = np.repeat([_START[name] for _, name in names], 2)
    # What is off by more than _MOST pulls no more: so also from where all are brought near.
    starts = [start, _least_squares(lambda values: _residuals(parts, common(values), np.inf), start).x]
    found = [_least_squares(lambda values: _residuals(parts, common(values)), start) for start in starts]
    shared = common(min(found, key=attrgetter("cost")).x)
    interferes = np.repeat(["repeat" in kinds[number] for number in radio], 2)

    def own(values: Floats) -> Constants:
        floor, efficiency, repeat = np.split(values, [2 * len(radio), 4 * len(radio)])
        repeat_ns = np.zeros(2 * len(radio))
        repeat_ns[interferes] = _FLOOR_NS * repeat
        return shared._replace(floor_ns=_FLOOR_NS * floor, efficiency=efficiency, repeat_ns=repeat_ns)

    begin = np.concatenate([shared.floor_ns / _FLOOR_NS, shared.efficiency, shared.repeat_ns[interferes] / _FLOOR_NS])
    of_transfers = own(_clinging(lambda values: _residuals(parts, own(values)), begin))
    if not any(len(observed.come_ns) for _, observed in parts):
        return of_transfers._replace(message_floor_ns=of_transfers.floor_ns)
    return of_transfers._replace(message_floor_ns=_message_floors(parts, of_transfers, radio))


def _message_floors(parts: Sequence[tuple[Record, Observed]], known: Constants, radio: Integers) -> Floats:
    """The floors of messages, from those that `known` has for all: in common for a radio's devices, then for each."""

    def off(floor: Floats, most: float = _MOST) -> Floats:
        return _message_residuals(parts, known._replace(message_floor_ns=_FLOOR_NS * floor), most)

    first = np.unique(radio, return_index=True)[1]
    start = known.message_floor_ns.reshape(-1, 2)[first].ravel() / _FLOOR_NS
    spread = (2 * radio[:, None] + [0, 1]).ravel()
    common = _least_squares(lambda values: off(values[spread], np.inf), start).x[spread]
    return np.asarray(_FLOOR_NS * _clinging(off, common))


def _constants(links: Mapping[str, Floats], radio: Integers) -> Constants:
    return Constants(
        _FLOOR_NS * links["floor"],
        links["efficiency"],
        links["overhead"],
        _FLOOR_NS * links["turn"],
        links["coupling"],
        _FLOOR_NS * links["repeat"],
        np.repeat(2 * radio, 2) + np.tile([0, 1], len(radio)),
        _FLOOR_NS * links["floor"],
    )


def _kinds(channel: Channel, devices: Flags, with_overhead: bool) -> list[str]:
    """Which constants the radio of these devices has.

    On a medium both directions share a pool; in cells several devices share one, and there are several of them.
    """
    rows = np.repeat(np.arange(len(channel.first) - 1), np.diff(channel.first))
    uses = np.unique(np.stack([rows, channel.pool])[:, devices[rows // 2]], axis=1)
    down, up = (uses[1, uses[0] % 2 == direction] for direction in (0, 1))
    is_medium = np.isin(down, up).any()
    are_cells = not is_medium and 1 < len(np.unique(down)) < len(down)
    return [
        "floor",
        "efficiency",
        *(["overhead"] if with_overhead else []),
        *(["turn"] if with_overhead and is_medium else []),
        *(["coupling", "repeat"] if with_overhead and are_cells else []),
    ]


def radios(channel: Channel) -> Integers:
    """For each device the number of its radio: that of all devices with which it ever shares a pool, directly or not.

    Devices that share nothing, such as those on cables, count as one.
    """
    devices = (len(channel.first) - 1) // 2
    device = np.repeat(np.arange(2 * devices) // 2, np.diff(channel.first))
    uses = scipy.sparse.coo_array((np.ones(len(device)), (device, channel.pool)), shape=(devices, channel.pools))
    _, group = scipy.sparse.csgraph.connected_components(uses @ uses.T)
    is_alone = np.bincount(group)[group] == 1
    return np.asarray(np.unique(np.where(is_alone, -1, group), return_inverse=True)[1], dtype=np.int64)


def _least_squares(residuals: Callable[[Floats], Floats], start: Floats) -> scipy.optimize.OptimizeResult:
    return scipy.optimize.least_squares(
        residuals, start, bounds=(_LEAST, np.inf), loss="soft_l1", f_scale=_SCALE, diff_step=1e-3, xtol=1e-4, ftol=1e-4
    )


def _clinging(residuals: Callable[[Floats], Floats], common: Floats) -> Floats:
    """Each device's constants, not far from those that are in common without need."""
    return np.asarray(
        _least_squares(
            lambda values: np.concatenate([residuals(values), _LOYALTY * (values - common) / common]), common
        ).x
    )


def _residuals(parts: Sequence[tuple[Record, Observed]], constants: Constants, most: float = _MOST) -> Floats:
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


def _message_residuals(parts: Sequence[tuple[Record, Observed]], constants: Constants, most: float) -> Floats:
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


def _losses(journal: Journal) -> Floats:
    """Losses by the bytes that were sent, down and up."""
    rows = journal.rows(
        "SELECT downlink_end_ns IS NOT NULL, compute_end_ns IS NOT NULL, status, downlink_bytes, uplink_bytes "
        "FROM transfers JOIN variants USING (variant) WHERE network = 'live'"
    )
    lost, sent = np.zeros(2), np.ones(2)
    for arrived, computed, status, down_bytes, up_bytes in rows:
        sent += (down_bytes, up_bytes if computed else 0)
        if status == Status.LOST:
            lost[int(arrived)] += 1
    messages = journal.rows(
        "SELECT uplink, sum(size_bytes), sum(status = 'lost') FROM messages JOIN deliveries USING (variant, message) "
        "JOIN variants USING (variant) WHERE network = 'live' GROUP BY uplink"
    )
    for way, sent_bytes, count in messages:
        sent[way] += sent_bytes
        lost[way] += count
    return np.asarray(lost / sent)


def vanishes(model: LinkModel, transfers: Integers, draws: Floats) -> Flags:
    """Whether each transfer's downlink and uplink are lost; `draws` [transfers, 2] are uniform in [0, 1)."""
    return np.asarray(draws < -np.expm1(-model.loss_per_byte * transfers[:, 1:4:2]))


def message_vanishes(model: LinkModel, way: Integers, size_bytes: Integers, draws: Floats) -> Flags:
    """Whether each message is lost, down (0) or up (1); `draws` [messages] are uniform in [0, 1)."""
    return np.asarray(draws < -np.expm1(-model.loss_per_byte[way] * size_bytes))
