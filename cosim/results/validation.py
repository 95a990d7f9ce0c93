# SPDX-License-Identifier: Apache-2.0
"""How far a what-if is from the live run of the same configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from cosim.config import NO_NETWORK
from cosim.record.journal import Journal
from model_side.selection import Phase

Series = NDArray[np.float64]

_QUERIES = {
    **{
        f"layer, {phase}": "SELECT request, position, layer, end_ns - depart_ns FROM exchanges "
        f"WHERE variant = ? AND phase = '{phase}'"
        for phase in (Phase.PREFILL, Phase.DECODE)
    },
    "layer, all": "SELECT request, position, layer, end_ns - depart_ns FROM exchanges WHERE variant = ?",
    "token": "SELECT request, position, end_ns - begin_ns FROM tokens WHERE variant = ?",
}
_OF_DEVICES = (
    "SELECT request, position, layer, device, uplink_end_ns - downlink_begin_ns FROM transfers "
    "JOIN exchanges USING (variant, exchange) WHERE variant = ? AND status = 'done'"
)
_ROWS = (
    "(SELECT group_concat(part, ' ') FROM (SELECT request || ':' || position || '+' || tokens AS part FROM pass_rows r "
    "WHERE (r.variant, r.exchange) = (e.variant, e.exchange - e.layer) ORDER BY row))"
)
"""Whose rows an exchange carries: passes of two runs are one and the same if they carry the same."""
_SEEN = (
    "WITH seen AS (SELECT t.variant, t.request, t.position, ending, coalesce(prompt_ns, arrival_ns) AS asked_ns, "
    "CASE WHEN prompt_ns IS NULL THEN t.end_ns ELSE down_ns END AS came_ns FROM tokens t "
    "JOIN requests USING (variant, request) "
    "LEFT JOIN (SELECT variant, request, begin_ns AS prompt_ns FROM messages WHERE position IS NULL) "
    "USING (variant, request) LEFT JOIN (SELECT m.variant, m.request, m.position, d.end_ns AS down_ns FROM messages m "
    "JOIN deliveries d USING (variant, message) WHERE status = 'done' AND NOT uplink) "
    "USING (variant, request, position)) "
)
"""Tokens as users see them: those in the cell from the asking to the arrival at them."""
_WAY = (
    "SELECT request, position, d.end_ns - begin_ns FROM messages m JOIN deliveries d USING (variant, message) "
    "WHERE variant = ? AND status = 'done' AND uplink ="
)
_WHOLE = "HAVING count(came_ns) = count(*)"
_SHARED = {
    **{
        f"layer, {phase}, same rows": f"SELECT {_ROWS}, layer, end_ns - depart_ns FROM exchanges e "
        f"WHERE variant = ? AND phase = '{phase}'"
        for phase in Phase
    },
    "token": f"{_SEEN} SELECT request, position, came_ns - coalesce(lag(came_ns) OVER "
    "(PARTITION BY request ORDER BY position), asked_ns) FROM seen WHERE variant = ? AND came_ns IS NOT NULL",
    "TTFT": f"{_SEEN} SELECT request, min(came_ns) - asked_ns FROM seen WHERE variant = ? GROUP BY request "
    "HAVING count(came_ns)",
    "end to end": f"{_SEEN} SELECT request, max(came_ns) - asked_ns FROM seen WHERE variant = ? AND ending = 'done' "
    f"GROUP BY request {_WHOLE}",
    "prompt, up": f"{_WAY} 1",
    "token, down": f"{_WAY} 0",
}
_SHARED_DEVICES = (
    f"SELECT {_ROWS}, layer, device, uplink_end_ns - downlink_begin_ns FROM transfers "
    "JOIN exchanges e USING (variant, exchange) WHERE e.variant = ? AND status = 'done'"
)


@dataclass(frozen=True)
class Error:
    """Relative errors of predicted latencies, one entry for each that both runs have."""

    what: str
    relative: Series

    @property
    def median(self) -> float:
        """Of their amounts."""
        return float(np.median(np.abs(self.relative)))

    @property
    def p95(self) -> float:
        """Of their amounts."""
        return float(np.quantile(np.abs(self.relative), 0.95))

    @property
    def bias(self) -> float:
        """The median: above 0 where the what-if takes longer than the live run."""
        return float(np.median(self.relative))


def policy_errors(predicted: Journal, live: Journal) -> dict[str, list[Error]]:
    """The errors by policy: of layers, by phase and all, and of tokens.

    Where requests share passes, of the layers of those passes that carry the same rows in both runs, and of what users
    see: each token, the first one, and the whole answer; of users in the cell also the way of prompts and tokens.
    """
    numbers = _variants(live)
    return {
        policy: [
            error
            for what, query in (_SHARED if _is_shared(live) else _QUERIES).items()
            if len((error := Error(what, _relative(predicted, number, live, numbers[policy], query))).relative)
        ]
        for policy, number in _variants(predicted).items()
    }


def device_errors(predicted: Journal, live: Journal) -> list[Error]:
    """The errors of whole transfers, device by device, over all policies."""
    names = [name for (name,) in live.rows("SELECT name FROM devices WHERE variant = 1 ORDER BY device")]
    numbers = _variants(live)
    errors = []
    for device, name in enumerate(names):
        query = f"{_SHARED_DEVICES if _is_shared(live) else _OF_DEVICES} AND device = {device}"
        series = [
            _relative(predicted, number, live, numbers[policy], query)
            for policy, number in _variants(predicted).items()
        ]
        errors.append(Error(name, np.concatenate(series)))
    return [error for error in errors if len(error.relative)]


def ranking(predicted: Sequence[float], live: Sequence[float]) -> float:
    """Kendall's tau of two rankings (tau-b): 1 where they agree."""
    return float(kendalltau(predicted, live).statistic)


def mean_wait_s(journal: Journal) -> tuple[str, dict[str, float]]:
    """What policies are ranked by, in words, and its mean by policy: of a service, how long a whole answer took."""
    if not _is_shared(journal):
        return "latency of a layer", mean_layer_s(journal)
    rows = journal.rows(
        f"{_SEEN} SELECT policy, avg(whole_ns) / 1e9 FROM (SELECT variant, max(came_ns) - asked_ns AS whole_ns "
        f"FROM seen WHERE ending = 'done' GROUP BY variant, request {_WHOLE}) JOIN variants USING (variant) "
        "GROUP BY variant"
    )
    return "latency end to end", dict(rows)


def mean_layer_s(journal: Journal) -> dict[str, float]:
    """The mean latency of a layer by policy, BS computing left out."""
    rows = journal.rows(
        "SELECT policy, avg(end_ns - depart_ns) / 1e9 FROM exchanges JOIN variants USING (variant) GROUP BY variant"
    )
    return dict(rows)


def _variants(journal: Journal) -> dict[str, int]:
    return dict(journal.rows("SELECT policy, variant FROM variants WHERE network <> ? ORDER BY variant", NO_NETWORK))


def _is_shared(journal: Journal) -> bool:
    """Whether requests share passes."""
    return bool(journal.rows("SELECT 1 FROM passes LIMIT 1"))


def _relative(predicted: Journal, number: int, live: Journal, live_number: int, query: str) -> Series:
    """What a query finds in both, matched by all its columns but the last."""
    found = {tuple(key): value for *key, value in predicted.rows(query, number)}
    both = [(found[tuple(key)], value) for *key, value in live.rows(query, live_number) if tuple(key) in found]
    pairs = np.array(both, dtype=np.float64).reshape(-1, 2)
    return np.asarray(pairs[:, 0] / pairs[:, 1] - 1)
