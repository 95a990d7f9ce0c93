# SPDX-License-Identifier: Apache-2.0
"""A journal's tables as pandas DataFrames and as Parquet files; `docs/runs/journal.md` describes every column.

Needs pandas and pyarrow: `pip install wdmoe-cosim[tables]`.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cosim.folders import filled
from cosim.record.channel_row import DIRECTIONS, ROW
from cosim.record.journal import Journal
from cosim.record.schema import TABLES
from cosim.results.energy import PARTS, of_transfers
from cosim.results.units import unit_of

# Of `routing`: element type, and whether a row of the array has an item for each expert or for each slot.
_ARRAYS = {
    "probabilities": ("<f4", "experts"),
    "gate_weights": ("<f4", "top_k"),
    "gate_experts": ("<i2", "top_k"),
    "chosen_weights": ("<f4", "chosen_k"),
    "chosen_experts": ("<i2", "chosen_k"),
    "chosen_devices": ("<i2", "chosen_k"),
    "delivered": ("?", "chosen_k"),
}
_OF_DEVICES = [("routing", "predicted_s"), ("exchanges", "shares")]
"""Arrays with an item for each device."""
_DTYPES = {"INTEGER": "Int64", "REAL": "Float64", "TEXT": "str"}


def load(run: Path | str) -> dict[str, pd.DataFrame]:
    """The tables of a run folder by name, NULL as NA.

    In `routing` the blobs are NumPy arrays of the shapes that the documentation gives; `channel` has a row for each of
    the record's; `transfers` has what was drawn for each. Raises `RequestError` naming RUN for what is no journal.
    """
    with closing(Journal.open(Path(run))) as journal:
        tables = {table: _frame(journal, table) for table in TABLES}
        joules = _joules(journal, tables["variants"]["variant"])
    tables["transfers"] = pd.concat([tables["transfers"], joules], axis=1)
    tables["channel"] = _channel(tables["channel"])
    routing = tables["routing"]
    for name, (dtype, width) in _ARRAYS.items():
        routing[name] = [
            None if blob is None else np.frombuffer(blob, dtype).reshape(tokens, columns)
            for blob, tokens, columns in zip(routing[name], routing["tokens"], routing[width], strict=True)
        ]
    for table, name in _OF_DEVICES:
        blobs = tables[table][name]
        tables[table][name] = [None if blob is None else np.frombuffer(blob, "<f8") for blob in blobs]
    return tables


def export(run: Path, folder: Path) -> list[Path]:
    """Write a Parquet file for each table, arrays as lists of lists, units in the columns' metadata.

    Raises `RequestError` naming RUN, or FOLDER if it holds something already or cannot be written.
    """
    tables = load(run)
    paths = []
    with filled(folder):
        for name, frame in tables.items():
            paths.append(folder / f"{name}.parquet")
            pq.write_table(_arrow(name, frame), paths[-1], compression="zstd")
    return paths


def _arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    nested = {column: _lists(frame[column]) for column in frame if _is_array(name, str(column))}
    plain = pa.Table.from_pandas(frame.drop(columns=list(nested)), preserve_index=False)
    columns = {column: nested.get(column) or plain[column] for column in frame}
    fields = [pa.field(column, array.type, metadata=unit_of(column)) for column, array in columns.items()]
    return pa.table(list(columns.values()), pa.schema(fields))


def _frame(journal: Journal, table: str) -> pd.DataFrame:
    columns = [(name, kind) for _, name, kind, *_ in journal.rows(f"PRAGMA table_info({table})")]
    order = ", ".join(name for name, _ in columns[:3])
    frame = pd.DataFrame(journal.rows(f"SELECT * FROM {table} ORDER BY {order}"), columns=[name for name, _ in columns])
    frame = frame.astype({name: _DTYPES[kind] for name, kind in columns if kind in _DTYPES})
    return frame.astype({"connected": "boolean"}) if table == "links" else frame


def _joules(journal: Journal, variants: "pd.Series[Any]") -> pd.DataFrame:
    """What was drawn for each transfer, in the order of the table."""
    parts = [of_transfers(journal, int(variant)).parts for variant in variants]
    columns = {name: np.concatenate([np.empty(0), *(each[name] for each in parts)]) for name in PARTS}
    return pd.DataFrame({name: pd.array(column, dtype="Float64") for name, column in columns.items()})


def _channel(recorded: pd.DataFrame) -> pd.DataFrame:
    """The rows of all exchanges one below the other."""
    counts = [len(rows) // ROW.itemsize for rows in recorded["rows"]]
    rows = np.frombuffer(b"".join(recorded["rows"]), ROW)
    frame = recorded[["variant", "exchange"]].iloc[np.repeat(np.arange(len(recorded)), counts)].reset_index(drop=True)
    for name in ROW.names or ():
        real = name in ("capacity_bps", "sinr_db")
        frame[name] = pd.array(rows[name].astype("f8" if real else "i8"), dtype="Float64" if real else "Int64")
    frame["direction"] = pd.Series(np.array(DIRECTIONS)[rows["direction"]], dtype="str")
    return frame


def _is_array(table: str, column: str) -> bool:
    return (table == "routing" and column in _ARRAYS) or (table, column) in _OF_DEVICES


def _lists(arrays: "pd.Series[Any]") -> pa.Array:
    """Arrays [N, k] as lists of N lists of k, or arrays [D] as lists of D."""
    there = arrays.notna()
    if not there.all():
        whole = arrays[there]
        kind = _lists(whole).type if len(whole) else pa.list_(pa.float64())
        return pa.array([None if array is None else array.tolist() for array in arrays], kind)
    if not len(arrays):
        return pa.nulls(0, pa.list_(pa.float64()))
    values = pa.array(np.concatenate([array.ravel() for array in arrays]))
    if arrays.iloc[0].ndim == 2:
        widths = np.concatenate([np.full(len(array), array.shape[1]) for array in arrays])
        values = pa.ListArray.from_arrays(_offsets(widths), values)
    return pa.ListArray.from_arrays(_offsets([len(array) for array in arrays]), values)


def _offsets(lengths: Any) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype("int32"))
