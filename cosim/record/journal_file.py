# SPDX-License-Identifier: Apache-2.0
"""The journal's file: where it lies, whose it is to write, and whether it is one that this program reads."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version as installed
from pathlib import Path

from bridge.network import RequestError
from cosim.record import integrity
from cosim.record.schema import APPLICATION_ID, SCHEMA_VERSION, script, views

FILE_NAME = "journal.sqlite"


def file_of(run: Path) -> Path:
    """The journal of a run folder, or the file itself. Raises `RequestError` naming RUN if there is none."""
    try:
        path = run / FILE_NAME if run.is_dir() else run
        if path.is_file():
            return path
    except OSError as error:
        raise RequestError("RUN", f"{run} cannot be read: {error}") from None
    raise RequestError("RUN", f"{run} holds no {FILE_NAME}")


def lock(folder: Path) -> int:
    """Hold a folder as its only writer, until the descriptor is closed or the process ends."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except NotADirectoryError:
        raise RequestError("RUN", f"{folder} is no folder") from None
    except OSError as error:
        raise RequestError("RUN", f"{folder} cannot be read: {error}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RequestError("RUN", f"{folder} is being written by another process") from None
    return descriptor


def create(path: Path, meta: Mapping[str, str]) -> None:
    """Write an empty journal with these rows of `meta`; there is a whole one or none."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial, isolation_level=None)) as db:
        db.executescript(
            f"PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {script()} {views()} COMMIT;"
        )
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    partial.replace(path)


def writer(path: Path) -> sqlite3.Connection:
    """A connection that writes; what is committed survives the process, and the latest not a power cut."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads. Raises `RequestError` naming RUN for a file that is no sound journal of today."""
    connection, version = any_reader(path)
    with _closed_if_refused(connection):
        if version != SCHEMA_VERSION:
            raise RequestError("RUN", _other_version(connection, path, version))
        with reading(path):
            integrity.check(connection, path)
    return connection


def any_reader(path: Path) -> tuple[sqlite3.Connection, int]:
    """A connection that only reads a journal of any version, and its version. Raises `RequestError` as `reader`."""
    with reading(path):
        # A journal that was closed has no write-ahead log, and reading it shall leave none.
        live = path.with_name(path.name + "-wal").exists()
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{'' if live else '&immutable=1'}", uri=True)
    with _closed_if_refused(connection):
        with reading(path):
            ((application,), (version,), (damage,)) = (
                connection.execute(f"PRAGMA {name}").fetchone()
                for name in ("application_id", "user_version", "quick_check(1)")
            )
        if application != APPLICATION_ID or version < 1:
            raise RequestError("RUN", f"{path} is a SQLite file, but no journal of ours")
        if damage != "ok":
            raise integrity.damaged(path, damage)
    return connection, version


def version_of(path: Path) -> int:
    """The schema's version of a journal. Raises `RequestError` as `reader`."""
    connection, version = any_reader(path)
    connection.close()
    return version


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Inside, what SQLite cannot read, or not write, is a `RequestError` naming RUN."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise RequestError("RUN", f"{path} is no journal, or damaged: {error}") from None
        raise RequestError("RUN", f"{path.parent} cannot be written: {error}; copy it to where it can") from None
    except (sqlite3.Error, OSError) as error:
        raise RequestError("RUN", f"{path} is no journal, or damaged: {error}") from None


@contextmanager
def _closed_if_refused(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _other_version(connection: sqlite3.Connection, path: Path, version: int) -> str:
    if version < SCHEMA_VERSION:
        older = f"{path} has schema version {version}, and this program reads version {SCHEMA_VERSION}"
        return f"{older}; `cosim migrate {path.parent}` makes one of it"
    with suppress(sqlite3.Error, ValueError, TypeError, KeyError):
        wrote = json.loads(connection.execute("SELECT value FROM meta WHERE key = 'versions'").fetchone()[0])
        newer = f"wdmoe-cosim {wrote['wdmoe-cosim']} wrote it; use that or a later one"
        return f"{path} has schema version {version}; {_reads()}; {newer}"
    return f"{path} has schema version {version}; {_reads()}; use the wdmoe-cosim that wrote it, or a later one"


def _reads() -> str:
    return f"wdmoe-cosim {installed('wdmoe-cosim')} reads version {SCHEMA_VERSION}"
