# SPDX-License-Identifier: Apache-2.0
"""Journals of older schemas made into journals of today's: one function for each version's step to the next.

A step adds what its next version has; what was not recorded then is NULL, and named under `migrated` in `meta`. A
journal of one version may already have some columns of the next, since versions were counted when they were merged.
Whoever changes `schema.sql` counts `SCHEMA_VERSION` on, writes a step, and puts a journal of the version before
into `tests/support/journals`.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bridge.network import RequestError
from cosim.config import Config
from cosim.folders import filled
from cosim.record import fingerprint, integrity, journal_file
from cosim.record.journal_file import FILE_NAME
from cosim.record.schema import SCHEMA_VERSION, columns, columns_of

Unrecorded = dict[str, list[str]]
"""Columns by table that were not recorded when the run was made."""


def to_2(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """The base station's expectations, when the network was ready, the serving cell, where the run was made."""
    _add(db, unrecorded, "routing", "predicted_s BLOB")
    _add(db, unrecorded, "links", "cell INTEGER")
    db.execute("INSERT OR IGNORE INTO meta VALUES ('folder', '')")
    if _lacks(db, "variants", "begin_ns"):
        db.execute("ALTER TABLE variants ADD COLUMN begin_ns INTEGER NOT NULL DEFAULT 0")
        db.execute(  # the first exchange departs when the base station has computed, from that time on
            "UPDATE variants SET begin_ns = coalesce((SELECT depart_ns - bs_compute_ns FROM exchanges "
            "WHERE exchanges.variant = variants.variant AND exchange = 1), 0)"
        )


