# SPDX-License-Identifier: Apache-2.0
"""Journals of every schema that there was, made into ones of today's: nothing recorded is lost, nothing is made up.

`tests/support/journals` holds one of each, written by the code of its time (`tests/support/journals/make.py`).
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cosim
from bridge.network import RequestError
from cosim import cli
from cosim.experiment import replay, what_if
from cosim.record.journal import FILE_NAME, Journal
from cosim.record.migrations import STEPS, migrate
from cosim.record.schema import SCHEMA_VERSION, columns, columns_of, tables_of
from cosim.results import tables
from cosim.results.routing_trace import write_routing
from cosim.results.summary import summarise
from tests import ROOT
from tests.support.command import said
from tests.support.routing_traces import make_rows, write_rows

JOURNALS = ROOT / "tests" / "support" / "journals"
OLD = sorted(file.stem for file in JOURNALS.glob("*.sqlite") if file.stem != f"schema-{SCHEMA_VERSION}")
WITH_CHANNEL = [name for name in OLD if int(name.split("-")[1]) >= 3]
ONE_BY_ONE = [name for name in WITH_CHANNEL if int(name.split("-")[1]) < 10]  # the others are of services
RECORDED_ROUTING = WITH_CHANNEL


def old_run(folder: Path, name: str) -> Path:
    """A run folder as that version left it, with a log beside the journal."""
    run = folder / "run"
    run.mkdir()
    shutil.copy(JOURNALS / f"{name}.sqlite", run / FILE_NAME)
    (run / "ns3.log").write_text("what ns-3 said")
    return run


@pytest.fixture(scope="module")
def migrated(tmp_path_factory) -> dict[str, Path]:
    """The old journals by name, migrated into new folders."""
    runs = {}
    for name in OLD:
        folder = tmp_path_factory.mktemp(name)
        migrate(old_run(folder, name), folder / "new")
        runs[name] = folder / "new"
    return runs


def rows(db: sqlite3.Connection, table: str, names: list[str]) -> list[Any]:
    return sorted(map(repr, db.execute(f"SELECT {', '.join(names)} FROM {table}")))


def test_there_is_one_of_each_version_and_a_step_from_each():
    assert sorted({int(name.split("-")[1]) for name in OLD}) == list(range(1, SCHEMA_VERSION)) == sorted(STEPS)


def test_the_schema_is_the_one_of_its_number():
    """Whoever changes `schema.sql` counts its version on, and puts a journal of the new one here."""
    with closing(sqlite3.connect(f"file:{JOURNALS}/schema-{SCHEMA_VERSION}.sqlite?immutable=1", uri=True)) as db:
        assert {table: columns_of(db, table) for table in tables_of(db)} == columns()
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


@pytest.mark.parametrize("name", OLD)
def test_an_old_journal_is_refused_with_what_to_do(tmp_path, name):
    run = old_run(tmp_path, name)
    with pytest.raises(
        RequestError, match=rf"schema version \d+, and .* reads version {SCHEMA_VERSION}; `cosim migrate"
    ):
        Journal.open(run)


@pytest.mark.parametrize("name", OLD)
def test_all_that_was_recorded_is_there_and_the_rest_is_null_and_named(migrated, name):
    with (
        closing(sqlite3.connect(f"file:{JOURNALS}/{name}.sqlite?immutable=1", uri=True)) as old,
        closing(Journal.open(migrated[name])) as journal,
    ):
        new = journal.db
        unrecorded = json.loads(journal.meta("migrated"))["unrecorded"]
        for table in set(tables_of(old)) - {"meta"}:
            names = [column.name for column in columns_of(old, table)]
            assert [row.replace("'wdmoe'", "'weight-to-latency'") for row in rows(old, table, names)] == rows(
                new, table, names
            )
            added = {column.name for column in columns()[table]} - set(names) - {"begin_ns", "chosen_k"}
            assert added == set(unrecorded.get(table, [])) - ({"predicted_s"} & set(names))
            for column in added:
                assert new.execute(f"SELECT count({column}) FROM {table}").fetchone() == (0,)
        recorded, meta = (dict(db.execute("SELECT key, value FROM meta")) for db in (old, new))
        for key in recorded.keys() - {"config", "seal"}:
            assert meta[key] == recorded[key]
        config = recorded["config"].replace('"wdmoe"', '"weight-to-latency"')
        was, is_ = json.loads(config), json.loads(meta["config"])
        assert all(
            is_[key] == value or (isinstance(value, dict) and is_[key].items() >= _known(value).items())
            for key, value in was.items()
        )
        assert is_["networks"] == was.get("networks", ["live"])
        assert journal.is_finished()
        assert journal.changed_since_its_end() == []


def _known(section: dict[str, Any]) -> dict[str, Any]:
    """A section of the configuration without what was null, which no section has today."""
    return {key: value for key, value in section.items() if value is not None}


def test_when_the_network_was_ready_is_found_again(tmp_path):
    """Where version 2 recorded it, what version 1's step takes from the first exchange is the same."""
    run = old_run(tmp_path, "schema-2")
    with closing(sqlite3.connect(run / FILE_NAME)) as db, db:
        recorded = db.execute("SELECT begin_ns FROM variants").fetchall()
        db.execute("ALTER TABLE variants DROP COLUMN begin_ns")
        db.execute("PRAGMA user_version = 1")
    migrate(run, tmp_path / "new")
    with closing(Journal.open(tmp_path / "new")) as journal:
        assert journal.rows("SELECT begin_ns FROM variants") == recorded


