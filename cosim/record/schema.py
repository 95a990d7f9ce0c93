# SPDX-License-Identifier: Apache-2.0
"""The journal's tables as `schema.sql` has them, and the number of that schema."""

import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files
from typing import NamedTuple

SCHEMA_VERSION = 11
APPLICATION_ID = 0x574D4F45  # "WMOE", in the file's header
UNREPEATABLE = ("meta", "costs", "decisions", "events")
"""Tables that differ between equal runs: of places, wall-clock time and mishaps. What `meta` says of the run itself is
in its fingerprint all the same (`cosim.record.fingerprint`)."""


class Column(NamedTuple):
    """A column; `kind` is its SQLite type, `key` its place in the primary key from 1, 0 outside it."""

    name: str
    kind: str
    required: bool
    key: int


@cache
def columns() -> dict[str, tuple[Column, ...]]:
    """The columns of each table, in order."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(script())
        return {table: columns_of(db, table) for table in tables_of(db)}


def script() -> str:
    """What makes the tables."""
    return files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")


def views() -> str:
    """What makes the views, which are for people: a journal is as good without them."""
    return files(__package__).joinpath("views.sql").read_text(encoding="utf-8")


def tables_of(db: sqlite3.Connection) -> list[str]:
    """The tables of a database, in the order in which they were made."""
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]


def columns_of(db: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    """The columns of a table; none if there is no such table."""
    return tuple(
        Column(name, kind, bool(required or key), key)
        for _, name, kind, required, _, key in db.execute(f"PRAGMA table_info({table})")
    )


TABLES = tuple(columns())
