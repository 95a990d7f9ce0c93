# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in a journal after its run, the exact replay finds it, and the fingerprint is another one.

The changes are made from the schema, and from the configuration, so that nothing new in them is left out.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.network import RequestError
from cosim.errors import Diverged
from cosim.experiment import replay
from cosim.record import fingerprint
from cosim.record.journal import FILE_NAME, Journal
from cosim.record.schema import TABLES, columns
from tests.support.small_run import SERVICE, scored, small_run

HELD = [table for table in TABLES if table not in ("meta", "costs", "decisions", "events")]
OTHER = {"INTEGER": 7, "REAL": 0.5, "TEXT": "another", "BLOB": b"another"}
"""In place of NULL."""


def _name(value: Any) -> str:
    return value if isinstance(value, str) else value.name


@pytest.fixture(autouse=True, scope="module")
def items() -> Iterator[None]:
    with scored():
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("small"), "policy.weight-to-latency.threshold=0.5", *SERVICE)


def fingerprint_of(run: Path) -> str:
    """Also of a journal that is refused."""
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        return fingerprint.combined(fingerprint.parts(db))


def assert_noticed(recorded: Path, folder: Path, change: str, *values: Any) -> None:
    folder = folder / "run"
    folder.mkdir()
    shutil.copy(recorded / FILE_NAME, folder)
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        assert db.execute(change, values).rowcount == 1
    assert fingerprint_of(folder) != fingerprint_of(recorded)
    with pytest.raises((Diverged, RequestError)):
        replay(folder)


def changed(value: Any, kind: str) -> Any:
    if value is None:
        return OTHER[kind]
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    return value + "x" if isinstance(value, str) else value + 1


def row_of(recorded: Path, table: str, order: str) -> dict[str, Any]:
    with closing(sqlite3.connect(recorded / FILE_NAME)) as db:
        names = [column.name for column in columns()[table]]
        filled = "WHERE length(rows) > 0" if table == "channel" else ""
        by = ", ".join(f"{column.name} {order}" for column in columns()[table] if column.key)
        return dict(zip(names, db.execute(f"SELECT * FROM {table} {filled} ORDER BY {by}").fetchone(), strict=True))


def where(table: str, row: dict[str, Any]) -> tuple[str, list[Any]]:
    keys = [column.name for column in columns()[table] if column.key]
    return " AND ".join(f"{key} = ?" for key in keys), [row[key] for key in keys]


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize(("table", "column"), [(table, each) for table in HELD for each in columns()[table]], ids=_name)
def test_a_changed_value(recorded, tmp_path, table, column, order):
    row = row_of(recorded, table, order)
    condition, keys = where(table, row)
    old = row[column.name]
    new = old + 50 if column.key and isinstance(old, int) else changed(old, column.kind)
    assert_noticed(recorded, tmp_path, f"UPDATE {table} SET {column.name} = ? WHERE {condition}", new, *keys)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("table", HELD)
def test_a_missing_row(recorded, tmp_path, table, order):
    condition, keys = where(table, row_of(recorded, table, order))
    assert_noticed(recorded, tmp_path, f"DELETE FROM {table} WHERE {condition}", *keys)


@pytest.mark.parametrize("key", range(3))
@pytest.mark.parametrize("table", HELD)
def test_a_row_too_many(recorded, tmp_path, table, key):
    """A copy of the last row, further on in one of the columns of its key."""
    keys = [column for column in columns()[table] if column.key]
    if key < len(keys):
        row = row_of(recorded, table, "DESC")
        old = row[keys[key].name]
        row[keys[key].name] = old + "x" if isinstance(old, str) else old + 50
        assert_noticed(recorded, tmp_path, f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row.values())


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM meta WHERE key = 'model'",
        "INSERT INTO meta VALUES ('note', 'not of the run')",
        "UPDATE meta SET value = json_set(value, '$.numpy', '1.0') WHERE key = 'versions'",
        "UPDATE meta SET value = json_set(value, '$.name', 'another') WHERE key = 'model'",
        "UPDATE meta SET value = json_set(value, '$.shape.hidden', 64) WHERE key = 'model'",
    ],
)
def test_what_meta_says_of_the_run(recorded, tmp_path, change):
    assert_noticed(recorded, tmp_path, change)