@pytest.mark.parametrize("name", OLD)
def test_it_is_shown_loaded_and_exported(migrated, monkeypatch, capsys, tmp_path, name):
    monkeypatch.setattr("sys.argv", ["cosim", "show", str(migrated[name])])
    assert cli.run_command() == 0
    shown = capsys.readouterr().out
    assert "TPOT" in shown
    assert "changed since" not in shown
    with closing(Journal.open(migrated[name])) as journal:
        exchanges = journal.rows("SELECT count(*) FROM exchanges")[0][0]
        assert all(variant.virtual_s > 0 for variant in summarise(journal))
    frames = cosim.load(migrated[name])
    assert len(frames["exchanges"]) == len(frames["routing"]) == exchanges
    assert len(tables.export(migrated[name], tmp_path / "files")) == len(columns())


@pytest.mark.parametrize("name", OLD)
def test_every_exchange_is_read_back(migrated, name):
    """As a resumed run and a replay read it."""
    with closing(Journal.open(migrated[name])) as journal:
        for variant, exchange, end_ns in journal.rows("SELECT variant, exchange, end_ns FROM exchanges"):
            recorded = journal.recorded(variant, exchange)
            assert recorded is not None
            assert recorded.outcome.now_ns == end_ns
            if exchange == 1:
                assert bool(recorded.outcome.channel) == (name in WITH_CHANNEL)


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> Iterator[Path]:
    """The folder in which the runs of recorded routing find what they read."""
    write_rows(make_rows(2, 4, 2), tmp_path / "trace.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", RECORDED_ROUTING)
def test_it_replays_exactly(migrated, inputs, name):
    replay(migrated[name])


def test_what_was_not_recorded_is_not_compared(migrated, inputs, tmp_path):
    """As a journal of version 1 would replay that lacks what the base station expected."""
    run = old_run(tmp_path, "schema-4")
    with closing(sqlite3.connect(run / FILE_NAME)) as db, db:
        db.execute("ALTER TABLE routing DROP COLUMN predicted_s")
        db.execute("PRAGMA user_version = 1")
    migrate(run, tmp_path / "new")
    replay(tmp_path / "new")


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_it_gives_traces_and_routing_and_answers_what_ifs(migrated, inputs, name):
    from cosim.results.rate_traces import export

    assert len([path for path in export(migrated[name], inputs / "traces") if path.suffix == ".csv"]) == 4
    assert write_routing(migrated[name], inputs / "routing.parquet") == 4
    what_if(migrated[name], policies=["weight-to-latency"], out=inputs / "answer")
    with closing(Journal.open(inputs / "answer")) as journal:
        assert journal.is_finished()


@pytest.mark.parametrize("name", sorted(set(OLD) - set(WITH_CHANNEL)))
def test_without_a_channel_record_it_says_so(migrated, inputs, name):
    from cosim.results.rate_traces import export

    for ask in (
        lambda: export(migrated[name], inputs / "traces"),
        lambda: what_if(migrated[name], policies=["weight-to-latency"], out=inputs / "answer"),
    ):
        with pytest.raises(RequestError, match="keeps no channel record"):
            ask()
    with pytest.raises(RequestError, match="does not say which model ran; it was made before schema version 3"):
        write_routing(migrated[name], inputs / "routing.parquet")


