# SPDX-License-Identifier: Apache-2.0
"""Whether a file that SQLite can read is a sound journal: its tables, its values, and what they say of one another.

A journal is looked at as a whole when it is opened, so that whoever reads it can rely on it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bridge.network import RequestError, Site, Status, Wait
from cosim.config import NETWORKS, NO_NETWORK, WHAT_IF, Config
from cosim.record import baseline_meta
from cosim.record.channel_row import ROW
from cosim.record.fingerprint import SEAL
from cosim.record.provenance import Made
from cosim.record.schema import Column, columns, columns_of
from cosim.record.service_faults import SERVICE_FAULTS
from model_side.selection import Phase
from model_side.shapes import ModelShape

_STORED = {"INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}
_DEVICES = "(SELECT count(*) FROM devices d WHERE d.variant = {table}.variant)"
_MOST = 2**31 - 1
_NO_DEVICE = "NOT EXISTS (SELECT 1 FROM devices d WHERE (d.variant, d.device) = ({table}.variant, {table}.device))"


class _ModelMeta(msgspec.Struct):
    name: str
    shape: ModelShape
    probabilities: bool


class _WeightsMeta(msgspec.Struct):
    sha256: str
    loaded: list[str]
    unused: list[str]


class _MigratedMeta(msgspec.Struct):
    before: int
    unrecorded: dict[str, list[str]]


_META: dict[str, Any] = {
    "config": Config,
    "versions": dict[str, str],
    "model": _ModelMeta,
    "links": dict[str, Any],
    "nearness": list[float | None],
    "made": Made,
    "tasks": dict[str, str],
    "prompts": list[list[int]],
    "weights": _WeightsMeta,
    baseline_meta.KEY: baseline_meta.BaselineMeta,
    SEAL: dict[str, str],
    "migrated": _MigratedMeta,
}
"""What is JSON, of which type."""
_ALWAYS = ("config", "versions", "folder")

_VARIANTS: dict[str, Any] = {
    "parameters": dict[str, Any],
    "versions": dict[str, str],
    "bandwidth_hz": tuple[float, float],
    "policy_sources": dict[str, str],
    "others": tuple[str, ...],
    "sites": tuple[Site, ...],
}


def _one_of(column: str, words: Iterable[str]) -> str:
    return f"{column} NOT IN ({', '.join(repr(str(word)) for word in words)})"


def _sized(column: str, length: str) -> str:
    return f"length({column}) <> {length}"


_FAULTS = {
    "variants": {
        "variant is below 1": "variant < 1",
        "begin_ns is below 0": "begin_ns < 0",
        "network is unknown": _one_of("network", (*NETWORKS, WHAT_IF, NO_NETWORK)),
        "a power is below 0": "bs_compute_w < 0 OR bs_transmit_w < 0",
        "bs_amplifier_efficiency is not above 0": "bs_amplifier_efficiency <= 0",
    },
    "devices": {
        "device is none of 0, 1, …": "device < 0 OR device >= " + _DEVICES,
        "a power is below 0": " OR ".join(
            f"{name} < 0" for name in ("compute_w", "receive_w", "transmit_w", "downlink_air_w", "uplink_air_w")
        ),
        "amplifier_efficiency is not above 0": "amplifier_efficiency <= 0",
        "of what is radiated only one way is known": "(downlink_air_w IS NULL) <> (uplink_air_w IS NULL)",
    },
    "exchanges": {
        "phase is unknown": _one_of("phase", Phase),
        "wait is unknown": _one_of("wait", Wait),
        "exchange is below 1": "exchange < 1",
        "a number is below 0": "min(request, position, layer, tokens, bs_compute_ns, depart_ns) < 0",
        "a number is beyond 32 bits": f"max(request, position, layer, tokens) > {_MOST}",
        "shares has not 8 bytes for each device": _sized("shares", "8 * " + _DEVICES),
        "depart_ns, end_ns and deadline_ns are not in order": "depart_ns > end_ns OR end_ns > deadline_ns",
    },
    "transfers": {
        "the variant has no such device": _NO_DEVICE,
        "status is unknown": _one_of("status", Status),
        "a size is below 0": "min(tokens, downlink_bytes, compute_ns, uplink_bytes) < 0",
    },
    "links": {
        "the variant has no such device": _NO_DEVICE,
        "connected is neither 0 nor 1": "connected NOT IN (0, 1)",
    },
    "channel": {"rows has no whole rows": f"length(rows) % {ROW.itemsize} <> 0"},
    "tracks": {
        "the variant has no such user": f"user < 0 OR user >= {_DEVICES} + "
        "(SELECT json_array_length(others) FROM variants v WHERE v.variant = tracks.variant)",
        "time_ns is outside the exchange": "time_ns > (SELECT end_ns FROM exchanges e WHERE "
        "(e.variant, e.exchange) = (tracks.variant, tracks.exchange)) "
        "OR time_ns < (SELECT begin_ns FROM variants v WHERE v.variant = tracks.variant)",
    },
    "routing": {
        "a size is below 1": "min(tokens, experts, top_k, chosen_k) < 1",
        "the exchange has another number of tokens": "tokens <> (SELECT e.tokens FROM exchanges e WHERE "
        "(e.variant, e.exchange) = (routing.variant, routing.exchange))",
        **{
            f"{column} has not as many bytes as tokens, experts, top_k and chosen_k say": _sized(column, length)
            for column, length in (
                ("probabilities", "4 * tokens * experts"),
                ("gate_weights", "4 * tokens * top_k"),
                ("gate_experts", "2 * tokens * top_k"),
                ("chosen_weights", "4 * tokens * chosen_k"),
                ("chosen_experts", "2 * tokens * chosen_k"),
                ("chosen_devices", "2 * tokens * chosen_k"),
                ("delivered", "tokens * chosen_k"),
            )
        },
        "predicted_s has not 8 bytes for each device": _sized("predicted_s", "8 * " + _DEVICES),
    },
    "decisions": {
        "count is below 1": "count < 1",
        "a time is below 0": "min(mean_s, p50_s, p95_s, max_s) < 0",
    },
    **SERVICE_FAULTS,
    "items": {
        "a number is below 0": "min(item, line, request) < 0 OR requests < 1",
        "a number is beyond 32 bits": f"max(item, line, request, requests) > {_MOST}",
    },
    "scores": {
        "the variant has no such item": "NOT EXISTS (SELECT 1 FROM items i WHERE "
        "(i.variant, i.item) = (scores.variant, scores.item))",
    },
    "tokens": {
        "a number is below 0": "min(request, position, token) < 0",
        "a number is beyond 32 bits": f"max(request, position, token) > {_MOST}",
        "begin_ns and end_ns are not in order": "begin_ns < 0 OR begin_ns > end_ns",
        "the variant has no exchange": "NOT EXISTS (SELECT 1 FROM exchanges e WHERE e.variant = tokens.variant) "
        f"AND NOT EXISTS (SELECT 1 FROM variants v WHERE v.variant = tokens.variant AND v.network = '{NO_NETWORK}')",
    },
}
"""What no row of a table may be: in words, and in SQL."""


def damaged(path: Path, words: str) -> RequestError:
    """The error for a journal that no program of ours left so."""
    return RequestError("RUN", f"{path} is damaged: {words}")


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raise `RequestError` naming RUN, table, row and column for what is not sound in a journal of this schema."""
    check_names(db, path)
    _check_columns(db, path)
    for table, its_columns in columns().items():
        _check_types(db, path, table, its_columns)
    _check_meta(db, path)
    for table, faults in _FAULTS.items():
        _none(db, path, table, {words: condition.format(table=table) for words, condition in faults.items()})
    _check_json(db, path)
    _check_channel(db, path)


