# SPDX-License-Identifier: Apache-2.0
"""The link model of a recorded run: its channel record, and constants fitted to its transfers.

The constants are fitted by robust least squares on the logarithms of latencies: first those that all devices of one
radio have in common in either direction, then each device's own floors, efficiencies and repetitions, which cling to
the common ones. Which constants a radio has, its pools tell: turns where both directions contend for one medium,
coupling and repetitions where its devices are in several cells. What is lost on the way is counted. The form is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import scipy.optimize
import scipy.sparse.csgraph

from bridge.network import WAITS, RequestError, Status, Wait
from cosim.networks.fluid import (
    Channel,
    Constants,
    Exchanges,
    Flags,
    Floats,
    Integers,
    at_begin,
    carry,
)
from cosim.networks.recorded_channel import Record, read_record
from cosim.record.journal import Journal

MOST_EXCHANGES = 2000
"""More than this are not looked at; they are taken evenly from the record."""

_FLOOR_NS = 1e6  # the unit of floors in the search
_START = {"floor": 1.0, "efficiency": 0.9, "overhead": 0.01, "turn": 0.1, "coupling": 0.1, "repeat": 1.0}
_LEAST = 1e-6
_SCALE = 0.05  # errors beyond this are rather mishaps (soft L1)
_MOST = 1.0  # no error counts for more
_SIZE = 100  # residuals of one kind together weigh as much as this many
_LOYALTY = 0.1  # how much a device's constants cling to those of all


@dataclass(frozen=True)
class Observed:
    """Exchanges as they came out: `end_ns` [exchanges], `times` [transfers, 3] in ns, NaN for what did not happen."""

    asked: Exchanges
    end_ns: Floats
    times: Floats


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
        """The constants as plain values, by link (2 * device + direction), for the record."""
        fitted = {name: values.tolist() for name, values in self.constants._asdict().items()}
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
    """What a variant's exchanges came to; at most `MOST_EXCHANGES` of them, taken evenly."""
    exchanges = journal.rows(
        "SELECT exchange, depart_ns, deadline_ns, end_ns, shares FROM exchanges WHERE variant = ? ORDER BY exchange",
        variant,
    )
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
    return Observed(asked, end_ns.astype(np.float64), table[:, 5:])


def _shares(transfers: Floats, of_exchange: Mapping[int, Floats]) -> Floats:
    """Each transfer's share of the band, NaN where its exchange had none; a row begins with exchange and device."""
    if not of_exchange:
        return np.full(len(transfers), np.nan)
    keys = transfers[:, :2].astype(np.int64).tolist()
    return np.array([of_exchange[number][device] if number in of_exchange else np.nan for number, device in keys])


def predict(channel: Channel, constants: Constants, asked: Exchanges) -> tuple[Floats, Floats]:
    """End of each exchange, and the times [transfers, 3] within, each exchange departing when it did."""
    end_ns = np.empty(len(asked.depart_ns))
    times = np.empty((len(asked.transfers), 3))
    carry(channel, constants, at_begin(channel), asked, end_ns, times, np.empty(len(asked.transfers), np.int64))
    return end_ns, times


def fit_constants(parts: Sequence[tuple[Record, Observed]], with_overhead: bool = True) -> Constants:
    """The constants under which the observed exchanges come out best; if not `with_overhead`, sharing costs nothing."""
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
    return own(
        _least_squares(
            lambda values: np.concatenate([_residuals(parts, own(values)), _LOYALTY * (values - begin) / begin]), begin
        ).x
    )


def _constants(links: Mapping[str, Floats], radio: Integers) -> Constants:
    return Constants(
        _FLOOR_NS * links["floor"],
        links["efficiency"],
        links["overhead"],
        _FLOOR_NS * links["turn"],
        links["coupling"],
        _FLOOR_NS * links["repeat"],
        np.repeat(2 * radio, 2) + np.tile([0, 1], len(radio)),
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


def _residuals(parts: Sequence[tuple[Record, Observed]], constants: Constants, most: float = _MOST) -> Floats:
    """How far the logarithms of latencies are off, each by `most` at most: of exchanges, of downlinks, and of whole
    transfers, all alike."""
    off = []
    for record, observed in parts:
        asked = observed.asked
        end_ns, times = predict(record.channel, constants, asked)
        depart_ns = np.repeat(asked.depart_ns, np.diff(asked.first))
        off.append(_log_ratio(end_ns, observed.end_ns, asked.depart_ns, most))
        off += [_log_ratio(times[:, end], observed.times[:, end], depart_ns, most) for end in (0, 2)]
    return np.asarray(np.concatenate([each / np.sqrt(max(len(each), 1)) for each in off]) * np.sqrt(_SIZE))


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
    return np.asarray(lost / sent)


def vanishes(model: LinkModel, transfers: Integers, draws: Floats) -> Flags:
    """Whether each transfer's downlink and uplink are lost; `draws` [transfers, 2] are uniform in [0, 1)."""
    return np.asarray(draws < -np.expm1(-model.loss_per_byte * transfers[:, 1:4:2]))
