# SPDX-License-Identifier: Apache-2.0
"""The rows of a study as two Parquet files: what came of each run, the same whoever ran it, and what each cost."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cosim.config import NS3_SEEDS, Config
from cosim.folders import replaced
from cosim.results.units import unit_of
from cosim.settings import flattened
from cosim.studies.place import COSTS, RESULTS, Row
from cosim.studies.runs import StudyRun

Parts = list[dict[str, Any]]

_COSTS = ("wall_s", "cpu_s", "journal_bytes", "host")
_SEEDS = (*NS3_SEEDS, "prompts", "sampling", "losses", "arrivals")


def write(folder: Path, runs: Sequence[StudyRun], rows: Mapping[str, Row], failures: Mapping[str, str]) -> None:
    """Write `results.parquet`, a row for each run in the order of the points, and `costs.parquet`, for those done.

    `rows` and `failures`: by the runs' names. A run that is in neither has no row yet.
    """
    there = [run for run in runs if run.name in rows or run.name in failures]
    _write(folder / RESULTS, (_result(run, rows.get(run.name), failures.get(run.name)) for run in there))
    done = ((run.name, rows[run.name]) for run in there if run.name in rows)
    costs = ([{"run": name, **{each: getattr(row, each) for each in _COSTS}}] for name, row in done)
    _write(folder / COSTS, costs)


def _result(run: StudyRun, row: Row | None, failure: str | None) -> Parts:
    """One row, in parts: what the run was, how it was configured, how it was made, and what came of it."""
    about: dict[str, Any] = {
        "run": run.name,
        "status": "done" if row else "failed",
        "error": None if row else failure,
        "policy": run.config.policies[0],
        "network": run.config.networks[0],
        "record": run.record,
    }
    made: dict[str, Any] = {
        "versions": json.dumps(run.versions | (row.network if row else {}), sort_keys=True),
        "fingerprint": row.fingerprint if row else None,
        "mishaps": row.mishaps if row else None,
    }
    return [about, _configuration(run.config), made, dict(row.figures) if row else {}]


def _configuration(config: Config) -> dict[str, Any]:
    """All values by their whole names, seeds as those that were drawn by; policy and network have columns before."""
    values = flattened(msgspec.to_builtins(config))
    values |= {f"seeds.{name}": config.seed_for(name) for name in _SEEDS}
    return {name: value for name, value in values.items() if name not in ("policies", "networks", "policy", "radio")}


def _write(file: Path, rows: Iterable[Parts]) -> None:
    """Write rows in parts: all columns of the first parts, of whichever row, then those of the second, and so on."""
    parts: list[dict[str, list[Any]]] = []
    for number, row in enumerate(rows):
        parts += [{} for _ in row[len(parts) :]]
        for part, columns in zip(row, parts, strict=True):
            for name, value in part.items():
                columns.setdefault(name, [None] * number).append(value)
        for columns in parts:
            for values in columns.values():
                values.extend([None] * (number + 1 - len(values)))
    arrays = {name: _column(values) for columns in parts for name, values in columns.items()}
    fields = [pa.field(name, array.type, metadata=unit_of(name)) for name, array in arrays.items()]
    with replaced(file) as out:
        pq.write_table(pa.table(list(arrays.values()), pa.schema(fields)), out, compression="zstd")


def _column(values: Sequence[Any]) -> pa.Array:
    """Values of one kind as they are; of several, or lists, as JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.array(values, pa.float64())
    if not kinds:
        return pa.nulls(len(values), pa.float64())
    if len(kinds) == 1 and kinds <= {bool, int, float, str}:
        return pa.array(values)
    return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())
