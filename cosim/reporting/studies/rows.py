# SPDX-License-Identifier: Apache-2.0
"""A study's data set as it is compared and drawn: rows by label, and the measures that its columns give."""

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bridge.network import RequestError
from cosim.reporting.figures.serving import Served, Services
from cosim.reporting.measures import BUSY, IN_WORDS, RATES, SERVICE_SERIES, Measure
from cosim.reporting.place import RESULTS
from cosim.results.figures import PERCENTILES
from model_side.service.scheduler import Ending

_LAST, _FIRST = "versions", "mishaps"
"""The columns between the configuration's and the figures'."""
_ABOUT = ("run", "status", "error", "policy", "network", "record")

RowOf = dict[str, Any]


@dataclass(frozen=True)
class StudyRows:
    """The `rows` of a study that are done, `failed` ones counted; `keys`: columns of the configuration; `figures`."""

    folder: Path
    rows: list[RowOf]
    failed: int
    keys: list[str]
    figures: list[str]

    @cached_property
    def varied(self) -> list[str]:
        """The keys in which rows differ, seeds left out."""
        keys = [key for key in self.keys if key != "seed" and not key.startswith("seeds.")]
        return [key for key in keys if len({_plain(row[key]) for row in self.rows if row[key] is not None}) > 1]

    @cached_property
    def groups(self) -> dict[str, dict[Hashable, RowOf]]:
        """Rows by label (policy, with the values of what varies), and by their chance: seeds, and the record asked."""
        networks = {row["network"] for row in self.rows}
        seeds = [key for key in self.keys if key == "seed" or key.startswith("seeds.")]
        found: dict[str, dict[Hashable, RowOf]] = {}
        for row in self.rows:
            parts = [f"{key.rpartition('.')[2]}={short(row[key])}" for key in self.varied if row[key] is not None]
            network = [f"({row['network']})"] if len(networks) > 1 else []
            label = " ".join([row["policy"], *parts, *network])
            found.setdefault(label, {})[(row["record"], *(row[key] for key in seeds))] = row
        return found

    @cached_property
    def services(self) -> Services:
        """The rows of runs in which requests arrived."""
        rows = [row for row in self.rows if row.get("tokens_per_s") is not None]
        return Services([Served(row["policy"], row["network"], row, row) for row in rows], self.varied)

    @cached_property
    def measures(self) -> list[Measure]:
        """What rows are compared by; scores of tasks as they are."""
        known = [measure for name, measure in MEASURES if name in self.figures]
        own = [name for name in self.figures if name not in _KNOWN and not name.startswith("baseline_")]
        return known + [Measure(name, "", _column(name), 4) for name in own]


def study_rows(folder: Path) -> StudyRows:
    """Read a study. Raises `RequestError` naming STUDY for one with nothing done."""
    try:
        table = pq.read_table(folder / RESULTS)
    except (OSError, ValueError) as error:  # ArrowInvalid is the latter
        raise RequestError("STUDY", f"{folder / RESULTS} cannot be read: {error}") from None
    names = table.column_names
    if _LAST not in names or _FIRST not in names:
        raise RequestError("STUDY", f"{folder / RESULTS} is no study's data set, or one with nothing done yet")
    rows = table.to_pylist()
    done = [row for row in rows if row["status"] == "done"]
    if not done:
        raise RequestError("STUDY", f"{folder} has no run that is done; there is nothing to show")
    keys = [name for name in names[: names.index(_LAST)] if name not in _ABOUT]
    return StudyRows(folder, done, len(rows) - len(done), keys, names[names.index(_FIRST) + 1 :])