def variations(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Each leaf of a configuration as another one, and something more in each list and section."""
    if isinstance(value, dict):
        yield f"{path}.more", 1
        for key, item in value.items():
            yield from variations(item, f'{path}."{key}"')
    elif isinstance(value, list):
        yield f"{path}[#]", "more"
    elif isinstance(value, bool):
        yield path, int(not value)
    elif value is None:
        yield path, 1
    else:
        yield path, value + "x" if isinstance(value, str) else value + 1


def test_every_part_of_the_configuration(recorded, tmp_path):
    with closing(Journal.open(recorded)) as journal:
        config = journal.config
    changes = dict(variations(config))
    assert {
        '$."seed"',
        '$."radio"."scenario"',
        '$."policy"."weight-to-latency"."threshold"',
        "$.more",
    } <= changes.keys()
    for number, (path, value) in enumerate(changes.items()):
        change = f"UPDATE meta SET value = json_set(value, '{path}', ?) WHERE key = 'config'"
        (tmp_path / str(number)).mkdir()
        assert_noticed(recorded, tmp_path / str(number), change, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE links SET cqi = 3 WHERE exchange = 2", r"changed since the run came to its end: links"),
        ("UPDATE devices SET name = 'x' WHERE device = 1", r"changed since the run came to its end: devices"),
        ("UPDATE variants SET scenario = 'nr'", r"changed since the run came to its end: variants"),
        (
            "UPDATE meta SET value = json_set(value, '$.seed', 9) WHERE key = 'config'",
            r"changed since the run came to its end: meta.config",
        ),
        (
            "INSERT INTO tokens SELECT variant, request, position + 9, token, begin_ns, end_ns FROM tokens",
            "tokens, variant 1, request 0, position 13: is on record, but did not come again",
        ),
        (
            "INSERT INTO quality SELECT variant, request + 9, metric, value FROM quality",
            "quality, variant 1, request 9: is on record, but did not come again",
        ),
        (
            "INSERT INTO transfers SELECT variant, exchange + 99, device, tokens, downlink_bytes, compute_ns, "
            "uplink_bytes, status, NULL, NULL, NULL, NULL, NULL, NULL FROM transfers WHERE exchange = 1 AND device = 0",
            "transfers, variant 1, exchange 100: is on record",
        ),
        (
            "INSERT INTO variants SELECT variant + 9, policy, network, scenario, parameters, versions, begin_ns, "
            "bandwidth_hz, policy_sources, NULL, NULL, NULL, others, sites FROM variants",
            "variants, variant 10: is on record",
        ),
    ],
)
def test_the_replay_says_what(recorded, tmp_path, change, words):
    (tmp_path / "run").mkdir()
    shutil.copy(recorded / FILE_NAME, tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute(change)
    with pytest.raises(Diverged, match=words):
        replay(tmp_path / "run")


def test_where_things_lay_is_no_part_of_a_run(recorded, tmp_path):
    """Another folder of the run, of its inputs and of its record, and another wall clock."""
    again = small_run(tmp_path, "policy.weight-to-latency.threshold=0.5", *SERVICE)
    assert fingerprint_of(again) == fingerprint_of(recorded)
    with closing(Journal.open(again)) as journal, closing(Journal.open(recorded)) as other:
        assert journal.meta("config") != other.meta("config")
        assert json.loads(journal.meta("seal")) == json.loads(other.meta("seal"))
        for variant in (1, 2):
            assert journal.fingerprint(variant) == other.fingerprint(variant)
    replay(again)


def test_a_variant_s_fingerprint_knows_nothing_of_the_others(recorded, tmp_path):
    with closing(Journal.open(recorded)) as journal:
        first, second = journal.fingerprint(1), journal.fingerprint(2)
    other = small_run(tmp_path, "policy.weight-to-latency.threshold=0.25", *SERVICE)
    with closing(Journal.open(other)) as journal:
        assert journal.fingerprint(1) == first
        assert journal.fingerprint(2) != second
