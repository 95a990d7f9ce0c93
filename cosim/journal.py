# SPDX-License-Identifier: Apache-2.0
"""The journal: all that a run was and did, in one SQLite file, one transaction an exchange.

`cosim/schema.sql` has the tables, `docs/journal.md` describes them. SQLite in WAL mode keeps every committed
exchange readable whatever happens to the process. Two runs of one configuration have equal journals but for
the tables in `UNREPEATABLE`, which hold wall-clock time and mishaps. So a run that is done again can be held
against its journal row by row: a replay must find every row, a resumed run adds those that are missing.
"""

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bridge.network import (
    LinkState,
    NetworkInfo,
    Outcome,
    RequestError,
    Status,
    Transfer,
    TransferOutcome,
    Wait,
)
from cosim.config import Config
from cosim.errors import Diverged, JournalUnwritable
from model_side.base_station import LayerExchange
from model_side.serving import TokenRecord
from model_side.shapes import ModelShape

SCHEMA_VERSION = 4
APPLICATION_ID = 0x574D4F45  # "WMOE", in the file's header
FILE_NAME = "journal.sqlite"
BATCH = 256
UNDELIVERED = "undelivered"
"""The kind of event that says why transfers did not come to their end (`bridge.network.Outcome.notes`)."""
UNREPEATABLE = ("meta", "costs", "events")

TABLES = (
    "meta",
    "variants",
    "devices",
    "exchanges",
    "transfers",
    "links",
    "channel",
    "routing",
    "tokens",
    "quality",
    "costs",
    "events",
)


class Asked(NamedTuple):
    """What one exchange was asked: the arguments of `bridge.network.Network.exchange`."""

    transfers: tuple[Transfer, ...]
    depart_ns: int
    deadline_ns: int
    wait: Wait


class Recorded(NamedTuple):
    """One exchange of the record."""

    asked: Asked
    outcome: Outcome


