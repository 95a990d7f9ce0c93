# SPDX-License-Identifier: Apache-2.0
"""The summary of a report: policies side by side."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures import decisions
from cosim.reporting.figures.drawn import pooled
from cosim.results.service import ServiceSummary
from model_side.routing import Floats
from model_side.selection import Phase


@dataclass(frozen=True)
class Table:
    """Rows of figures, one for each label."""

    labels: list[str]
    rows: list[tuple[str, list[str]]]


def table(data: Data) -> Table:
    """The figures of each label, over all its seeds."""
    rows = [(name, [_or_dash(of, cases) for cases in data.groups.values()]) for name, of in _ROWS.items()]
    return Table(list(data.groups), [row for row in rows if set(row[1]) != {"-"}])


def _or_dash(of: Callable[[list[Case]], str | None], cases: list[Case]) -> str:
    return of(cases) or "-"


def _layers(phase: Phase) -> Callable[[list[Case]], str | None]:
    def told(cases: list[Case]) -> str | None:
        values = pooled([case.layer_s(phase) for case in cases])
        return _median_p95(values)

    return told


def _tokens(name: str) -> Callable[[list[Case]], str | None]:
    def told(cases: list[Case]) -> str | None:
        values = pooled([getattr(case, name) for case in cases])
        return _median_p95(values)

    return told


def _median_p95(values: Floats) -> str | None:
    if not len(values):
        return None
    median, p95 = np.quantile(values * 1e3, [0.5, 0.95])
    return f"{median:.1f} / {p95:.1f} ms"


def _air(cases: list[Case]) -> str | None:
    tokens = sum(len(case.tokens["latency_s"]) for case in cases)
    sent = sum(float((case.transfers["downlink_bytes"] + case.transfers["uplink_bytes"]).sum()) for case in cases)
    return f"{sent / tokens * 1e3 / 1e6:,.0f} MB" if tokens else None


def _lost(cases: list[Case]) -> str | None:
    status = pooled([case.transfers["status"] for case in cases])
    return f"{int((status > 0).sum())} of {len(status)}" if len(status) else None


def _energy(cases: list[Case]) -> str | None:
    values = [case.millijoules_a_token() for case in cases]
    if None in values:
        return None
    radiated = " radiated" if any(case.energy.total_j is None for case in cases) else ""
    return f"{np.mean([value for value in values if value is not None]):,.4g} mJ{radiated}"


def _divergence(cases: list[Case]) -> str | None:
    known = [case.quality.mean_kl_nats for case in cases if case.quality and case.quality.is_compared]
    return f"{np.mean(known):.4f} nats" if known else None


def _same(cases: list[Case]) -> str | None:
    known = [case.quality.agreement for case in cases if case.quality and case.quality.is_compared]
    return f"{np.mean(known):.1%}" if known else None


def _perplexity(cases: list[Case]) -> str | None:
    known = [case.quality.perplexity for case in cases if case.quality and case.quality.perplexity is not None]
    return f"{np.mean(known):.2f}" if known else None


def _off(cases: list[Case]) -> str | None:
    off = np.abs(pooled([case.prediction_errors for case in cases]))
    return f"{np.median(off):.0%} / {np.quantile(off, 0.95):.0%}" if len(off) else None


def _decision(cases: list[Case]) -> str | None:
    known = [case.decisions for case in cases if case.decisions]
    return decisions.told(known) if known else None


def _waits(series: str) -> Callable[[list[Case]], str | None]:
    def told(cases: list[Case]) -> str | None:
        values = pooled([getattr(case.service, series) for case in cases if case.service is not None])
        return " / ".join(f"{each:.3g}" for each in np.percentile(values, [50, 95, 99])) + " s" if len(values) else None

    return told


def _rate(of: Callable[[ServiceSummary], float], digits: int) -> Callable[[list[Case]], str | None]:
    def told(cases: list[Case]) -> str | None:
        known = [of(case.service) for case in cases if case.service is not None]
        return f"{np.mean(known):.{digits}f}" if known and not np.isnan(known).any() else None

    return told


def _goodput(cases: list[Case]) -> str | None:
    known = [case.service for case in cases if case.service is not None and any(case.service.objective)]
    return f"{np.mean([each.goodput_per_s for each in known]):.3f}" if known else None


def _busy(part: str) -> Callable[[list[Case]], str | None]:
    """In the mean over devices, and of the busiest one, over all seeds."""

    def told(cases: list[Case]) -> str | None:
        shares = [getattr(case.use, part) for case in cases if case.use is not None]
        shares = [each for each in shares if len(each)]
        if not shares:
            return None
        return f"{np.mean([each.mean() for each in shares]):.1%} / {np.mean([each.max() for each in shares]):.1%}"

    return told


def _band(cases: list[Case]) -> str | None:
    known = [case.use.band for case in cases if case.use is not None and case.use.band is not None]
    return " / ".join(f"{part:.1%}" for part in np.mean(known, axis=0)) if known else None


_ROWS: dict[str, Callable[[list[Case]], str | None]] = {
    "runs": lambda cases: str(len(cases)),
    "exchanges": lambda cases: f"{sum(len(case.exchanges['exchange']) for case in cases):,}",
    "TTFT": _tokens("ttft_s"),
    "TPOT": _tokens("tpot_s"),
    **{f"layer, {phase}": _layers(phase) for phase in Phase},
    "mean KL divergence": _divergence,
    "same next token": _same,
    "perplexity of the prompts": _perplexity,
    "energy for each token": _energy,
    "on the air for 1000 tokens": _air,
    "transfers not done": _lost,
    "off the BS's prediction": _off,
    "devices computing, mean / busiest": _busy("compute"),
    "downlinks busy, mean / busiest": _busy("downlink"),
    "uplinks busy, mean / busiest": _busy("uplink"),
    "of the band, payload down / up": _band,
    "queueing, median / 95th / 99th": _waits("queueing_s"),
    "TTFT from the arrival, median / 95th / 99th": _waits("ttft_s"),
    "TPOT of a request, median / 95th / 99th": _waits("tpot_s"),
    "end to end, median / 95th / 99th": _waits("end_to_end_s"),
    "tokens a second": _rate(lambda service: service.tokens_per_s, 2),
    "requests a second": _rate(lambda service: service.requests_per_s, 3),
    "goodput in requests a second": _goodput,
    "fairness (Jain)": _rate(lambda service: service.fairness, 3),
    "requests in a pass": _rate(lambda service: service.batch, 2),
    "decision, wall clock": _decision,
}
