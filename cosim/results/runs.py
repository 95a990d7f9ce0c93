# SPDX-License-Identifier: Apache-2.0
"""The runs that lie in a folder, each as its journal tells it, without reading it whole."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bridge.network import RequestError
from cosim.record.journal_file import FILE_NAME, any_reader, reading
from cosim.record.schema import SCHEMA_VERSION


class RunLine(NamedTuple):
    """One run. `state`: finished, begun, or why its journal cannot be read.

    `when` it was made, in local time; of a journal that does not say it, when it was last changed.
    """

    run: str
    when: str
    state: str
    scenario: str = ""
    seed: int | None = None
    policies: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    exchanges: int | None = None
    tokens: int | None = None


def runs_in(folder: Path) -> Iterator[RunLine]:
    """All runs in a folder, at any depth, by name. Raises `RequestError` naming FOLDER if there is no such folder."""
    if not folder.is_dir():
        raise RequestError("FOLDER", f"{folder} is no folder; name one that holds runs")
    for path in sorted(folder.rglob(FILE_NAME)):
        yield _line(path)


def _line(path: Path) -> RunLine:
    run = str(path.parent)
    when = _told(datetime.fromtimestamp(path.stat().st_mtime))
    try:
        connection, version = any_reader(path)
        with closing(connection), reading(path):
            when = _made(connection) or when
            if version != SCHEMA_VERSION:
                return RunLine(run, when, f"schema {version}; cosim migrate" if version < SCHEMA_VERSION else "newer")
            return _read(connection, run, when)
    except (RequestError, KeyError, TypeError, ValueError) as error:
        return RunLine(run, when, error.reason if isinstance(error, RequestError) else "damaged")


def _made(db: sqlite3.Connection) -> str | None:
    """When a run was made; None where that was not recorded."""
    found = db.execute("SELECT value FROM meta WHERE key = 'made'").fetchone()
    return _told(datetime.fromisoformat(json.loads(found[0])["when"]).astimezone()) if found else None


def _told(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M")


def _read(db: sqlite3.Connection, run: str, when: str) -> RunLine:
    config = json.loads(db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()[0])
    (finished,) = db.execute("SELECT count(*) FROM events WHERE kind = 'finished'").fetchone()
    (exchanges,) = db.execute("SELECT count(*) FROM exchanges").fetchone()
    (tokens,) = db.execute("SELECT count(*) FROM tokens").fetchone()
    return RunLine(
        run,
        when,
        "finished" if finished else "begun",
        Path(str(config["radio"].get("scenario", "nr"))).name,
        config["seed"],
        tuple(config["policies"]),
        tuple(config["networks"]),
        exchanges,
        tokens,
    )
