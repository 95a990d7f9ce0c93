# SPDX-License-Identifier: Apache-2.0
"""The figures of a run, computed from its journal and nothing else."""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.network import NS_PER_S, Status
from cosim.config import NO_NETWORK
from cosim.record.baseline_meta import KEY, BaselineMeta
from cosim.record.decisions import Decisions
from cosim.record.integrity import damaged
from cosim.record.journal import Journal
from cosim.results.energy import Energy, of_transfers, summed
from cosim.results.on_air import seen_by_users
from cosim.results.scores import TaskScores, scores_of
from cosim.results.service import ServiceSummary, pass_ends_ns, service_of
from cosim.results.utilisation import Utilisation, utilisation_of
from model_side.element import Element
from model_side.quality import GateProxy, PassQuality, Quality, TextQuality, pool, pool_text

Sums = TypeVar("Sums", PassQuality, TextQuality, GateProxy)
Series = NDArray[np.float64]


@dataclass(frozen=True)
class DeviceSummary:
    """What one device did: `experts` that it holds, tokens and bytes that it was sent and sent back in time,
    transfers that were not done, and the mean SINR of its downlink in dB (None if never measured)."""

    name: str
    hardware: str
    experts: str
    tokens: int
    downlink_bytes: int
    uplink_bytes: int
    transfers: int
    failed: int
    downlink_sinr_db: float | None


@dataclass(frozen=True)
class Slots:
    """Of the `own` expert slots that the gate chose, those `kept` and those `left_out` by the policy; `substituted`:
    slots that it asked of other experts; `late`: of those asked, those that did not come back in time."""

    own: int
    kept: int
    substituted: int
    left_out: int
    late: int


@dataclass(frozen=True)
class VariantSummary:
    """One policy's pass. Latencies are arrays of virtual seconds, one entry a layer or a token.

    A layer's latency runs from the end of the layer before it, so it includes the BS's computing. `time_s`
    splits the virtual time: the downlink, computing and uplink of the average transfer, `waiting` for the
    slowest after that, and the BS. They sum to the whole but for exchanges that were cut short.
    `prediction_errors`: of each transfer that was done, what it took over what the BS predicted, less one.
    `energy`: what was drawn and radiated. `costs_s`, `decisions`: wall-clock time, of the program's parts and of the
    policy's decisions, on the machine that ran it. `scores`: of the tasks that it was asked. `baseline`: of a dense
    model, which has no exchanges and so no layers here. `service`: what requests that arrived were given; TTFT and TPOT
    are then what their users saw, the time in the queue and on the air among it. `use`: how busy devices, links and BS
    were.
    """

    policy: str
    network: str
    virtual_s: float
    layer_s: dict[str, Series]
    ttft_s: Series
    tpot_s: Series
    time_s: dict[str, float]
    devices: list[DeviceSummary]
    slots: Slots
    prediction_errors: Series
    statuses: dict[str, int]
    quality: Quality | None
    proxy: GateProxy | None
    energy: Energy
    element: str = Element.OWN
    scores: list[TaskScores] = field(default_factory=list)
    costs_s: dict[str, float] = field(default_factory=dict)
    decisions: Decisions | None = None
    baseline: BaselineMeta | None = None
    service: ServiceSummary | None = None
    use: Utilisation | None = None

    @property
    def title(self) -> str:
        """What ran, and on which network."""
        return f"{self.policy} ({'at the BS' if self.baseline else self.network})"

    @property
    def token_s(self) -> Series:
        """Latency of every token, first ones included."""
        return np.concatenate([self.ttft_s, self.tpot_s])


def summarise(run: Journal | Path | str) -> list[VariantSummary]:
    """A summary of each variant of a run, in the order in which they ran; of as much of it as was recorded.

    `run`: its folder, or its journal. Raises `RequestError` naming RUN for what is no journal, or a damaged one.
    """
    if isinstance(run, Journal):
        return _variants(run)
    with closing(Journal.open(Path(run))) as journal:
        return _variants(journal)


def _variants(journal: Journal) -> list[VariantSummary]:
    return [
        _variant(journal, *row)
        for row in journal.rows("SELECT variant, policy, network FROM variants ORDER BY variant")
    ]


