# SPDX-License-Identifier: Apache-2.0
"""What one variant of a run recorded, as columns: float64 arrays by name, NaN for NULL, one entry a row."""

from dataclasses import dataclass

import numpy as np

from bridge.network import Status
from cosim.record.journal import Journal
from cosim.record.journal_file import reading
from model_side.routing import Floats, Indices, Mask
from model_side.selection import Phase

Columns = dict[str, Floats]

STATUSES = tuple(status.value for status in Status)
"""By their numbers in the column `status`."""
PHASES = tuple(phase.value for phase in Phase)
"""By their numbers in the column `phase`."""


def _numbered(column: str, names: tuple[str, ...]) -> str:
    """A column of words as their numbers, in SQL."""
    return f"CASE {column} {' '.join(f'WHEN {name!r} THEN {number}' for number, name in enumerate(names))} END"


_STATUS, _PHASE = _numbered("status", STATUSES), _numbered("phase", PHASES)

EXCHANGES = (
    f"SELECT exchange, request, position, {_PHASE} AS phase, layer, tokens, bs_compute_ns / 1e9 AS bs_s, "
    "depart_ns / 1e9 AS depart_s, end_ns / 1e9 AS end_s, (end_ns - depart_ns + bs_compute_ns) / 1e9 AS latency_s, "
    "(end_ns - depart_ns) / 1e9 AS air_s FROM exchanges WHERE variant = ? ORDER BY exchange"
)
TRANSFERS = (
    f"SELECT exchange, device, tokens, downlink_bytes, uplink_bytes, {_STATUS} AS status, "
    "downlink_begin_ns / 1e9 AS begin_s, downlink_end_ns / 1e9 AS down_s, compute_end_ns / 1e9 AS compute_s, "
    "uplink_end_ns / 1e9 AS up_s FROM transfers WHERE variant = ? ORDER BY exchange, device"
)
LINKS = (
    "SELECT exchange, device, connected, downlink_sinr_db, uplink_sinr_db, downlink_mcs, uplink_mcs, "
    "downlink_rate_bps, uplink_rate_bps, rlc_queue_bytes, bsr_bytes, cell, downlink_bler, uplink_bler "
    "FROM links WHERE variant = ? ORDER BY exchange, device"
)
TOKENS = (
    "SELECT request, position, begin_ns / 1e9 AS begin_s, end_ns / 1e9 AS end_s, "
    "(end_ns - begin_ns) / 1e9 AS latency_s FROM tokens WHERE variant = ? ORDER BY request, position"
)
REQUESTS = (
    "SELECT request, arrival_ns / 1e9 AS arrival_s, admitted_ns / 1e9 AS admitted_s, end_ns / 1e9 AS end_s, "
    "new_tokens FROM requests WHERE variant = ? ORDER BY request"
)
PASSES = (
    "SELECT exchange, begin_ns / 1e9 AS begin_s, end_ns / 1e9 AS end_s FROM passes WHERE variant = ? ORDER BY exchange"
)
PASS_ROWS = (
    f"SELECT exchange, request, {_PHASE} AS phase, position, tokens FROM pass_rows WHERE variant = ? "
    "ORDER BY exchange, row"
)


_ROWS = 8192


def columns(journal: Journal, query: str, variant: int) -> Columns:
    """The columns of a query that gives nothing but numbers and NULL."""
    with reading(journal.path):
        cursor = journal.db.execute(query, [variant])
        names = [column[0] for column in cursor.description]
        parts = [np.empty((0, len(names)))]
        while rows := cursor.fetchmany(_ROWS):  # few at a time: a million Python objects at once take longer
            parts.append(np.array(rows, np.float64))
    return {name: np.ascontiguousarray(column) for name, column in zip(names, np.concatenate(parts).T, strict=True)}


