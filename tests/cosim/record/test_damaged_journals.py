# SPDX-License-Identifier: Apache-2.0
"""A damaged journal is refused by every command that opens a run: by name, with exit code 2, and nothing is touched."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import cosim
from bridge.network import RequestError
from cosim.record.journal import FILE_NAME
from cosim.record.schema import SCHEMA_VERSION, TABLES, columns
from tests.support.command import said
from tests.support.small_run import SERVICE, scored, small_run

COMMANDS: dict[str, list[str]] = {
    "show": ["show", "run"],
    "resume": ["resume", "run"],
    "replay": ["replay", "run"],
    "what-if": ["replay", "run", "--policy", "top-k", "--out", "new"],
    "validate": ["replay", "run", "--validate", "--out", "new"],
    "export": ["export", "run", "new"],
    "traces": ["traces", "run", "new"],
    "routing": ["routing", "run", "new"],
    "run --or-resume": ["run", "--or-resume", "--out", "run"],
    "migrate": ["migrate", "run", "new"],
    "migrate --in-place": ["migrate", "run", "--in-place"],
}

Damage = str | Callable[[Path], None]


def file_damage(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return damage


def without_exchanges(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("exchanges", "passes", "pass_rows"):
            db.execute(f"DELETE FROM {table}")


def json_damages(key: str) -> dict[str, tuple[Damage, str]]:
    """What a key of `meta` may have become."""
    update = f"UPDATE meta SET value = '%s' WHERE key = '{key}'"
    return {
        f"{key} is no JSON": (update % '{"seed": ', f"meta, key {key} is no JSON"),
        f"{key} is empty": (update % "", f"meta, key {key} is no JSON"),
        f"{key} is a list": (update % "[1]", f"meta, key {key} is not what belongs there"),
        f"{key} is nested without end": (update % ("[" * 100_000), f"meta, key {key} is not what belongs there"),
    }


def dropped(table: str) -> dict[str, tuple[Damage, str]]:
    """A table that is gone, or another one, or without a column, or with one under another name."""
    last = columns()[table][-1].name
    return {
        f"no {table}": (f"DROP TABLE {table}", f"it has no table {table}"),
        f"no {table}.{last}": (f"ALTER TABLE {table} DROP COLUMN {last}", f"table {table} has no column {last}"),
        f"{table}.{last} renamed": (
            f"ALTER TABLE {table} RENAME COLUMN {last} TO other",
            f"table {table} has no column {last}",
        ),
        f"one more in {table}": (f"ALTER TABLE {table} ADD COLUMN more TEXT", f"columns of the table {table} are not"),
    }


def mistyped(table: str) -> dict[str, tuple[Damage, str]]:
    """Text in each column that holds something else, numbers in none that holds text."""
    return {
        f"{table}.{column.name} is text": (
            f"UPDATE {table} SET {column.name} = 'seven'",
            f"{table}, .*{column.name} is no {column.kind}",
        )
        for column in columns()[table]
        if column.kind != "TEXT" and not column.key
    }


def value(change: str, words: str) -> dict[str, tuple[Damage, str]]:
    return {change: (change, words)}


CONFIG = "UPDATE meta SET value = json_set(value, '{}', {}) WHERE key = 'config'"
CHANNEL = "UPDATE channel SET rows = CAST(substr(rows, 1, {}) || x'{}' || substr(rows, {}) AS BLOB) WHERE exchange = 1"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "nothing left": (file_damage(lambda whole: b""), "no journal of ours"),
    "a hundred bytes": (file_damage(lambda whole: whole[:100]), "no journal|damaged"),
    "one page": (file_damage(lambda whole: whole[:4096]), "damaged"),
    "half": (file_damage(lambda whole: whole[: len(whole) // 2]), "damaged"),
    "zeros": (file_damage(lambda whole: whole[:4096] + bytes(len(whole) - 4096)), "damaged"),
    "text": (file_damage(lambda whole: b"to whom it may concern " * 500), "no journal, or damaged"),
    "a foreign one": ("PRAGMA application_id = 1", "no journal of ours"),
    "a later one": (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", "wdmoe-cosim 0.* wrote it; use that or a later one"),
    **{name: damage for key in ("config", "versions", "model", "seal") for name, damage in json_damages(key).items()},
    **{
        f"no {key}": (f"DELETE FROM meta WHERE key = '{key}'", f"meta has no {key}")
        for key in ("config", "versions", "folder", "seal")
    },
    **value(CONFIG.format("$.seed", "'x'"), "meta, key config .*expected `int`, got `str`"),
    **value(CONFIG.format("$.radoi", "1"), "meta, key config .*unknown field `radoi`"),
    **value(CONFIG.format("$.exchange.wait", "'x'"), "meta, key config .*invalid enum value 'x'"),
    **value(
        "UPDATE meta SET value = json_remove(value, '$.shape.top_k') WHERE key = 'model'", "required field `top_k`"
    ),
    **value(
        "UPDATE meta SET value = json_set(value, '$.shape.experts', 9) WHERE key = 'model'", "not those of the model"
    ),
    **{name: damage for table in TABLES for name, damage in dropped(table).items()},
    **{name: damage for table in TABLES for name, damage in mistyped(table).items()},
    **value("UPDATE variants SET parameters = '{' WHERE variant = 2", "variants, variant 2: parameters is no JSON"),
    **value("UPDATE variants SET versions = '{\"a\": 1}'", "variants, variant 1: versions is not what belongs there"),
    **value("UPDATE variants SET bandwidth_hz = '[1]'", "variant 1: bandwidth_hz is not"),
    **value("UPDATE variants SET network = 'dead'", "variants, variant 1: network is unknown"),
    **value("UPDATE devices SET experts = '[\"a\"]'", "devices, variant 1, device 0: experts is not"),
    **value("UPDATE devices SET name = CAST(x'ff' AS TEXT)", "devices, name: Could not decode"),
    **value("DELETE FROM devices WHERE device = 0", "devices, variant 1, device 2: device is none of"),
    **value("DELETE FROM devices", "transfers, .*no such device"),
    **value("UPDATE exchanges SET phase = 'refill'", "exchanges, variant 1, exchange 1: phase is unknown"),
    **value("UPDATE exchanges SET wait = 'long'", "exchanges, variant 1, exchange 1: wait is unknown"),
    **value("UPDATE exchanges SET tokens = -1 WHERE exchange = 3", "exchange 3: a number is below 0"),
    **value("UPDATE exchanges SET position = 1 << 40", "exchanges, variant 1, exchange 1: a number is beyond 32 bits"),
    **value("UPDATE exchanges SET end_ns = 1 << 62", "exchange 1: depart_ns, end_ns and deadline_ns are not in order"),
    **value("UPDATE transfers SET status = 'gone'", "transfers, variant 1, exchange 1, device .: status is unknown"),
    **value("UPDATE transfers SET compute_ns = -5", "a size is below 0"),
    **value("UPDATE transfers SET device = 77 WHERE device = 1", "device 77: the variant has no such device"),
    **value("UPDATE links SET connected = 2", "connected is neither 0 nor 1"),
    **value("UPDATE links SET device = -1 WHERE device = 1", "device -1: the variant has no such device"),
    **value(
        "UPDATE channel SET rows = substr(rows, 2) WHERE exchange = 1",
        "exchange 1: rows has no whole",
    ),
    **value(CHANNEL.format(8, "ffff", 11), "channel, variant 1, exchange 1: a row of no device"),
    **value(CHANNEL.format(10, "09", 12), "channel, variant 1, exchange 1: a row of no direction"),
    **value(CHANNEL.format(16, "0000c07f", 21), "channel, variant 1, exchange 1: a capacity that is none"),
    **value(CHANNEL.format(0, "ffffffffffffff00", 9), "channel, variant 1, exchange 1: rows that are not in order"),
    **value("UPDATE channel SET rows = x'" + "ff" * 7 + "00" * 17 + "' WHERE exchange = 1", "channel, variant 1"),
    **value("UPDATE variants SET others = '[1]'", "variant 1: others is not"),
    **value("UPDATE variants SET sites = '[{}]'", "variant 1: sites is not"),
    **value("UPDATE tracks SET user = 4 WHERE user = 3", "tracks, .*user 4: the variant has no such user"),
    **value("UPDATE tracks SET time_ns = 1 << 60 WHERE user = 3", "tracks, .*user 3: time_ns is outside the exchange"),
    **value("UPDATE tracks SET time_ns = -1 WHERE user = 3", "tracks, .*user 3: time_ns is outside the exchange"),
    **value("UPDATE decisions SET count = 0", "decisions, variant 1: count is below 1"),
    **value("UPDATE decisions SET p50_s = -1.0", "decisions, variant 1: a time is below 0"),
    **{
        name: damage
        for column in columns()["routing"]
        if column.kind == "BLOB" and column.name != "chosen_devices"  # NULL without replicas
        for name, damage in value(
            f"UPDATE routing SET {column.name} = substr({column.name}, 3) WHERE exchange = 2",
            f"routing, variant 1, exchange 2: {column.name} has not",
        ).items()
    },
    **value("UPDATE routing SET tokens = 0", "routing, variant 1, exchange 1: a size is below 1"),
    **value("UPDATE exchanges SET tokens = tokens + 1 WHERE exchange = 4", "exchange 4: .* another number"),
    **value("UPDATE items SET line = -1", "items, variant 1, item 0: a number is below 0"),
    **value("DELETE FROM items WHERE item = 1", "scores, variant 1, item 1, metric acc: the variant has no such item"),
    **value("UPDATE requests SET prompt_tokens = 0", "requests, variant 1, request 0: a number is below 0"),
    **value("UPDATE requests SET new_tokens = 1 << 40", "requests, variant 1, request 0: a number is beyond 32 bits"),
    **value("UPDATE requests SET ending = 'lost'", "requests, variant 1, request 0: ending is unknown"),
    **value("UPDATE requests SET end_ns = -1", "arrival_ns, admitted_ns and end_ns are not in order"),
    **value("UPDATE passes SET waiting = -1", "passes, variant 1, exchange 1: a number is below 0"),
    **value("UPDATE passes SET end_ns = 0", "passes, variant 1, exchange .: begin_ns and end_ns are not in order"),
    **value("UPDATE passes SET exchange = exchange + 100", "passes, .*: the variant has no such exchange"),
    **value("UPDATE pass_rows SET phase = 'mixed'", "pass_rows, variant 1, exchange 1, row 0: phase is unknown"),
    **value("UPDATE pass_rows SET tokens = 0", "pass_rows, .*: a number is below 0"),
    **value("UPDATE pass_rows SET position = 1 << 40", "pass_rows, .*: a number is beyond 32 bits"),
    **value("UPDATE pass_rows SET exchange = exchange + 1", "pass_rows, .*: the variant has no such pass"),
    **value("UPDATE calls SET end_ns = until_ns + 1", "calls, variant 1, call 1: end_ns and until_ns are not in order"),
    **value("UPDATE calls SET exchange = -1", "calls, variant 1, call 1: a number is below 0"),
    **value("DELETE FROM calls WHERE call = 1", "messages, variant 1, call 1, message 0: the variant has no such call"),
    **value("UPDATE messages SET device = 7", "messages, variant 1, .*: the variant has no such device"),
    **value("UPDATE messages SET uplink = 2", "messages, .*: uplink is neither 0 nor 1"),
    **value("UPDATE messages SET size_bytes = 0", "messages, .*: a number is below 0"),
    **value("UPDATE messages SET request = 1 << 40", "messages, .*: a number is beyond 32 bits"),
    **value(
        "UPDATE messages SET deadline_ns = begin_ns - 1", "messages, .*: begin_ns and deadline_ns are not in order"
    ),
    **value("UPDATE deliveries SET status = 'gone'", "deliveries, .*: status is unknown"),
    **value("UPDATE deliveries SET end_ns = -1", "deliveries, .*: a number is below 0"),
    **value("UPDATE deliveries SET message = message + 100", "deliveries, .*: the variant has no such message"),
    **value("UPDATE deliveries SET call = call + 100", "deliveries, .*: the variant has no such call"),
    **value("UPDATE tokens SET token = -7", "tokens, variant 1, request 0, position 4: a number is below 0"),
    **value("UPDATE tokens SET end_ns = 0", "tokens, .*begin_ns and end_ns are not in order"),
    **value("DELETE FROM exchanges", "passes, variant 1, exchange 1: the variant has no such exchange"),
    "no exchanges and passes": (
        without_exchanges,
        "tokens, variant 1, request 0, position 4: the variant has no exchange",
    ),
}


@pytest.fixture(autouse=True, scope="module")
def items() -> Iterator[None]:
    with scored():
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("small"), *SERVICE)


@pytest.fixture
def damaged(recorded, tmp_path, monkeypatch) -> Callable[[Damage], Path]:
    """A damaged copy of the run in the current folder, under the name `run`."""
    monkeypatch.chdir(tmp_path)

    def damage(how: Damage) -> Path:
        Path("run").mkdir()
        path = Path(shutil.copy(recorded / FILE_NAME, Path("run")))
        if callable(how):
            how(path)
        else:
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                for (view,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
                    db.execute(f"DROP VIEW {view}")  # SQLite takes no column from under one
                db.execute(how)
        return path

    return damage


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_refused_by_name(damaged, monkeypatch, capsys, damage):
    how, words = DAMAGES[damage]
    path = damaged(how)
    before = path.read_bytes()
    for command in COMMANDS.values():
        code, text = said(command, monkeypatch, capsys)
        assert code == 2, text
        assert text.startswith("cosim: RUN: run/journal.sqlite "), text
        assert len(text.splitlines()) == 1
        assert re.search(words, text), text
    with pytest.raises(RequestError, match=words):
        cosim.load("run")
    assert path.read_bytes() == before
    assert [each.name for each in Path().iterdir()] == ["run"]


def test_without_events_a_run_is_one_that_did_not_end(damaged, monkeypatch, capsys):
    """Deleted events are no damage that can be told from an early end; the seal still holds for the rest."""
    path = damaged("DELETE FROM events")
    assert said(["show", "run"], monkeypatch, capsys) == (0, "")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE links SET cqi = 9 WHERE exchange = 1")
    code, words = said(["replay", "run"], monkeypatch, capsys)
    assert (code, "changed since the run came to its end: links" in words) == (1, True)


def test_a_run_whose_write_ahead_log_is_gone_is_named_or_shorter(recorded, tmp_path, monkeypatch, capsys):
    """What was copied without it is what was merged into the file by then: here, nothing of the latest change."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recorded, "live")
    with closing(sqlite3.connect(Path("live", FILE_NAME), isolation_level=None)) as db:
        db.execute("UPDATE tokens SET token = 5")
        Path("run").mkdir()
        shutil.copy(Path("live", FILE_NAME), "run")
        assert (tmp_path / "live" / f"{FILE_NAME}-wal").stat().st_size
    assert said(["show", "run"], monkeypatch, capsys) == (0, "")
    assert said(["replay", "run"], monkeypatch, capsys) == (0, "")