def test_by_default_it_goes_beside_the_run_with_all_else_and_the_old_one_stays(tmp_path, monkeypatch, capsys):
    run = old_run(tmp_path, "schema-2")
    before = (run / FILE_NAME).read_bytes()
    assert said(["migrate", str(run)], monkeypatch, capsys) == (0, "")
    new = tmp_path / f"run-schema-{SCHEMA_VERSION}"
    assert sorted(file.name for file in new.iterdir()) == [FILE_NAME, "ns3.log"]
    assert sorted(file.name for file in run.iterdir()) == [FILE_NAME, "ns3.log"]
    assert (run / FILE_NAME).read_bytes() == before
    code, words = said(["migrate", str(run)], monkeypatch, capsys)
    assert (code, f"{new.name} is not empty" in words) == (2, True)
    code, words = said(["migrate", str(run), str(run / "new")], monkeypatch, capsys)
    assert (code, "lies in the run's own folder" in words) == (2, True)
    code, words = said(["migrate", str(new)], monkeypatch, capsys)
    assert (code, "nothing to migrate" in words) == (2, True)


def test_in_place_the_old_journal_is_kept(tmp_path, monkeypatch, capsys):
    run = old_run(tmp_path, "schema-3")
    before = (run / FILE_NAME).read_bytes()
    code, words = said(["migrate", str(run), str(tmp_path / "new"), "--in-place"], monkeypatch, capsys)
    assert (code, "leave one of them away" in words) == (2, True)
    assert said(["migrate", str(run), "--in-place"], monkeypatch, capsys) == (0, "")
    assert sorted(file.name for file in run.iterdir()) == ["journal.schema-3.sqlite", FILE_NAME, "ns3.log"]
    assert (run / "journal.schema-3.sqlite").read_bytes() == before
    Journal.open(run).close()


def test_what_a_killed_run_left_in_its_write_ahead_log_is_migrated_too(tmp_path):
    run = old_run(tmp_path, "schema-4")
    (tmp_path / "killed").mkdir()
    with closing(sqlite3.connect(run / FILE_NAME, isolation_level=None)) as db:
        db.execute("INSERT INTO events VALUES (99, NULL, 'late', 'in the log')")
        for file in run.iterdir():
            shutil.copy(file, tmp_path / "killed")
    assert (tmp_path / "killed" / f"{FILE_NAME}-wal").stat().st_size
    migrate(tmp_path / "killed", tmp_path / "new")
    migrate(tmp_path / "killed", in_place=True)
    for folder in ("new", "killed"):
        with closing(Journal.open(tmp_path / folder)) as journal:
            assert journal.rows("SELECT message FROM events WHERE event = 99") == [("in the log",)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE meta SET value = '{' WHERE key = 'config'", "meta, key config is no JSON"),
        ("UPDATE meta SET value = '{\"a\": 1}' WHERE key = 'config'", "meta, key config .*unknown field `a`"),
        ("UPDATE meta SET value = '[]' WHERE key = 'versions'", "meta, key versions is not what belongs there"),
        ("DELETE FROM meta", "meta has no config"),
        ("DROP TABLE meta", "no (such )?table:? meta"),
        ("DROP TABLE routing", "no (such )?table:? routing"),
        ("DROP TABLE tokens", "it has no table tokens"),
        ("ALTER TABLE tokens DROP COLUMN end_ns", "the table tokens has no column end_ns"),
        ("UPDATE exchanges SET phase = 'x'", "exchanges, variant 1, exchange 1: phase is unknown"),
        ("UPDATE exchanges SET end_ns = 'x'", "end_ns is no INTEGER"),
        ("UPDATE routing SET gate_weights = x'00'", "gate_weights has not as many bytes"),
    ],
)
@pytest.mark.parametrize("name", ["schema-1-first", "schema-3"])
def test_a_damaged_old_journal_is_refused_by_name_and_left_alone(tmp_path, name, change, words):
    run = old_run(tmp_path, name)
    with closing(sqlite3.connect(run / FILE_NAME)) as db, db:
        db.execute(change)
    before = (run / FILE_NAME).read_bytes()
    for in_place in (False, True):
        with pytest.raises(RequestError, match=words):
            migrate(run, in_place=in_place)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert sorted(file.name for file in run.iterdir()) == [FILE_NAME, "ns3.log"]
    assert (run / FILE_NAME).read_bytes() == before