def check_names(db: sqlite3.Connection, path: Path) -> None:
    """Raise `RequestError` naming RUN for a table or column that is missing."""
    for table, wanted in columns().items():
        found = [column.name for column in columns_of(db, table)]
        if not found:
            raise damaged(path, f"it has no table {table}")
        for column in wanted:
            if column.name not in found:
                raise damaged(path, f"the table {table} has no column {column.name}")


def _check_columns(db: sqlite3.Connection, path: Path) -> None:
    for table, wanted in columns().items():
        if columns_of(db, table) != wanted:
            raise damaged(path, f"the columns of the table {table} are not those of its schema")


def _check_types(db: sqlite3.Connection, path: Path, table: str, its_columns: tuple[Column, ...]) -> None:
    faults = {
        f"{column.name} is no {column.kind}": _one_of(
            f"typeof({column.name})", [_STORED[column.kind]] + ["null"] * (not column.required)
        )
        for column in its_columns
    }
    _none(db, path, table, faults)
    for column in its_columns:
        if column.kind == "TEXT":
            try:
                db.execute(f"SELECT DISTINCT {column.name} FROM {table}").fetchall()
            except sqlite3.OperationalError as error:
                raise damaged(path, f"{table}, {column.name}: {error}") from None


def _none(db: sqlite3.Connection, path: Path, table: str, faults: Mapping[str, str]) -> None:
    """Hold that a table has no row of which one of the conditions is true; the table is read once if so."""
    any_of = " OR ".join(f"({condition})" for condition in faults.values())
    if db.execute(f"SELECT 1 FROM {table} WHERE {any_of} LIMIT 1").fetchone() is None:
        return
    keys = [column.name for column in columns()[table] if column.key]
    for words, condition in faults.items():
        found = db.execute(f"SELECT {', '.join(keys)} FROM {table} WHERE {condition} LIMIT 1").fetchone()
        if found is not None:
            where = ", ".join(f"{key} {value}" for key, value in zip(keys, found, strict=True))
            raise damaged(path, f"{table}, {where}: {words}")


