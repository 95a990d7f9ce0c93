# SPDX-License-Identifier: Apache-2.0
"""The link model of a recorded run: its channel record, and constants fitted to its transfers.

The constants are searched for by pattern search: first those that all devices have in common (floor, efficiency and
overhead of either direction), then each device's own floors and efficiencies as far as they make the whole come out
better. What is lost on the way is counted. The form and the search are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.network import RequestError, Status, Wait
from cosim.channel import Record, read_record
from cosim.fluid import ALL, ANY, DEADLINE, Channel, Constants, Exchanges, Flags, Floats, Integers, carry
from cosim.journal import Journal

WAITS = {Wait.ALL: ALL, Wait.ANY: ANY, Wait.DEADLINE: DEADLINE}
MOST_EXCHANGES = 2000
"""More than this are not looked at; they are taken evenly from the record."""

# Where the search begins, its first steps, and the steps at which it ends: floor in ns, efficiency, overhead.
_START = (1e6, 0.9, 0.0)
_STEPS = (1e6, 0.05, 0.05)
_FINEST = 2.0**-6


@dataclass(frozen=True)
class Observed:
    """Exchanges as they came out: `end_ns` [exchanges], `times` [transfers, 3] in ns, NaN for what did not happen."""

    asked: Exchanges
    end_ns: Floats
    times: Floats


@dataclass(frozen=True)
class LinkModel:
    """All that answers a what-if. `loss_per_byte` [2]: how often a byte of a downlink, of an uplink, ends a transfer."""

    record: Record
    constants: Constants
    loss_per_byte: Floats


def fit(journal: Journal) -> LinkModel:
    """The link model of a run's live variants. Raises `RequestError` naming RUN if nothing can be learnt from it."""
    found = journal.rows(
        "SELECT variant FROM variants JOIN (SELECT variant, max(end_ns) AS end_ns FROM exchanges GROUP BY variant) "
        "USING (variant) WHERE network = 'live' ORDER BY end_ns DESC, variant"
    )
    if not found:
        raise RequestError("RUN", "holds no exchange of a live network, which a what-if would be answered from")
    wait = Wait(journal.config["exchange"]["wait"])
    parts = [(read_record(journal, variant), observe(journal, variant, wait)) for (variant,) in found]
    return LinkModel(parts[0][0], fit_constants(parts), _losses(journal))


def observe(journal: Journal, variant: int, wait: Wait) -> Observed:
    """What a variant's exchanges came to; at most `MOST_EXCHANGES` of them, taken evenly."""
    exchanges = journal.rows(
        "SELECT exchange, depart_ns, deadline_ns, end_ns FROM exchanges WHERE variant = ? ORDER BY exchange", variant
    )
    exchanges = exchanges[:: -(-len(exchanges) // MOST_EXCHANGES)]
    number, depart_ns, deadline_ns, end_ns = (np.array(column) for column in zip(*exchanges, strict=True))
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
        WAITS[wait],
    )
    return Observed(asked, end_ns.astype(np.float64), table[:, 5:])


def predict(channel: Channel, constants: Constants, asked: Exchanges) -> tuple[Floats, Floats]:
    """End of each exchange, and the times [transfers, 3] within, each exchange departing when it did."""
    end_ns = np.empty(len(asked.depart_ns))
    times = np.empty((len(asked.transfers), 3))
    carry(channel, constants, channel.first[:-1].copy(), asked, end_ns, times, np.empty(len(asked.transfers), np.int64))
    return end_ns, times


def fit_constants(parts: Sequence[tuple[Record, Observed]]) -> Constants:
    """The constants under which the observed exchanges come out best."""
    devices = (len(parts[0][0].channel.first) - 1) // 2
    common = _search(
        np.repeat([_START], 2, axis=0).ravel(order="F"),
        np.repeat([_STEPS], 2, axis=0).ravel(order="F"),
        lambda values: _error(parts, _spread(values, devices)),
    )
    constants = _spread(common, devices)
    for device in range(devices):
        links = slice(2 * device, 2 * device + 2)

        def placed(values: Floats, links: slice = links) -> Constants:
            changed = Constants(constants.floor_ns.copy(), constants.efficiency.copy(), constants.overhead)
            changed.floor_ns[links], changed.efficiency[links] = values[:2], values[2:]
            return changed

        own = _search(
            np.concatenate([constants.floor_ns[links], constants.efficiency[links]]),
            np.repeat(_STEPS[:2], 2) / 4,
            lambda values, placed=placed: _error(parts, placed(values)),
        )
        constants = placed(own)
    return constants


def _spread(values: Floats, devices: int) -> Constants:
    """The same constants, down and up, for every device; `values` are floors, efficiencies and overheads."""
    return Constants(*(np.tile(values[i : i + 2], devices) for i in (0, 2, 4)))


def _search(values: Floats, step: Floats, error: Callable[[Floats], float]) -> Floats:
    """Pattern search: go wherever one step makes the error less; where none does, halve the steps."""
    best, scale = error(values), 1.0
    while scale >= _FINEST:
        moved = False
        for i in range(len(values)):
            for sign in (1, -1):
                trial = values.copy()
                trial[i] = max(trial[i] + sign * scale * step[i], 0.0)
                found = error(trial)
                if found < best:
                    best, values, moved = found, trial, True
        if not moved:
            scale /= 2
    return values


def _error(parts: Sequence[tuple[Record, Observed]], constants: Constants) -> float:
    """Mean error of the logarithm of latencies: of exchanges, and of the transfers that were done."""
    total = 0.0
    for record, observed in parts:
        asked = observed.asked
        end_ns, times = predict(record.channel, constants, asked)
        exchanges = _log_ratio(end_ns, observed.end_ns, asked.depart_ns)
        transfers = _log_ratio(times[:, 2], observed.times[:, 2], _departures(asked))
        total += float(np.nanmean(exchanges)) + float(np.nanmean(transfers))
    return total


def _departures(asked: Exchanges) -> Floats:
    return np.repeat(asked.depart_ns, np.diff(asked.first))


def _log_ratio(predicted_ns: Floats, observed_ns: Floats, depart_ns: Floats) -> Floats:
    """By how much a latency is off, either way; NaN where it was not observed, 1 where it should have been predicted."""
    ratio = (np.maximum(predicted_ns - depart_ns, 1.0)) / np.maximum(observed_ns - depart_ns, 1.0)
    off = np.abs(np.log(ratio))
    return np.where(predicted_ns < 0, np.where(np.isnan(observed_ns), np.nan, 1.0), np.minimum(off, 1.0))


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
