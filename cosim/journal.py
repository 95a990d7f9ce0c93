# SPDX-License-Identifier: Apache-2.0
"""The journal: all that a run was and did, in one SQLite file, one transaction an exchange.

`cosim/schema.sql` has the tables, `docs/journal.md` describes them. SQLite in WAL mode keeps every committed
exchange readable whatever happens to the process. Two runs of one configuration have equal journals but for
the tables in `UNREPEATABLE`, which hold wall-clock time and mishaps.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bridge.network import NetworkInfo, RequestError
from cosim.config import Config
from model_side.base_station import LayerExchange
from model_side.inference import TokenRecord

SCHEMA_VERSION = 2
APPLICATION_ID = 0x574D4F45  # "WMOE", in the file's header
FILE_NAME = "journal.sqlite"
UNREPEATABLE = ("meta", "costs", "events")

_TABLES = (
    "meta",
    "variants",
    "devices",
    "exchanges",
    "transfers",
    "links",
    "routing",
    "tokens",
    "quality",
    "costs",
    "events",
)


class Journal:
    """An open journal. `create` begins one, `open` reads one; `variant` numbers count from 1."""

    def __init__(self, connection: sqlite3.Connection, path: Path):
        self.path = path
        self.db = connection

    @classmethod
    def create(cls, folder: Path, config: Config, versions: dict[str, str]) -> "Journal":
        """Begin the journal of a run in `folder`. Raises `RequestError` if there is one already."""
        path = folder / FILE_NAME
        if path.exists():
            raise RequestError("--out", f"{folder} holds a journal already; choose another folder")
        connection = sqlite3.connect(path, isolation_level=None)
        schema = files("cosim").joinpath("schema.sql").read_text(encoding="utf-8")
        connection.executescript(
            f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {schema} COMMIT;"
        )
        journal = cls(connection, path)
        meta = {"config": msgspec.json.encode(config).decode(), "versions": json.dumps(versions, sort_keys=True)}
        journal._insert("meta", [[key, value] for key, value in meta.items()])
        return journal

    @classmethod
    def open(cls, run: Path) -> "Journal":
        """Open the journal of a run folder (or the file itself) for reading.

        Raises `RequestError` naming RUN if there is none, or it is no journal, damaged, or of another version.
        """
        path = run / FILE_NAME if run.is_dir() else run
        if not path.is_file():
            raise RequestError("RUN", f"{run} holds no {FILE_NAME}")
        # A journal that was closed has no write-ahead log, and reading it shall leave none.
        live = path.with_name(path.name + "-wal").exists()
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{'' if live else '&immutable=1'}", uri=True)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise RequestError("RUN", f"{path} is no journal, or damaged: {error}") from None
        if application != APPLICATION_ID:
            raise RequestError("RUN", f"{path} is a SQLite file, but no journal of ours")
        if version != SCHEMA_VERSION:
            raise RequestError(
                "RUN", f"{path} has schema version {version}; this program reads version {SCHEMA_VERSION}"
            )
        if damage != "ok":
            raise RequestError("RUN", f"{path} is damaged: {damage}")
        return cls(connection, path)

    def close(self) -> None:
        """Close the file; its write-ahead log is merged into it."""
        self.db.close()

    # Writing.

    def add_variant(
        self, policy: str, network: str, info: NetworkInfo, hardware: Sequence[str], experts: Sequence[Sequence[int]]
    ) -> int:
        """Begin a variant of the experiment; return its number. `experts` are those that each device holds."""
        with self._transaction():
            variant = int(self.db.execute("SELECT coalesce(max(variant), 0) + 1 FROM variants").fetchone()[0])
            parameters, versions = (json.dumps(part, sort_keys=True) for part in (info.parameters, info.versions))
            self._insert("variants", [[variant, policy, network, info.scenario, parameters, versions]])
            self._insert(
                "devices",
                [
                    [variant, device, name, hardware[device], json.dumps(list(experts[device]))]
                    for device, name in enumerate(info.devices)
                ],
            )
        return variant

    def add_exchange(self, variant: int, number: int, record: LayerExchange, wait: str) -> None:
        """Record exchange `number` (from 1) of a variant."""
        key = (variant, number)
        outcome = record.outcome
        exchange = [
            record.request,
            record.position,
            record.phase.value,
            record.layer,
            record.tokens,
            record.bs_compute_ns,
            record.depart_ns,
            record.deadline_ns,
            wait,
            outcome.now_ns,
        ]
        transfers = [
            [
                transfer.device,
                int(record.tokens_per_device[transfer.device]),
                transfer.downlink_bytes,
                transfer.compute_ns,
                transfer.uplink_bytes,
                *msgspec.structs.astuple(result)[1:],
            ]
            for transfer, result in zip(record.transfers, outcome.transfers, strict=True)
        ]
        routing = [record.tokens, record.probabilities.shape[1], record.gate_indices.shape[1]] + [
            np.ascontiguousarray(array, dtype).tobytes()
            for array, dtype in (
                (record.probabilities, "<f4"),
                (record.gate_weights, "<f4"),
                (record.gate_indices, "<i2"),
                (record.chosen_weights, "<f4"),
                (record.chosen_indices, "<i2"),
                (record.delivered, "?"),
                (record.predicted_s, "<f8"),
            )
        ]
        with self._transaction():
            self._insert("exchanges", [[*key, *exchange]])
            self._insert("transfers", [[*key, *row] for row in transfers])
            self._insert("links", [[*key, *msgspec.structs.astuple(link)] for link in outcome.links])
            self._insert("routing", [[*key, *routing]])

    def add_token(self, variant: int, token: TokenRecord) -> None:
        """Record a generated token."""
        row = [variant, token.request, token.position, token.token_id, token.start_ns, token.end_ns]
        self._insert("tokens", [row])

    def add_quality(self, variant: int, request: int, metrics: dict[str, float]) -> None:
        """Record how a request's answer compares with the unmodified model's."""
        self._insert("quality", [[variant, request, metric, value] for metric, value in metrics.items()])

    def add_costs(self, variant: int, costs: dict[str, float]) -> None:
        """Record the wall-clock seconds that the parts of the program took."""
        self._insert("costs", [[variant, part, wall_s] for part, wall_s in costs.items()])

    def add_event(self, variant: int | None, kind: str, message: str) -> None:
        """Record a mishap or the end of the run."""
        self._insert("events", [[None, variant, kind, message]])

    # Reading.

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was made with."""
        return dict(json.loads(self.db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()[0]))

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of an SQL query."""
        return self.db.execute(query, values).fetchall()

    def fingerprint(self, variant: int | None = None) -> str:
        """SHA-256 over all that a repetition must give again; of one variant, or of the whole run."""
        digest = hashlib.sha256()
        for table in _TABLES:
            if table in UNREPEATABLE:
                continue
            columns = [row[1] for row in self.db.execute(f"PRAGMA table_info({table})")]
            where = "" if variant is None else f"WHERE variant = {int(variant)}"
            shown = ", ".join(column for column in columns if variant is None or column != "variant")
            for row in self.db.execute(f"SELECT {shown} FROM {table} {where} ORDER BY {', '.join(columns[:3])}"):
                digest.update(repr((table, row)).encode())
        return digest.hexdigest()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self.db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