def short(value: Any) -> str:
    """A value in a label."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 18 else text[:17] + "…"


def _plain(value: Any) -> str:
    return json.dumps(value)


def _column(name: str, factor: float = 1.0) -> Callable[[RowOf], float | None]:
    return lambda row: None if row[name] is None else factor * row[name]


def _of_service(name: str) -> Callable[[RowOf], float | None]:
    """A latency in ms, of runs in which requests arrived."""
    return lambda row: None if row["queueing_median_s"] is None or row[name] is None else 1e3 * row[name]


def _a_token(*names: str, factor: float) -> Callable[[RowOf], float | None]:
    def of(row: RowOf) -> float | None:
        values = [row[name] for name in names]
        return None if None in values or not row["tokens"] else factor * sum(values) / row["tokens"]

    return of


def _not_done(row: RowOf) -> float | None:
    counts = {name: row[name] for name in row if name.startswith("transfers_")}
    total = sum(counts.values())
    return 100 * (total - counts["transfers_done"]) / total if total else None


MEASURES: Sequence[tuple[str, Measure]] = (
    ("ttft_mean_s", Measure("TTFT, mean", "ms", _column("ttft_mean_s", 1e3))),
    ("tpot_mean_s", Measure("TPOT, mean", "ms", _column("tpot_mean_s", 1e3))),
    ("layer_prefill_mean_s", Measure("layer, prefill, mean", "ms", _column("layer_prefill_mean_s", 1e3))),
    ("layer_decode_mean_s", Measure("layer, decode, mean", "ms", _column("layer_decode_mean_s", 1e3))),
    ("layer_mixed_mean_s", Measure("layer, mixed, mean", "ms", _column("layer_mixed_mean_s", 1e3))),
    ("kl_nats", Measure("KL divergence", "nats", _column("kl_nats"), 4)),
    ("agreement", Measure("same next token (higher is better)", "%", _column("agreement", 100))),
    ("perplexity", Measure("perplexity", "", _column("perplexity"), 2)),
    ("gate_weight_kept", Measure("gate weight kept (higher is better)", "%", _column("gate_weight_kept", 100))),
    ("drawn_j", Measure("drawn for each token", "mJ", _a_token("drawn_j", factor=1e3))),
    (
        "device_radiated_j",
        Measure("radiated for each token", "mJ", _a_token("device_radiated_j", "bs_radiated_j", factor=1e3)),
    ),
    (
        "downlink_bytes",
        Measure("payload for each token", "MB", _a_token("downlink_bytes", "uplink_bytes", factor=1e-6), 3),
    ),
    ("transfers_done", Measure("transfers not done", "%", _not_done)),
    *((name, Measure(f"{words}, mean", "%", _column(name, 100))) for name, (words, _) in BUSY.items()),
    *(
        ("queueing_median_s", Measure(f"{words}, {IN_WORDS[how]}", "ms", _of_service(f"{name}_{how}_s")))
        for name, (words, _) in SERVICE_SERIES.items()
        for how in PERCENTILES
    ),
    *((name, Measure(words, "", _column(name), 3)) for name, words in RATES.items()),
)
"""By the column that they need."""

_KNOWN = {
    *("tokens", "virtual_s", "perplexity", "kl_nats", "agreement", "gate_weight_kept", "best_expert_lost"),
    *("drawn_j", "device_radiated_j", "bs_radiated_j", "downlink_bytes", "uplink_bytes", "prediction_error_median"),
    *(*BUSY, *RATES, "base_station_busy", "band_downlink", "band_uplink", "requests_waiting", "requests_in_pass"),
    *(f"requests_{ending.replace('-', '_')}" for ending in Ending),
    *(f"{name}_{how}_s" for name in SERVICE_SERIES for how in PERCENTILES),
    *("downlink_s", "device_compute_s", "uplink_s", "waiting_s", "bs_compute_s"),
    *(f"slots_{name}" for name in ("own", "kept", "substituted", "left_out", "late")),
    *(f"transfers_{name}" for name in ("done", "late", "lost", "unreachable")),
    *(
        f"{name}_{how}_s"
        for name in ("ttft", "tpot", "layer_prefill", "layer_decode", "layer_mixed")
        for how in ("mean", "median", "p95")
    ),
}
"""Figures of every run; what is not among them is a task's score."""