@dataclass(frozen=True)
class Routing:
    """The choices of all X exchanges of a variant, slot by slot.

    `exchange` of each own slot as an index from 0, its token (numbered through all exchanges), and its expert: `gate`;
    likewise the policy's `chosen` slots that were asked of a device. `late`: which of these did not come back in time.
    `kept`: which of the gate's slots the policy asked. `new`: which of the asked ones the gate did not choose.
    """

    experts: int
    tokens: int
    gate_exchange: Indices
    gate: Indices
    gate_token: Indices
    kept: Mask
    exchange: Indices
    chosen: Indices
    token: Indices
    new: Mask
    late: Mask


def routing(journal: Journal, variant: int) -> Routing | None:
    """The routing of a variant; None where none was recorded."""
    rows = journal.rows(
        "SELECT tokens, experts, top_k, chosen_k, gate_experts, chosen_experts, delivered FROM routing "
        "WHERE variant = ? ORDER BY exchange",
        variant,
    )
    if not rows:
        return None
    tokens, _, top_k, chosen_k = np.array([row[:4] for row in rows], np.int64).T
    experts = int(rows[0][1])
    gate = np.frombuffer(b"".join(row[4] for row in rows), "<i2").astype(np.int64)
    picked = np.frombuffer(b"".join(row[5] for row in rows), "<i2").astype(np.int64)
    delivered = np.frombuffer(b"".join(row[6] for row in rows), "?")
    first = np.concatenate([[0], np.cumsum(tokens)])
    of_token = np.repeat(np.arange(len(rows)), tokens)  # the exchange of each token
    gate_token = np.repeat(np.arange(first[-1]), top_k[of_token])
    token = np.repeat(np.arange(first[-1]), chosen_k[of_token])
    asked = picked < experts
    token, chosen, late = token[asked], picked[asked], ~delivered[asked]
    own, others = gate_token * (experts + 1) + gate, token * (experts + 1) + chosen
    return Routing(
        experts,
        int(first[-1]),
        of_token[gate_token],
        gate,
        gate_token,
        np.isin(own, others),
        of_token[token],
        chosen,
        token,
        ~np.isin(others, own),
        late,
    )


def prediction_errors(journal: Journal, variant: int, exchanges: Columns, transfers: Columns) -> Floats:
    """Of each transfer that was done: what it took over what the BS predicted, less one; NaN without a prediction."""
    rows = journal.rows(
        "SELECT exchange, predicted_s FROM routing WHERE variant = ? AND predicted_s IS NOT NULL ORDER BY exchange",
        variant,
    )
    done = transfers["status"] == STATUSES.index(Status.DONE)
    if not rows or not done.any():
        return np.empty(0)
    expected = np.frombuffer(b"".join(row[1] for row in rows), "<f8").reshape(len(rows), -1)
    numbers = np.array([row[0] for row in rows])
    exchange, device = transfers["exchange"][done], transfers["device"][done].astype(np.int64)
    known = np.isin(exchange, numbers)
    depart_s = exchanges["depart_s"][np.searchsorted(exchanges["exchange"], exchange)]
    took_s = (transfers["up_s"][done] - depart_s)[known]
    return np.asarray(took_s / expected[np.searchsorted(numbers, exchange[known]), device[known]] - 1)


@dataclass(frozen=True)
class Accuracy:
    """Of a task's `count` items, how many were answered right, and by the unmodified model (None if it did not run)."""

    right: int
    count: int
    reference_right: int | None


def accuracy(journal: Journal, variant: int) -> dict[str, Accuracy]:
    """By task; nothing where none was asked."""
    if not journal.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'scores'"):
        return {}
    rows = journal.rows(
        "SELECT task, total(value), count(*), count(s.reference), total(s.reference) "
        "FROM items JOIN scores s USING (variant, item) "
        "WHERE variant = ? AND metric IN ('acc', 'exact_match') GROUP BY task ORDER BY min(item)",
        variant,
    )
    return {
        task: Accuracy(int(right), count, int(there) if known == count else None)
        for task, right, count, known, there in rows
    }
