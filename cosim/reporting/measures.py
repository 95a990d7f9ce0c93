# SPDX-License-Identifier: Apache-2.0
"""What runs are compared by: a figure for each case; lower is better but where it says otherwise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.reporting.cases import Case
from cosim.results.figures import PERCENTILES, service_figures
from model_side.selection import Phase


@dataclass(frozen=True)
class Measure:
    """`of` gives the figure of a case, or of a study's row, None if it has none; `digits` after the point are shown."""

    name: str
    unit: str
    of: Callable[[Any], float | None]
    digits: int = 1


def _mean_ms(values: "np.ndarray") -> float | None:
    return 1e3 * float(values.mean()) if len(values) else None


def _layers_ms(phase: Phase) -> Callable[[Case], float | None]:
    return lambda case: _mean_ms(case.layer_s(phase))


def _agreement(case: Case) -> float | None:
    return 100 * case.quality.agreement if case.quality and case.quality.is_compared else None


def _divergence(case: Case) -> float | None:
    return case.quality.mean_kl_nats if case.quality and case.quality.is_compared else None


def _megabytes(case: Case) -> float | None:
    count = len(case.tokens["latency_s"])
    sent = float(case.transfers["downlink_bytes"].sum() + case.transfers["uplink_bytes"].sum())
    return sent / 1e6 / count if count else None


def _mj(case: Case, joules: float | None) -> float | None:
    count = len(case.tokens["latency_s"])
    return 1e3 * joules / count if joules is not None and count else None


def _radiated_j(case: Case) -> float | None:
    device_j, bs_j = case.energy.device_air_j, case.energy.bs_air_j
    return None if device_j is None or bs_j is None else device_j + bs_j


def _lost(case: Case) -> float | None:
    status = case.transfers["status"]
    return 100 * float((status > 0).mean()) if len(status) else None


def _of_service(series: str, percent: float) -> Callable[[Case], float | None]:
    def told(case: Case) -> float | None:
        values = np.empty(0) if case.service is None else getattr(case.service, series)
        return 1e3 * float(np.percentile(values, percent)) if len(values) else None

    return told


def _rate(name: str) -> Callable[[Case], float | None]:
    return lambda case: None if case.service is None else service_figures(case.service)[name]


def _busy(part: str) -> Callable[[Case], float | None]:
    def told(case: Case) -> float | None:
        shares = np.empty(0) if case.use is None else getattr(case.use, part)
        return 100 * float(shares.mean()) if len(shares) else None

    return told


SERVICE_SERIES = {
    "queueing": ("queueing", "queueing_s"),
    "ttft": ("TTFT", "ttft_s"),
    "request_tpot": ("TPOT of a request", "tpot_s"),
    "end_to_end": ("end to end", "end_to_end_s"),
}
"""What users wait for, by the beginning of a column's name: in words, and as `ServiceSummary` calls it."""
IN_WORDS = {"median": "median", "p95": "95th percentile", "p99": "99th percentile"}
"""Of `PERCENTILES`."""
RATES = {
    "tokens_per_s": "tokens a second (higher is better)",
    "requests_per_s": "requests a second (higher is better)",
    "goodput_per_s": "goodput in requests a second (higher is better)",
    "fairness": "fairness (higher is better)",
}
"""Of a service, by their columns' names."""
BUSY = {
    "device_computing": ("devices computing", "compute"),
    "downlink_busy": ("downlinks busy", "downlink"),
    "uplink_busy": ("uplinks busy", "uplink"),
}
"""Parts of the time, by their columns' names: in words, and as `Utilisation` calls them."""

MEASURES = (
    Measure("TTFT, mean", "ms", lambda case: _mean_ms(case.ttft_s)),
    Measure("TPOT, mean", "ms", lambda case: _mean_ms(case.tpot_s)),
    *(Measure(f"layer, {phase}, mean", "ms", _layers_ms(phase)) for phase in Phase),
    Measure("KL divergence", "nats", _divergence, 4),
    Measure("same next token (higher is better)", "%", _agreement),
    Measure("perplexity", "", lambda case: case.quality.perplexity if case.quality else None, 2),
    Measure("drawn for each token", "mJ", lambda case: _mj(case, case.energy.total_j)),
    Measure("radiated for each token", "mJ", lambda case: _mj(case, _radiated_j(case))),
    Measure("on the air for each token", "MB", _megabytes, 3),
    Measure("transfers not done", "%", _lost),
    *(Measure(f"{words}, mean", "%", _busy(part)) for words, part in BUSY.values()),
    *(
        Measure(f"{words}, {IN_WORDS[how]}", "ms", _of_service(series, percent))
        for words, series in SERVICE_SERIES.values()
        for how, percent in PERCENTILES.items()
    ),
    *(Measure(words, "", _rate(name), 3) for name, words in RATES.items()),
)