def to_3(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """The shared band, and the channel record: none was kept."""
    to_2(db, unrecorded)
    _add(db, unrecorded, "variants", "bandwidth_hz TEXT")
    if not columns_of(db, "channel"):
        db.execute("CREATE TABLE channel (variant INTEGER, exchange INTEGER, rows BLOB)")
        db.execute("INSERT INTO channel SELECT variant, exchange, x'' FROM exchanges")
        unrecorded["channel"] = ["rows"]


def to_4(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """NR's link states; a model that runs has the routing '' in its configuration, and not null."""
    for column in ("rank INTEGER", "downlink_prbs INTEGER", "uplink_prbs INTEGER"):
        _add(db, unrecorded, "links", column)
    for column in ("downlink_bler REAL", "uplink_bler REAL"):
        _add(db, unrecorded, "links", column)
    db.execute(
        "UPDATE meta SET value = json_set(value, '$.model.routing', '') WHERE key = 'config' "
        "AND json_type(CASE WHEN json_valid(value) THEN value END, '$.model.routing') = 'null'"
    )


def to_5(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """What the base station expected may be NULL, where it was not recorded; a seal, which `_copy` puts on."""


def to_6(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """A choice of any size, replicas, shares of the band, energy on the air, policies of a user's own: there were none.

    What the base station expected was of the model's own choice, whatever the policy chose. The policy `wdmoe` of then
    is `weight-to-latency` now, a scenario that was not named was `lte`, and the only prediction was `line`.
    """
    db.execute("UPDATE variants SET policy = 'weight-to-latency' WHERE policy = 'wdmoe'")
    for (text,) in db.execute("SELECT value FROM meta WHERE key = 'config' AND json_valid(value)").fetchall():
        config = json.loads(text)
        if isinstance(config, dict):
            _rename(config)
            db.execute("UPDATE meta SET value = ? WHERE key = 'config'", [json.dumps(config)])
    for table, column in (
        ("variants", "policy_sources TEXT"),
        ("exchanges", "shares BLOB"),
        ("transfers", "downlink_air_j REAL"),
        ("transfers", "uplink_air_j REAL"),
        ("routing", "chosen_devices BLOB"),
    ):
        _add(db, unrecorded, table, column)
    if _lacks(db, "routing", "chosen_k"):
        db.execute("ALTER TABLE routing ADD COLUMN chosen_k INTEGER NOT NULL DEFAULT 1")
        db.execute("UPDATE routing SET chosen_k = top_k")
        unrecorded.setdefault("routing", []).append("predicted_s")


def to_7(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """The powers by which energy is told: there were none. A `missing_top_n` that was not given is 0 and not null."""
    db.execute(
        "UPDATE meta SET value = json_set(value, '$.exchange.missing_top_n', 0) WHERE key = 'config' "
        "AND json_type(CASE WHEN json_valid(value) THEN value END, '$.exchange.missing_top_n') = 'null'"
    )
    for column in ("bs_compute_w REAL", "bs_transmit_w REAL", "bs_amplifier_efficiency REAL"):
        _add(db, unrecorded, "variants", column)
    for column in ("compute_w", "receive_w", "transmit_w", "amplifier_efficiency", "downlink_air_w", "uplink_air_w"):
        _add(db, unrecorded, "devices", f"{column} REAL")


def to_8(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """Items of tasks and their scores: there were none."""
    _make(db, "items", "scores")


def to_9(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """Where users and base stations were, and how long decisions took: nobody kept it."""
    _add(db, unrecorded, "variants", "others TEXT")
    _add(db, unrecorded, "variants", "sites TEXT")
    for table in _make(db, "tracks", "decisions"):
        unrecorded[table] = [column.name for column in columns()[table]]


def to_10(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """Requests that arrive, and the passes that they share: there were none."""
    _make(db, "requests", "passes", "pass_rows")


def to_11(db: sqlite3.Connection, unrecorded: Unrecorded) -> None:
    """Prompts and tokens on the air: users were on the wired side."""
    _make(db, "calls", "messages", "deliveries")


def _rename(config: dict[str, Any]) -> None:
    """What a configuration of before schema 6 says, in today's words."""
    names = {"wdmoe": "weight-to-latency"}
    if isinstance(policies := config.get("policies"), list):
        config["policies"] = [names.get(name, name) if isinstance(name, str) else name for name in policies]
    if isinstance(options := config.get("policy"), dict):
        config["policy"] = {names.get(name, name): given for name, given in options.items()}
    if isinstance(radio := config.setdefault("radio", {}), dict):
        radio.setdefault("scenario", "lte")
    config.setdefault("prediction", "line")


STEPS: dict[int, Callable[[sqlite3.Connection, Unrecorded], None]] = {
    1: to_2,
    2: to_3,
    3: to_4,
    4: to_5,
    5: to_6,
    6: to_7,
    7: to_8,
    8: to_9,
    9: to_10,
    10: to_11,
}
"""The step from each older version to the next."""


def migrate(run: Path, new: Path | None = None, *, in_place: bool = False) -> list[Path]:
    """Make a run of an older schema into one of today's; returns the new journal, and in place what the old one is now.

    The new run goes to the folder `new`, by default beside the old one, with all else that the old folder holds. In
    place the new journal takes the old one's name. Raises `RequestError` naming RUN for what is no sound journal of an
    older schema, NEW, or FOLDER if that holds something already; the old journal stays as it was.
    """
    path = journal_file.file_of(run)
    version = journal_file.version_of(path)
    if version >= SCHEMA_VERSION:
        journal_file.reader(path).close()  # which says so if it is damaged or newer
        raise RequestError("RUN", f"{path} has schema version {version} already; there is nothing to migrate")
    if not in_place:
        return [_beside(run, path, new)]
    if new is not None:
        raise RequestError("NEW", "with --in-place there is no other folder; leave one of them away")
    return _in_place(path, path.with_name(f"{path.stem}.schema-{version}{path.suffix}"))


def _beside(run: Path, path: Path, new: Path | None) -> Path:
    folder = path.parent.resolve()
    new = new or (path.parent if path.parent.name else folder).with_name(f"{folder.name}-schema-{SCHEMA_VERSION}")
    if new.resolve().is_relative_to(folder):
        raise RequestError("NEW", f"{new} lies in the run's own folder; choose another, or give --in-place")
    with filled(new, "NEW"):
        _write(path, new / FILE_NAME)
        if run.is_dir():
            own = [path.name + end for end in ("", "-wal", "-shm")]
            shutil.copytree(run, new, dirs_exist_ok=True, ignore=lambda place, _: own if Path(place) == run else [])
    return new / FILE_NAME


def _in_place(path: Path, kept: Path) -> list[Path]:
    lock = journal_file.lock(path.parent)
    try:
        if kept.exists():
            raise RequestError("RUN", f"{kept} exists already; move it away")
        with journal_file.reading(path), closing(journal_file.writer(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if path.with_name(path.name + "-wal").exists():  # the last to close a journal removes it
            raise RequestError("RUN", f"{path} is open in another process")
        shutil.copy2(path, kept)
        try:
            _write(path, path)
        except BaseException:
            kept.unlink()
            raise
    except OSError as error:
        raise RequestError("RUN", f"{path.parent} cannot be written: {error}") from None
    finally:
        os.close(lock)
    return [path, kept]


def _write(path: Path, target: Path) -> None:
    """Write the journal of today's schema that comes of `path`; there is a whole one or none."""
    with TemporaryDirectory(prefix="migration-", dir=target.parent) as scratch:
        old, new = Path(scratch, "old.sqlite"), Path(scratch, FILE_NAME)
        with journal_file.reading(path):
            _step_up(path, old)
            _copy(old, new, path)
        new.replace(target)


def _step_up(path: Path, old: Path) -> None:
    """Make `old`, a copy of the journal, have all that today's has, if not yet in today's form."""
    reader, version = journal_file.any_reader(path)
    with closing(reader), closing(sqlite3.connect(old, isolation_level=None)) as db:
        reader.backup(db)
        db.execute("PRAGMA journal_mode = OFF")
        for (view,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
            db.execute(f"DROP VIEW {view}")  # which no step can change a table under; the new journal has its own
        unrecorded: Unrecorded = {}
        for step in range(version, SCHEMA_VERSION):
            STEPS[step](db, unrecorded)
        integrity.check_names(db, path)
        found = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        if found is None:
            raise integrity.damaged(path, "meta has no config")
        config = integrity.decode(path, "meta, key config", found[0], Config)
        db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [
                ("config", msgspec.json.encode(config).decode()),
                ("migrated", json.dumps({"before": version, "unrecorded": unrecorded})),
            ],
        )


def _copy(old: Path, new: Path, path: Path) -> None:
    """Make `new` the journal of today's schema with the rows of `old`, which came of `path`; seal a finished run."""
    journal_file.create(new, {})
    with closing(journal_file.writer(new)) as db:
        db.execute("ATTACH ? AS old", [str(old)])
        db.execute("BEGIN")
        for table, its_columns in columns().items():
            names = ", ".join(column.name for column in its_columns)
            db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM old.{table}")
        db.execute("COMMIT")
        db.execute("DETACH old")
        if db.execute("SELECT 1 FROM events WHERE kind = 'finished'").fetchone():
            db.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [fingerprint.SEAL, json.dumps(fingerprint.parts(db))]
            )
        integrity.check(db, path)


def _make(db: sqlite3.Connection, *tables: str) -> list[str]:
    """Tables of today's without rows; those of them that there were not yet."""
    missing = [table for table in tables if not columns_of(db, table)]
    for table in missing:
        names = ", ".join(f"{column.name} {column.kind}" for column in columns()[table])
        db.execute(f"CREATE TABLE {table} ({names})")
    return missing


def _add(db: sqlite3.Connection, unrecorded: Unrecorded, table: str, column: str) -> None:
    name = column.split(maxsplit=1)[0]
    if _lacks(db, table, name):
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        unrecorded.setdefault(table, []).append(name)


def _lacks(db: sqlite3.Connection, table: str, column: str) -> bool:
    return column not in [each.name for each in columns_of(db, table)]
