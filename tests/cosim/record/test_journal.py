# SPDX-License-Identifier: Apache-2.0
"""The journal as a file: what it refuses, and that its documentation and its tables are one."""

import re
import sqlite3
from pathlib import Path

import pytest

from bridge.network import RequestError
from cosim.config import Config
from cosim.errors import JournalUnwritable
from cosim.record.journal import FILE_NAME, SCHEMA_VERSION, Journal
from cosim.record.schema import columns
from tests import ROOT


@pytest.fixture
def run_folder(tmp_path) -> Path:
    journal = Journal.create(tmp_path, Config(seed=5), {"torch": "1"})
    journal.add_event(None, "kept", "this stays")
    journal.close()
    return tmp_path


def test_a_journal_reads_as_written(run_folder):
    journal = Journal.open(run_folder)
    assert journal.config["seed"] == 5
    assert journal.rows("SELECT kind, message FROM events") == [("kept", "this stays")]
    journal.close()


def test_a_journal_is_never_overwritten(run_folder):
    with pytest.raises(RequestError, match="holds a journal already"):
        Journal.create(run_folder, Config(), {})
    assert Journal.open(run_folder).rows("SELECT kind FROM events") == [("kept",)]


def test_reading_changes_nothing(run_folder):
    before = (run_folder / FILE_NAME).read_bytes()
    journal = Journal.open(run_folder)
    with pytest.raises(JournalUnwritable, match="readonly"):
        journal.add_event(None, "no", "no")
    journal.close()
    assert (run_folder / FILE_NAME).read_bytes() == before
    assert [file.name for file in run_folder.iterdir()] == [FILE_NAME]


def test_a_journal_can_be_read_while_it_is_written(tmp_path):
    writer = Journal.create(tmp_path, Config(), {})
    writer.add_event(None, "first", "")
    reader = Journal.open(tmp_path)
    writer.add_event(None, "second", "")
    assert reader.rows("SELECT kind FROM events ORDER BY event") == [("first",), ("second",)]
    reader.close()
    writer.close()


def test_what_is_no_journal_is_refused_by_name(run_folder, tmp_path):
    file = run_folder / FILE_NAME
    for folder, words in ((tmp_path / "none", "holds no"), (tmp_path.parent, "holds no")):
        with pytest.raises(RequestError, match=words):
            Journal.open(folder)
    whole = file.read_bytes()
    for content, words in (
        (b"not a database at all" * 100, "no journal, or damaged"),
        (whole[: len(whole) // 2], "damaged"),
        (whole[:4096] + bytes(len(whole) - 4096), "damaged"),
    ):
        file.write_bytes(content)
        with pytest.raises(RequestError, match=words):
            Journal.open(run_folder)


@pytest.mark.parametrize(
    ("pragma", "words"),
    [
        ("application_id = 1", "no journal of ours"),
        (f"user_version = {SCHEMA_VERSION + 1}", f"schema version {SCHEMA_VERSION + 1}"),
    ],
)
def test_a_foreign_or_other_version_is_refused(run_folder, pragma, words):
    with sqlite3.connect(run_folder / FILE_NAME) as db:
        db.execute(f"PRAGMA {pragma}")
    db.close()
    with pytest.raises(RequestError, match=words):
        Journal.open(run_folder)


def test_the_documentation_describes_the_schema():
    """Its version; each table has a section, in which each column is a row of its own, in order; each older version."""
    text = (ROOT / "docs/runs/journal.md").read_text()
    assert re.findall(r"`user_version`\s+the schema's version, (\d+)", text) == [str(SCHEMA_VERSION)]
    assert re.findall(r"RUN-schema-(\d+)", text) == [str(SCHEMA_VERSION)]
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(version) for version in range(1, SCHEMA_VERSION)]
    assert re.findall(r"^## `(\w+)`", text, re.MULTILINE) == list(columns())
    for table, its_columns in columns().items():
        section = text.split(f"## `{table}`")[1].split("\n## ")[0]
        names = [column.name for column in its_columns]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == names
