# SPDX-License-Identifier: Apache-2.0
"""What a run gives again, held against its record in both directions: no row differs, is missing, or is too many."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from cosim.errors import Diverged
from cosim.record.schema import TABLES, UNREPEATABLE, columns

Row = Sequence[Any]


class Comparison:
    """Compares rows with those of the journal `db`; with `may_add`, rows that it lacks are new ones."""

    def __init__(self, db: sqlite3.Connection, *, may_add: bool):
        self._db = db
        self._may_add = may_add
        self._seen: dict[tuple[str, ...], set[tuple[int, ...]]] = {}  # groups by the columns that make them
        self._grouped: dict[str, tuple[str, ...]] = {}  # those columns by table
        migrated = db.execute("SELECT value FROM meta WHERE key = 'migrated'").fetchone()
        self._unrecorded: dict[str, list[str]] = json.loads(migrated[0])["unrecorded"] if migrated else {}

    def missing(self, table: str, group: tuple[int, ...], rows: Sequence[Row]) -> list[Row]:
        """Which of `rows`, all that a table has of a group, are not on record.

        `group`: the first values of their keys. Raises `Diverged` for a row that differs or is too many on record, and
        unless rows may be added for one that is not there.
        """
        its_columns = columns()[table]
        keys = [at for at, column in enumerate(its_columns) if column.key]
        grouped = tuple(column.name for column in its_columns[: len(group)])
        self._grouped[table] = grouped
        self._seen.setdefault(grouped, set()).add(group)
        found = self._db.execute(f"SELECT * FROM {table} WHERE {_equal(grouped)}", group)
        recorded = {tuple(row[at] for at in keys): row for row in found}
        new = [row for row in rows if not self._is_there(table, row, recorded.pop(tuple(row[at] for at in keys), None))]
        for row in recorded.values():
            raise Diverged(f"{_place(table, row)}: is on record, but did not come again")
        return new

    def hold_complete(self, variant: int) -> None:
        """Raise `Diverged` for rows of a variant in other groups than those that came."""
        for table in TABLES:
            if table not in UNREPEATABLE:
                self._hold_groups(table, "variant = ?", variant)

    def hold_variants(self, count: int) -> None:
        """Raise `Diverged` for rows of other variants than those from 1 to `count`."""
        for table in TABLES:
            if table not in UNREPEATABLE:
                self._hold_groups(table, "variant NOT BETWEEN 1 AND ?", count)

    def _hold_groups(self, table: str, condition: str, value: int) -> None:
        grouped = self._grouped.get(table) or tuple(column.name for column in columns()[table] if column.key)
        seen = self._seen.get(grouped, set())
        for group in self._db.execute(f"SELECT DISTINCT {', '.join(grouped)} FROM {table} WHERE {condition}", [value]):
            if group not in seen:
                where = ", ".join(f"{name} {part}" for name, part in zip(grouped, group, strict=True))
                raise Diverged(f"{table}, {where}: is on record, but did not come again")

    def _is_there(self, table: str, row: Row, recorded: Row | None) -> bool:
        if recorded is None:
            if not self._may_add:
                raise Diverged(f"{_place(table, row)}: was not recorded")
            return False
        for column, value, was in zip(columns()[table], row, recorded, strict=True):
            if value != was and column.name not in self._unrecorded.get(table, []):
                raise Diverged(f"{_place(table, row)}: {column.name} differs{_difference(was, value)}")
        return True


def _equal(names: Sequence[str]) -> str:
    return " AND ".join(f"{name} = ?" for name in names)


def _place(table: str, row: Row) -> str:
    named = zip(columns()[table], row, strict=True)
    return f"{table}, " + ", ".join(f"{column.name} {value}" for column, value in named if column.key)


def _difference(recorded: Any, value: Any) -> str:
    return "" if isinstance(recorded, bytes) else f": recorded was {recorded!r}, now came {value!r}"