def _check_meta(db: sqlite3.Connection, path: Path) -> None:
    meta = dict(db.execute("SELECT key, value FROM meta"))
    for key in _ALWAYS:
        if key not in meta:
            raise damaged(path, f"meta has no {key}")
    if SEAL not in meta and db.execute("SELECT 1 FROM events WHERE kind = 'finished'").fetchone():
        raise damaged(path, f"meta has no {SEAL}, though the run came to its end")
    for key, kind in _META.items():
        if key in meta:
            value = decode(path, f"meta, key {key}", meta[key], kind)
            if key == "model":
                sizes = f"experts <> {value.shape.experts} OR top_k <> {value.shape.top_k}"
                _none(db, path, "routing", {"experts and top_k are not those of the model": sizes})


def _check_json(db: sqlite3.Connection, path: Path) -> None:
    for variant, *texts in db.execute(f"SELECT variant, {', '.join(_VARIANTS)} FROM variants"):
        for (column, kind), text in zip(_VARIANTS.items(), texts, strict=True):
            if text is not None:
                decode(path, f"variants, variant {variant}: {column}", text, kind)
    for variant, device, text in db.execute("SELECT variant, device, experts FROM devices"):
        decode(path, f"devices, variant {variant}, device {device}: experts", text, list[int | list[int]])


def decode(path: Path, where: str, text: str, kind: Any) -> Any:
    """What JSON text says, as a type. Raises `RequestError` naming RUN and where it stands."""
    try:
        return msgspec.convert(json.loads(text), kind)
    except json.JSONDecodeError as error:
        raise damaged(path, f"{where} is no JSON: {error}") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise damaged(path, f"{where} is not what belongs there: {str(error)[:1].lower()}{str(error)[1:]}") from None


def _check_channel(db: sqlite3.Connection, path: Path) -> None:
    """Rows of the channel record: of devices that there are, in order of time, within the run."""
    counts = dict(db.execute("SELECT variant, count(*) FROM devices GROUP BY variant"))
    begins = dict(db.execute("SELECT variant, begin_ns FROM variants"))
    latest_ns: dict[int, int] = {}
    for variant, exchange, blob, end_ns in db.execute(
        "SELECT variant, exchange, rows, end_ns FROM channel LEFT JOIN exchanges USING (variant, exchange) "
        "WHERE length(rows) > 0 ORDER BY variant, exchange"
    ):
        rows = np.frombuffer(blob, ROW)
        times = rows["time_ns"]
        begin_ns = latest_ns.get(variant, begins.get(variant, 0))
        faults = {
            "a row of no device": (rows["device"] >= counts.get(variant, 0)).any(),
            "a row of no direction": (rows["direction"] > 1).any(),
            "a capacity that is none": not (np.isfinite(rows["capacity_bps"]) & (rows["capacity_bps"] >= -1)).all(),
            "rows that are not in order of time": times[0] < begin_ns or (np.diff(times) < 0).any(),
            "a row after the exchange's end": end_ns is not None and times[-1] > end_ns,
        }
        latest_ns[variant] = int(times[-1])
        for words, is_so in faults.items():
            if is_so:
                raise damaged(path, f"channel, variant {variant}, exchange {exchange}: {words}")
