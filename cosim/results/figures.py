# SPDX-License-Identifier: Apache-2.0
"""What a variant comes to in numbers, each under a name that ends with its unit: a row of a study."""

import re

import numpy as np

from cosim.results.service import ServiceSummary
from cosim.results.summary import Series, VariantSummary
from cosim.results.utilisation import Utilisation
from model_side.selection import Phase
from model_side.service.scheduler import Ending

Figure = float | int | None
PERCENTILES = {"median": 50, "p95": 95, "p99": 99}
"""Of what users wait for, by the end of a column's name."""

_PARTS = {
    "downlink": "downlink_s",
    "device compute": "device_compute_s",
    "uplink": "uplink_s",
    "waiting for the slowest": "waiting_s",
    "BS compute": "bs_compute_s",
}
_OF_SERVICE = (
    "tokens_per_s",
    "requests_per_s",
    "goodput_per_s",
    "in_time",
    "fairness",
    "requests_waiting",
    "requests_in_pass",
)
_ENDED = {ending.value: f"requests_{ending.replace('-', '_')}" for ending in Ending}


def figures_of(variant: VariantSummary) -> dict[str, Figure]:
    """The figures of a summary; None for those that it has not.

    Latencies: mean, median and 95th percentile, in virtual seconds. `downlink_s` to `bs_compute_s`: how `virtual_s`
    splits. `agreement`, `gate_weight_kept`, `best_expert_lost`, `in_time`, the tasks' scores, and from
    `device_computing` on to `band_uplink`, of devices in the mean, are shares, from 0 to 1.
    """
    found: dict[str, Figure] = {"tokens": len(variant.token_s), "virtual_s": variant.virtual_s}
    for name, series in (
        ("ttft", variant.ttft_s),
        ("tpot", variant.tpot_s),
        *((f"layer_{phase}", variant.layer_s.get(phase, np.empty(0))) for phase in Phase),
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
    found |= _quality(variant) | _energy(variant) | _use(variant.use)
    found |= {name: value for name, value in service_figures(variant.service).items() if name not in found}
    for task in variant.scores:
        found |= {_column(task.task, name): measure.here.value for name, measure in task.whole.measures.items()}
    return found


def service_figures(service: ServiceSummary | None) -> dict[str, Figure]:
    """What requests that arrived were given: percentiles of what users waited for, rates, and how many there were.

    `in_time`: the share of them that were done within the TTFT and the TPOT of the objective, if there is one.
    `request_tpot`: between two tokens, the mean of each request, as the objective has it. None each where none arrived.
    """
    none = np.empty(0)
    found: dict[str, Figure] = {}
    for name, series in (
        ("queueing", service.queueing_s if service else none),
        ("ttft", service.ttft_s if service else none),
        ("request_tpot", service.tpot_s if service else none),
        ("end_to_end", service.end_to_end_s if service else none),
    ):
        for how, percent in PERCENTILES.items():
            found[f"{name}_{how}_s"] = float(np.percentile(series, percent)) if len(series) else None
    if service is None:
        return found | dict.fromkeys((*_OF_SERVICE, *_ENDED.values()))
    has_objective = any(service.objective)
    rates = (service.tokens_per_s, service.requests_per_s, service.goodput_per_s if has_objective else None)
    in_time = service.in_time if has_objective else None
    fairness = None if np.isnan(service.fairness) else service.fairness
    means = (service.in_queue, service.batch)
    return {
        **found,
        **dict(zip(_OF_SERVICE, (*rates, in_time, fairness, *means), strict=True)),
        **{column: service.endings.get(ending, 0) for ending, column in _ENDED.items()},
    }


def _use(use: Utilisation | None) -> dict[str, Figure]:
    """Shares of the time; None where there is no device, or no band that all share."""
    parts = {"device_computing": "compute", "downlink_busy": "downlink", "uplink_busy": "uplink"}
    shares = {name: np.empty(0) if use is None else getattr(use, part) for name, part in parts.items()}
    return {
        **{name: float(share.mean()) if len(share) else None for name, share in shares.items()},
        "base_station_busy": use.base_station if use else None,
        "band_downlink": use.band[0] if use and use.band else None,
        "band_uplink": use.band[1] if use and use.band else None,
    }


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


def _column(task: str, measure: str) -> str:
    """A task's score as a column's name."""
    return re.sub(r"\W+", "_", f"{task}_{measure}").strip("_").lower()


SERVICE = frozenset(service_figures(None)) - {"ttft_median_s", "ttft_p95_s"}
"""Figures that only a service has."""