def _variant(journal: Journal, variant: int, policy: str, network: str) -> VariantSummary:
    exchanges = journal.rows(
        "SELECT phase, bs_compute_ns, depart_ns, end_ns FROM exchanges WHERE variant = ? ORDER BY exchange", variant
    )
    layer_s: dict[str, list[float]] = {}
    for phase, bs_compute_ns, depart_ns, end_ns in exchanges:
        layer_s.setdefault(phase, []).append((end_ns - depart_ns + bs_compute_ns) / NS_PER_S)
    tokens = journal.rows(
        "SELECT request, begin_ns, end_ns FROM tokens WHERE variant = ? ORDER BY request, position", variant
    )
    since_ns = dict(journal.rows("SELECT request, arrival_ns FROM requests WHERE variant = ?", variant))
    arrived = bool(since_ns)
    seen: set[int] = set()
    ttft_s: list[float] = []
    tpot_s: list[float] = []
    given = tokens
    if (on_air := seen_by_users(journal, variant)) is not None:
        since_ns = dict(on_air.asked_ns)
        given = [(request, 0, end_ns) for request, came_ns in on_air.came_ns.items() for end_ns in came_ns]
    for request, begin_ns, end_ns in given:
        took_ns = end_ns - (since_ns.get(request, begin_ns) if arrived else begin_ns)
        (tpot_s if request in seen else ttft_s).append(took_ns / NS_PER_S)
        seen.add(request)
        since_ns[request] = end_ns
    statuses = dict(journal.rows("SELECT status, count(*) FROM transfers WHERE variant = ? GROUP BY status", variant))
    baseline = None
    if network == NO_NETWORK:
        baseline = msgspec.json.decode(journal.meta(KEY), type=BaselineMeta)
        bs_compute_s = sum(end_ns - begin_ns for _, begin_ns, end_ns in tokens) / NS_PER_S
    else:
        bs_compute_s = _bs_compute_s(exchanges, pass_ends_ns(journal, variant))
    transfers = of_transfers(journal, variant)
    return VariantSummary(
        policy=policy,
        network=network,
        virtual_s=max((row[2] for row in tokens) if baseline else (row[3] for row in exchanges), default=0) / NS_PER_S,
        layer_s={phase: np.array(values) for phase, values in layer_s.items()},
        ttft_s=np.array(ttft_s),
        tpot_s=np.array(tpot_s),
        time_s={**time_split(journal, variant), "BS compute": bs_compute_s},
        devices=_devices(journal, variant),
        slots=_slots(journal, variant),
        prediction_errors=_prediction_errors(journal, variant),
        statuses={status.value: statuses.get(status.value, 0) for status in Status},
        quality=quality_of(journal, variant),
        proxy=_proxy(journal, variant),
        energy=summed(transfers, bs_compute_s),
        element=journal.config["exchange"]["element"],
        scores=scores_of(journal, variant),
        costs_s=dict(journal.rows("SELECT part, wall_s FROM costs WHERE variant = ?", variant)),
        decisions=decisions_of(journal, variant),
        baseline=baseline,
        service=service_of(journal, variant),
        use=utilisation_of(journal, variant, transfers, bs_compute_s),
    )


def decisions_of(journal: Journal, variant: int) -> Decisions | None:
    found = journal.rows("SELECT count, mean_s, p50_s, p95_s, max_s FROM decisions WHERE variant = ?", variant)
    return Decisions(*found[0]) if found else None


def _bs_compute_s(exchanges: Sequence[tuple[str, int, int, int]], pass_ends_ns: Sequence[int]) -> float:
    """The BS's computing before each exchange, and from a pass's last exchange until it had the next token."""
    ends_ns = np.array([row[3] for row in exchanges], dtype=np.int64)
    passes_ns = np.array(pass_ends_ns, dtype=np.int64)
    heads_ns = passes_ns - ends_ns[np.searchsorted(ends_ns, passes_ns, side="right") - 1]
    return float(sum(row[1] for row in exchanges) + heads_ns.sum()) / NS_PER_S


def time_split(journal: Journal, variant: int) -> dict[str, float]:
    down, compute, up, waiting, idle = journal.rows(
        """
        WITH part AS (
            SELECT exchange,
                avg(coalesce(t.downlink_end_ns, e.end_ns) - e.depart_ns) AS down,
                avg(coalesce(t.compute_end_ns, e.end_ns) - coalesce(t.downlink_end_ns, e.end_ns)) AS compute,
                avg(coalesce(t.uplink_end_ns, e.end_ns) - coalesce(t.compute_end_ns, e.end_ns)) AS up,
                avg(e.end_ns - coalesce(t.uplink_end_ns, e.end_ns)) AS waiting
            FROM exchanges e JOIN transfers t USING (variant, exchange) WHERE variant = ?1 GROUP BY exchange)
        SELECT total(down), total(compute), total(up), total(waiting),
            (SELECT total(end_ns - depart_ns) FROM exchanges e WHERE variant = ?1 AND NOT EXISTS (
                SELECT 1 FROM transfers t WHERE t.variant = ?1 AND t.exchange = e.exchange))
        FROM part
        """,
        variant,
    )[0]
    return {
        "downlink": down / NS_PER_S,
        "device compute": compute / NS_PER_S,
        "uplink": up / NS_PER_S,
        "waiting for the slowest": (waiting + idle) / NS_PER_S,
    }


