# SPDX-License-Identifier: Apache-2.0
"""The journal: all that a run was and did, in one SQLite file, one transaction an exchange.

`schema.sql` beside this file has the tables, `docs/runs/journal.md` describes them. SQLite in WAL mode keeps every
committed exchange readable whatever happens to the process. Two runs of one configuration have equal journals but for
the tables in `UNREPEATABLE`, which hold wall-clock time and mishaps. So a run that is done again can be held
against its journal row by row: a replay must find every row, a resumed run adds those that are missing.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import msgspec

from bridge.network import NetworkInfo, RequestError
from cosim.config import Config
from cosim.errors import Diverged, JournalUnwritable
from cosim.record import fingerprint, journal_file, recorded
from cosim.record.comparison import Comparison
from cosim.record.decisions import Decisions
from cosim.record.exchange_rows import RecordedCall, RecordedExchange, known, rows_of
from cosim.record.integrity import damaged
from cosim.record.item_rows import item_rows
from cosim.record.journal_file import FILE_NAME
from cosim.record.provenance import made
from cosim.record.schema import SCHEMA_VERSION, TABLES, UNREPEATABLE
from model_side.calibration import Calibration, decoded
from model_side.energy import Powers
from model_side.exchange import LayerExchange
from model_side.serving import TokenRecord
from model_side.shapes import ModelShape
from model_side.tasks.score import ItemScore

__all__ = ["BATCH", "FILE_NAME", "SCHEMA_VERSION", "TABLES", "UNDELIVERED", "UNREPEATABLE", "Journal"]

UNDELIVERED = "undelivered"
"""The kind of event that says why transfers did not come to their end (`bridge.network.Outcome.notes`)."""

BATCH = 256


class Journal:
    """An open journal; `variant` numbers count from 1.

    `create` begins one, `reopen` goes on with one, `open` reads one. Where a row is there already, adding it again
    compares the two, and raises `Diverged` if they differ; in a journal opened for reading, also if it is not there.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, fresh: bool = False, lock: int | None = None):
        self.path = path
        self.db = connection
        self._lock = lock
        self._reads_only = lock is None
        self._comparison = None if fresh else Comparison(connection, may_add=lock is not None)
        self._batch = 1
        self._pending = 0

    @classmethod
    def create(
        cls, folder: Path, config: Config, versions: dict[str, str], record: Mapping[str, str] | None = None
    ) -> "Journal":
        """Begin the journal of a run in `folder`. Raises `RequestError` if there is one already.

        `record`: more for the table `meta`: the calibration, and of a what-if what it was answered from.
        """
        path = folder / FILE_NAME
        if path.exists():
            raise RequestError("--out", f"{folder} holds a journal already; choose another folder")
        lock = journal_file.lock(folder)
        meta = {
            "config": msgspec.json.encode(config).decode(),
            "versions": json.dumps(versions, sort_keys=True),
            "folder": os.getcwd(),
            "made": msgspec.json.encode(made()).decode(),
            **(record or {}),
        }
        journal_file.create(path, meta)
        return cls(journal_file.writer(path), path, fresh=True, lock=lock)

    @classmethod
    def reopen(cls, run: Path) -> "Journal":
        """Open the journal of a run folder to go on with it. Raises `RequestError` as `open`, or if it is in use."""
        path = journal_file.file_of(run)
        lock = journal_file.lock(path.parent)
        try:
            journal_file.reader(path).close()
            with journal_file.reading(path):
                connection = journal_file.writer(path)
        except BaseException:
            os.close(lock)
            raise
        return cls(connection, path, lock=lock)

    @classmethod
    def open(cls, run: Path) -> "Journal":
        """Open the journal of a run folder (or the file itself) for reading.

        Raises `RequestError` naming RUN if there is none, or it is no journal, damaged, or of another version.
        """
        path = journal_file.file_of(run)
        return cls(journal_file.reader(path), path)

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
        powers: Powers,
        experts: Sequence[Sequence[int] | Sequence[Sequence[int]]],
        policy_sources: Mapping[str, str] | None = None,
    ) -> None:
        """Begin a variant of the experiment.

        `powers` are journaled as they are taken, since what a profile says may change.
        `experts` are those that each device holds, in each layer if these differ; `policy_sources` are the digests of
        a user's own files, by their names, and of the calibration if the policy needs it.
        """
        with self._transaction():
            parameters, versions = (json.dumps(part, sort_keys=True) for part in (info.parameters, info.versions))
            sources = json.dumps(dict(policy_sources), sort_keys=True) if policy_sources else None
            band = None if info.bandwidth_hz is None else json.dumps(info.bandwidth_hz)
            self._put(
                "variants",
                (variant,),
                [
                    [
                        *(variant, policy, network, info.scenario, parameters, versions, info.now_ns, band, sources),
                        *map(known, (powers.bs_compute_w, powers.bs_transmit_w, powers.bs_efficiency)),
                        *(msgspec.json.encode(part).decode() for part in (info.others, info.sites)),
                    ]
                ],
            )
            self._put(
                "devices",
                (variant,),
                [
                    [
                        *(variant, device, name, powers.hardware[device], json.dumps(list(experts[device]))),
                        *map(known, powers.of_device(device)),
                    ]
                    for device, name in enumerate(info.devices)
                ],
            )

    def describe_model(
        self, name: str, shape: ModelShape, probabilities: bool, record: Mapping[str, Any] | None = None
    ) -> None:
        """Record whose routing follows, its own sizes, whether the router's probabilities are known, and `record`.

        Compares what is on record already, and raises `Diverged` if it differs."""
        model = {"name": name, "shape": shape.told(), "probabilities": probabilities}
        self.describe({"model": model, **(record or {})})

    def describe(self, record: Mapping[str, Any]) -> None:
        """Record what a repetition must say again, by key of `meta`, or compare it as `describe_model`."""
        for key, value in record.items():
            described = json.dumps(value)
            for (was,) in (found := self.rows("SELECT value FROM meta WHERE key = ?", key)):
                if json.loads(was) != json.loads(described):
                    raise Diverged(f"meta, key {key}: recorded was {was:.1000}, now came {described:.1000}")
            if not found and not self._reads_only:
                with self._transaction():
                    self._describe(key, described)

    def describe_nearness(self, seconds_a_byte: Sequence[float | None]) -> None:
        """Record how near the devices were when the experts were placed."""
        with self._transaction():
            self._describe("nearness", json.dumps(list(seconds_a_byte)))

    def add(self, key: tuple[int, ...], tables: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        """Record rows by table, all that they have of `key`, with which each row begins."""
        with self._transaction():
            for table, rows in tables.items():
                self._put(table, key, [[*key, *row] for row in rows])

    def add_exchange(self, variant: int, number: int, record: LayerExchange, wait: str) -> None:
        """Record exchange `number` (from 1) of a variant."""
        self.add((variant, number), rows_of(record, wait))

    def add_token(self, variant: int, token: TokenRecord) -> None:
        """Record a generated token."""
        row = [variant, token.request, token.position, token.token_id, token.start_ns, token.end_ns]
        with self._transaction():
            self._put("tokens", (variant, token.request, token.position), [row])

    def add_item(self, variant: int, item: ItemScore) -> None:
        """Record what came of an item of a task."""
        self.add((variant, item.item), item_rows(item))

    def add_quality(self, variant: int, request: int, metrics: dict[str, float]) -> None:
        """Record how a request's answer compares with the unmodified model's."""
        with self._transaction():
            rows = [[variant, request, metric, value] for metric, value in metrics.items()]
            self._put("quality", (variant, request), rows)

    def add_costs(self, variant: int, costs: dict[str, float], decisions: Decisions | None = None) -> None:
        """Record the wall-clock seconds that the parts of the program, and decisions, took; the variant is finished."""
        with self._transaction():
            self._insert("costs", [[variant, part, wall_s] for part, wall_s in costs.items()])
            self._insert("decisions", [[variant, *astuple(decisions)]] if decisions else [])

    def add_event(self, variant: int | None, kind: str, message: str) -> None:
        """Record a mishap."""
        with self._transaction():
            self._insert("events", [[None, variant, kind, message]])

    def finish(self) -> None:
        """Record that all variants ran to their end, and seal what they left."""
        with self._transaction():
            self._insert("events", [[None, None, "finished", "all variants ran to their end"]])
            self._describe(fingerprint.SEAL, json.dumps(fingerprint.parts(self.db)))

    # Holding what was done again against the record.

    def hold_complete(self, variant: int) -> None:
        """Raise `Diverged` if more of a variant is on record than was added, now that all of it was."""
        if self._comparison is not None:
            self._comparison.hold_complete(variant)

    def hold_variants(self, count: int) -> None:
        """Raise `Diverged` if there are rows of other variants than those from 1 to `count`."""
        if self._comparison is not None:
            self._comparison.hold_variants(count)

    def changed_since_its_end(self) -> list[str]:
        """The parts of the record that were changed since the run came to its end; none if it did not yet."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", fingerprint.SEAL)
        if not found:
            return []
        sealed = json.loads(found[0][0])
        with journal_file.reading(self.path):
            now = fingerprint.parts(self.db)
        return [part for part in sorted({*sealed, *now}) if sealed.get(part) != now.get(part)]

    # Reading.

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was made with, with the defaults of what it did not know."""
        return dict(msgspec.to_builtins(msgspec.convert(json.loads(self.meta("config")), Config)))

    def meta(self, key: str) -> str:
        """A value of the table `meta`."""
        return str(self.rows("SELECT value FROM meta WHERE key = ?", key)[0][0])

    def calibration(self) -> Calibration | None:
        """The model's table that the run's policies see; None where none needs it. Raises `RequestError` if damaged."""
        found = self.rows("SELECT value FROM meta WHERE key = 'calibration'")
        try:
            return decoded(found[0][0]) if found else None
        except ValueError as error:
            raise damaged(self.path, f"meta, key calibration: {error}") from None

    def network_info(self, variant: int) -> NetworkInfo | None:
        """As `cosim.record.recorded.network_info`."""
        with journal_file.reading(self.path):
            return recorded.network_info(self.db, variant)

    def recorded(self, variant: int, number: int) -> RecordedExchange | None:
        """As `cosim.record.recorded.exchange`."""
        with journal_file.reading(self.path):
            return recorded.exchange(self.db, self.path, variant, number)

    def recorded_call(self, variant: int, number: int) -> RecordedCall | None:
        """As `cosim.record.recorded.call`."""
        with journal_file.reading(self.path):
            return recorded.call(self.db, variant, number)

    def nearness(self) -> list[float | None] | None:
        """The seconds that a byte took to each device and back when the experts were placed; None if not recorded."""
        found = self.rows("SELECT value FROM meta WHERE key = 'nearness'")
        return json.loads(found[0][0]) if found else None

    def counts(self) -> tuple[int, int]:
        """How many exchanges and how many tokens are on record."""
        ((exchanges, tokens),) = self.rows("SELECT (SELECT count(*) FROM exchanges), (SELECT count(*) FROM tokens)")
        return exchanges, tokens

    def mishaps(self) -> list[tuple[str, str]]:
        """What befell the run, one after the other: the kind of event, and what it says."""
        return self.rows("SELECT kind, message FROM events WHERE kind <> 'finished' ORDER BY event")

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
        with journal_file.reading(self.path):
            return self.db.execute(query, values).fetchall()

    def fingerprint(self, variant: int | None = None) -> str:
        """SHA-256 over all that a repetition must give again; of one variant, or of the whole run."""
        with journal_file.reading(self.path):
            return fingerprint.combined(fingerprint.parts(self.db, variant))

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

    def _put(self, table: str, group: tuple[int, ...], rows: Sequence[Sequence[Any]]) -> None:
        """Add all the rows whose key begins with `group`, or compare them with those on record."""
        self._insert(table, rows if self._comparison is None else self._comparison.missing(table, group, rows))

    def _describe(self, key: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])

    def _insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self.db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