class Journal:
    """An open journal; `variant` numbers count from 1.

    `create` begins one, `reopen` goes on with one, `open` reads one. Where a row is there already, adding it again
    compares the two, and raises `Diverged` if they differ; in a journal opened for reading, also if it is not there.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, fresh: bool = False, lock: int | None = None):
        self.path = path
        self.db = connection
        self._fresh = fresh
        self._lock = lock
        self._batch = 1
        self._pending = 0

    @classmethod
    def create(
        cls, folder: Path, config: Config, versions: dict[str, str], record: Mapping[str, str] | None = None
    ) -> "Journal":
        """Begin the journal of a run in `folder`. Raises `RequestError` if there is one already.

        `record`: of a what-if, more for the table `meta`: what it was answered from.
        """
        path = folder / FILE_NAME
        if path.exists():
            raise RequestError("--out", f"{folder} holds a journal already; choose another folder")
        lock = _lock(folder)
        meta = {
            "config": msgspec.json.encode(config).decode(),
            "versions": json.dumps(versions, sort_keys=True),
            "folder": os.getcwd(),
            **(record or {}),
        }
        schema = files("cosim").joinpath("schema.sql").read_text(encoding="utf-8")
        partial = path.with_suffix(".partial")  # so that there is a whole journal or none
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial, isolation_level=None)) as db:
            db.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {schema} COMMIT;"
            )
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        partial.replace(path)
        return cls(_writer(path), path, fresh=True, lock=lock)

    @classmethod
    def reopen(cls, run: Path) -> "Journal":
        """Open the journal of a run folder to go on with it. Raises `RequestError` as `open`, or if it is in use."""
        lock = _lock(run if run.is_dir() else run.parent)
        try:
            reader = cls.open(run)
            reader.close()
            connection = _writer(reader.path)
        except BaseException:
            os.close(lock)
            raise
        return cls(connection, reader.path, lock=lock)

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
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Writing.

    def add_variant(
        self,
        variant: int,
        policy: str,
        network: str,
        info: NetworkInfo,
        hardware: Sequence[str],
        experts: Sequence[Sequence[int]],
    ) -> None:
        """Begin a variant of the experiment. `experts` are those that each device holds."""
        with self._transaction():
            parameters, versions = (json.dumps(part, sort_keys=True) for part in (info.parameters, info.versions))
            band = None if info.bandwidth_hz is None else json.dumps(info.bandwidth_hz)
            self._put("variants", [[variant, policy, network, info.scenario, parameters, versions, info.now_ns, band]])
            self._put(
                "devices",
                [
                    [variant, device, name, hardware[device], json.dumps(list(experts[device]))]
                    for device, name in enumerate(info.devices)
                ],
            )

    def describe_model(self, name: str, shape: ModelShape, probabilities: bool) -> None:
        """Record whose routing follows, its own sizes, and whether the router's probabilities are known."""
        described = json.dumps({"name": name, "shape": asdict(shape), "probabilities": probabilities})
        with self._transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('model', ?)", [described])

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
        routing = [record.tokens, record.experts, record.gate_indices.shape[1]] + [
            None if array is None else np.ascontiguousarray(array, dtype).tobytes()
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
            self._put("exchanges", [[*key, *exchange]])
            self._put("transfers", [[*key, *row] for row in transfers])
            self._put("links", [[*key, *msgspec.structs.astuple(link)] for link in outcome.links])
            self._put("channel", [[*key, outcome.channel]])
            self._put("routing", [[*key, *routing]])

    def add_token(self, variant: int, token: TokenRecord) -> None:
        """Record a generated token."""
        row = [variant, token.request, token.position, token.token_id, token.start_ns, token.end_ns]
        with self._transaction():
            self._put("tokens", [row])

    def add_quality(self, variant: int, request: int, metrics: dict[str, float]) -> None:
        """Record how a request's answer compares with the unmodified model's."""
        with self._transaction():
            self._put("quality", [[variant, request, metric, value] for metric, value in metrics.items()])

    def add_costs(self, variant: int, costs: dict[str, float]) -> None:
        """Record the wall-clock seconds that the parts of the program took; the variant is finished."""
        with self._transaction():
            self._insert("costs", [[variant, part, wall_s] for part, wall_s in costs.items()])

    def add_event(self, variant: int | None, kind: str, message: str) -> None:
        """Record a mishap, or the end of the run."""
        with self._transaction():
            self._insert("events", [[None, variant, kind, message]])

    # Reading.

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was made with."""
        return dict(json.loads(self.meta("config")))

    def meta(self, key: str) -> str:
        """A value of the table `meta`."""
        return str(self.db.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()[0])

    def network_info(self, variant: int) -> NetworkInfo | None:
        """The network of a variant as it was recorded; None if it never began."""
        found = self.rows(
            "SELECT scenario, begin_ns, parameters, versions, bandwidth_hz FROM variants WHERE variant = ?", variant
        )
        if not found:
            return None
        scenario, begin_ns, parameters, versions, band = found[0]
        names = self.rows("SELECT name FROM devices WHERE variant = ? ORDER BY device", variant)
        return NetworkInfo(
            scenario,
            tuple(name for (name,) in names),
            begin_ns,
            json.loads(parameters),
            json.loads(versions),
            None if band is None else tuple(json.loads(band)),
        )

    def recorded(self, variant: int, number: int) -> Recorded | None:
        """Exchange `number` (from 1) of a variant; None if it was not recorded."""
        key = (variant, number)
        found = self.rows(
            "SELECT depart_ns, deadline_ns, wait, end_ns FROM exchanges WHERE variant = ? AND exchange = ?", *key
        )
        if not found:
            return None
        depart_ns, deadline_ns, wait, end_ns = found[0]
        transfers, outcomes = [], []
        for device, down, compute_ns, up, status, *times in self.rows(
            "SELECT device, downlink_bytes, compute_ns, uplink_bytes, status, downlink_begin_ns, downlink_end_ns, "
            "compute_end_ns, uplink_end_ns FROM transfers WHERE variant = ? AND exchange = ? ORDER BY device",
            *key,
        ):
            transfers.append(Transfer(device, down, compute_ns, up))
            outcomes.append(TransferOutcome(device, Status(status), *times))
        links = tuple(
            LinkState(device, bool(connected), *measured)
            for _, _, device, connected, *measured in self.rows(
                "SELECT * FROM links WHERE variant = ? AND exchange = ? ORDER BY device", *key
            )
        )
        ((channel,),) = self.rows("SELECT rows FROM channel WHERE variant = ? AND exchange = ?", *key)
        asked = Asked(tuple(transfers), depart_ns, deadline_ns, Wait(wait))
        return Recorded(asked, Outcome(end_ns, tuple(outcomes), links, channel))

    def is_empty(self) -> bool:
        """Whether no exchange was recorded yet."""
        return not self.rows("SELECT 1 FROM exchanges LIMIT 1")

    def is_finished(self, variant: int | None = None) -> bool:
        """Whether a variant, or the whole run, came to its end."""
        if variant is None:
            return bool(self.rows("SELECT 1 FROM events WHERE kind = 'finished'"))
        return bool(self.rows("SELECT 1 FROM costs WHERE variant = ?", variant))

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of an SQL query."""
        return self.db.execute(query, values).fetchall()

    def fingerprint(self, variant: int | None = None) -> str:
        """SHA-256 over all that a repetition must give again; of one variant, or of the whole run."""
        digest = hashlib.sha256()
        for table in TABLES:
            if table in UNREPEATABLE:
                continue
            columns = [row[1] for row in self.db.execute(f"PRAGMA table_info({table})")]
            where = "" if variant is None else f"WHERE variant = {int(variant)}"
            shown = ", ".join(column for column in columns if variant is None or column != "variant")
            for row in self.db.execute(f"SELECT {shown} FROM {table} {where} ORDER BY {', '.join(columns[:3])}"):
                digest.update(repr((table, row)).encode())
        return digest.hexdigest()

    @contextmanager
    def batched(self) -> Iterator[None]:
        """Inside, what is added is committed a few hundred pieces at a time.

        For networks in this process, whose exchanges take less time than a commit: what a kill may cost is done again
        as quickly. What is on record stays a beginning of the run without gaps.
        """
        self._batch = BATCH
        try:
            yield
        finally:
            self._batch = 1
            if self.db.in_transaction:
                with self._transaction():
                    pass

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        finished = False
        try:
            if not self.db.in_transaction:
                self._pending = 0
                self.db.execute("BEGIN")
            yield
            self._pending += 1
            if self._pending >= self._batch:
                self.db.execute("COMMIT")
            finished = True
        except sqlite3.OperationalError as error:
            raise JournalUnwritable(f"the journal {self.path} cannot be written: {error}") from error
        finally:
            if not finished and self.db.in_transaction:
                self.db.execute("ROLLBACK")

    def _put(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows, or compare them with those of the same key."""
        self._insert(table, rows if self._fresh else [row for row in rows if not self._is_there(table, row)])

    def _is_there(self, table: str, row: Sequence[Any]) -> bool:
        columns = self.db.execute(f"PRAGMA table_info({table})").fetchall()
        keys = [name for _, name, _, _, _, key in columns if key]
        named = dict(zip([column[1] for column in columns], row, strict=True))
        where = " AND ".join(f"{key} = ?" for key in keys)
        found = self.db.execute(f"SELECT * FROM {table} WHERE {where}", [named[key] for key in keys]).fetchone()
        place = f"{table}, " + ", ".join(f"{key} {named[key]}" for key in keys)
        if found is None:
            if self._lock is None:
                raise Diverged(f"{place}: was not recorded")
            return False
        for (name, value), recorded in zip(named.items(), found, strict=True):
            if value != recorded:
                raise Diverged(f"{place}: {name} differs{_difference(recorded, value)}")
        return True

    def _insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self.db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _difference(recorded: Any, value: Any) -> str:
    return "" if isinstance(recorded, bytes) else f": recorded was {recorded!r}, now came {value!r}"


def _lock(folder: Path) -> int:
    """Hold a folder as its only writer, until the descriptor is closed or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY) if folder.is_dir() else None
    if descriptor is None:
        raise RequestError("RUN", f"{folder} is no folder")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RequestError("RUN", f"{folder} is being written by another process") from None
    return descriptor