def _slots(journal: Journal, variant: int) -> Slots:
    slots = np.zeros(5, dtype=np.int64)
    for experts, top_k, gate, k, picked, delivered in journal.rows(
        "SELECT experts, top_k, gate_experts, chosen_k, chosen_experts, delivered FROM routing WHERE variant = ?",
        variant,
    ):
        own, chosen = np.frombuffer(gate, "<i2").reshape(-1, top_k), np.frombuffer(picked, "<i2").reshape(-1, k)
        asked = chosen < experts
        late = asked & ~np.frombuffer(delivered, "?").reshape(chosen.shape)
        if np.array_equal(own, chosen):
            slots += (own.size, own.size, 0, 0, late.sum())
            continue
        same = own[:, :, None] == chosen[:, None, :]
        kept = same.any(axis=2).sum()
        slots += (own.size, kept, (asked & ~same.any(axis=1)).sum(), own.size - kept, late.sum())
    return Slots(*slots.tolist())


def _prediction_errors(journal: Journal, variant: int) -> Series:
    """Of each transfer that was done: what it took over what was predicted, less one."""
    expected = dict(
        journal.rows("SELECT exchange, predicted_s FROM routing WHERE variant = ? AND predicted_s IS NOT NULL", variant)
    )
    rows = journal.rows(
        "SELECT exchange, device, t.uplink_end_ns - e.depart_ns FROM transfers t JOIN exchanges e "
        "USING (variant, exchange) WHERE variant = ? AND status = 'done'",
        variant,
    )
    off = [
        took_ns / NS_PER_S / np.frombuffer(expected[exchange], "<f8")[device] - 1
        for exchange, device, took_ns in rows
        if exchange in expected
    ]
    return np.array(off)


def _devices(journal: Journal, variant: int) -> list[DeviceSummary]:
    rows = journal.rows(
        """
        SELECT d.name, d.hardware, d.experts, total(t.tokens), total(t.downlink_bytes),
            total(CASE WHEN t.status = 'done' THEN t.uplink_bytes END), count(t.device), total(t.status <> 'done'),
            (SELECT avg(downlink_sinr_db) FROM links l WHERE l.variant = d.variant AND l.device = d.device)
        FROM devices d LEFT JOIN transfers t USING (variant, device)
        WHERE variant = ? GROUP BY device ORDER BY device
        """,
        variant,
    )
    return [
        DeviceSummary(name, hardware, experts, int(tokens), int(down), int(up), int(count), int(failed), sinr_db)
        for name, hardware, experts, tokens, down, up, count, failed, sinr_db in rows
    ]


def quality_of(journal: Journal, variant: int) -> Quality | None:
    requests: dict[int, dict[str, float]] = {}
    for request, metric, value in journal.rows(
        "SELECT request, metric, value FROM quality WHERE variant = ? AND metric NOT LIKE 'proxy%' "
        "ORDER BY request, metric",
        variant,
    ):
        requests.setdefault(request, {})[metric] = value
    try:
        if requests and all(metrics.keys() == TextQuality.__dataclass_fields__.keys() for metrics in requests.values()):
            return pool_text(_sums(journal, variant, TextQuality, metrics) for metrics in requests.values())
        return pool(_sums(journal, variant, PassQuality, metrics) for metrics in requests.values())
    except (OverflowError, ZeroDivisionError) as error:
        raise damaged(journal.path, f"quality, variant {variant}: the sums are of no run: {error}") from None


def _proxy(journal: Journal, variant: int) -> GateProxy | None:
    sums = dict(
        journal.rows(
            "SELECT metric, sum(value) FROM quality WHERE variant = ? AND metric LIKE 'proxy%' GROUP BY metric", variant
        )
    )
    if not sums:
        return None
    return _sums(journal, variant, GateProxy, sums)


def _sums(journal: Journal, variant: int, kind: type[Sums], metrics: dict[str, float]) -> Sums:
    """Recorded metrics as what they are the sums of. Raises `RequestError` naming RUN for others than those."""
    names = kind.__dataclass_fields__
    counts = [name for name, field_ in names.items() if field_.type is int]
    if metrics.keys() != names.keys() or not all(math.isfinite(metrics[name]) for name in counts):
        raise damaged(journal.path, f"quality, variant {variant}: the metrics are not {', '.join(names)}")
    sums: dict[str, Any] = {name: int(value) if name in counts else value for name, value in metrics.items()}
    return kind(**sums)
