# SPDX-License-Identifier: Apache-2.0
"""What a variant comes to in numbers, each under a name that ends with its unit: a row of a study."""

import re

import numpy as np

from cosim.results.service import ServiceSummary
from cosim.results.summary import Series, VariantSummary

Figure = float | int | None

_PARTS = {
    "downlink": "downlink_s",
    "device compute": "device_compute_s",
    "uplink": "uplink_s",
    "waiting for the slowest": "waiting_s",
    "BS compute": "bs_compute_s",
}


def figures_of(variant: VariantSummary) -> dict[str, Figure]:
    """The figures of a summary; None for those that it has not.

    Latencies: mean, median and 95th percentile, in virtual seconds. `downlink_s` to `bs_compute_s`: how `virtual_s`
    splits. `agreement`, `gate_weight_kept`, `best_expert_lost`, `in_time` and the tasks' scores are shares, from 0
    to 1.
    """
    found: dict[str, Figure] = {"tokens": len(variant.token_s), "virtual_s": variant.virtual_s}
    for name, series in (
        ("ttft", variant.ttft_s),
        ("tpot", variant.tpot_s),
        *((f"layer_{phase}", variant.layer_s.get(phase, np.empty(0))) for phase in ("prefill", "decode")),
    ):
        found |= _latencies(name, series)
    found |= {column: variant.time_s.get(part) for part, column in _PARTS.items()}
    slots = variant.slots
    found |= {
        "slots_own": slots.own,
        "slots_kept": slots.kept,
        "slots_substituted": slots.substituted,
        "slots_left_out": slots.left_out,
        "slots_late": slots.late,
    }
    found |= {f"transfers_{status}": count for status, count in variant.statuses.items()}
    found["downlink_bytes"] = sum(device.downlink_bytes for device in variant.devices)
    found["uplink_bytes"] = sum(device.uplink_bytes for device in variant.devices)
    errors = np.abs(variant.prediction_errors)
    found["prediction_error_median"] = float(np.median(errors)) if len(errors) else None
    found |= _quality(variant) | _energy(variant) | _service(variant.service)
    for task in variant.scores:
        found |= {_column(task.task, name): measure.here.value for name, measure in task.whole.measures.items()}
    return found


def _latencies(name: str, series: Series) -> dict[str, Figure]:
    there = len(series) > 0
    return {
        f"{name}_mean_s": float(series.mean()) if there else None,
        f"{name}_median_s": float(np.median(series)) if there else None,
        f"{name}_p95_s": float(np.percentile(series, 95)) if there else None,
    }


def _quality(variant: VariantSummary) -> dict[str, Figure]:
    quality, proxy = variant.quality, variant.proxy
    compared = quality if quality is not None and quality.is_compared else None
    return {
        "perplexity": quality.perplexity if quality else None,
        "kl_nats": compared.mean_kl_nats if compared else None,
        "agreement": compared.agreement if compared else None,
        "gate_weight_kept": _ratio(proxy.proxy_kept_weight, proxy.proxy_gate_weight) if proxy else None,
        "best_expert_lost": _ratio(proxy.proxy_best_lost, proxy.proxy_token_layers) if proxy else None,
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _energy(variant: VariantSummary) -> dict[str, Figure]:
    energy = variant.energy
    return {"drawn_j": energy.total_j, "device_radiated_j": energy.device_air_j, "bs_radiated_j": energy.bs_air_j}


_OF_SERVICE = (
    "in_time",
    "requests_per_s",
    "tokens_per_s",
    "goodput_per_s",
    "fairness",
    "in_queue",
    "utilisation",
    "batch_mean",
)
_LATENCIES_OF_SERVICE = ("queueing", "request_tpot", "end_to_end")
SERVICE = (
    *_OF_SERVICE,
    *(f"{name}_{each}_s" for name in _LATENCIES_OF_SERVICE for each in ("mean", "median", "p95")),
)
"""Figures that only a run has in which requests arrive."""


def _service(service: ServiceSummary | None) -> dict[str, Figure]:
    """`in_time`: the share of the requests that arrived which were done within the TTFT and the TPOT of the objective.
    `request_tpot`: between two tokens, the mean of each request, as the objective has it."""
    found: dict[str, Figure] = dict.fromkeys(_OF_SERVICE)
    if service is not None:
        came = sum(service.endings.values())
        rates = (service.requests_per_s, service.tokens_per_s, service.goodput_per_s)
        in_time = round(service.goodput_per_s * service.span_s) / came
        fairness = None if np.isnan(service.fairness) else service.fairness
        means = (service.in_queue, service.utilisation, service.batch)
        found = dict(zip(_OF_SERVICE, (in_time, *rates, fairness, *means), strict=True))
    told = (service.queueing_s, service.tpot_s, service.end_to_end_s) if service else (np.empty(0),) * 3
    for name, series in zip(_LATENCIES_OF_SERVICE, told, strict=True):
        found |= _latencies(name, series)
    return found


def _column(task: str, measure: str) -> str:
    """A task's score as a column's name."""
    return re.sub(r"\W+", "_", f"{task}_{measure}").strip("_").lower()