@pytest.mark.parametrize("change", ["metric = 'other' WHERE metric = 'proxy_gate_weight'", "value = 9e999"])
def test_quality_that_is_none_is_named_by_who_reads_it(damaged, monkeypatch, capsys, change):
    damaged(f"UPDATE quality SET {change}")
    code, words = said(["show", "run"], monkeypatch, capsys)
    assert (code, "is damaged: quality, variant 1: the metrics are not " in words) == (2, True)
    code, words = said(["replay", "run"], monkeypatch, capsys)
    assert (code, "cosim: quality, variant 1" in words) == (1, True)


def test_scores_that_are_none_are_shown_as_they_are(damaged, monkeypatch, capsys):
    damaged("UPDATE scores SET metric = 'nll_nats' WHERE item = 1")
    assert said(["show", "run"], monkeypatch, capsys) == (0, "")


def test_rows_without_their_exchange_are_named_by_who_needs_it(damaged, monkeypatch, capsys):
    damaged("DELETE FROM channel WHERE exchange = 3")
    code, words = said(["replay", "run"], monkeypatch, capsys)
    assert (code, "channel has no row of variant 1, exchange 3" in words) == (2, True)
    assert said(["show", "run"], monkeypatch, capsys) == (0, "")


def test_routing_without_an_exchange_leaves_no_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(small_run(tmp_path) / FILE_NAME)) as db, db:
        db.execute("DELETE FROM routing WHERE exchange = 3")
    code, words = said(["routing", "run", "file"], monkeypatch, capsys)
    assert (code, "its tokens are not those of its exchanges" in words) == (2, True)
    assert not Path("file").exists()
