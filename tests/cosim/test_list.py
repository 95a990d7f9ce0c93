# SPDX-License-Identifier: Apache-2.0
"""`cosim list`: the runs that lie in a folder."""

import json
import os
import shutil
import sqlite3
import sys
from datetime import UTC, datetime

from cosim import cli
from cosim.record.schema import SCHEMA_VERSION
from tests.support.small_run import small_run


def listed(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["cosim", "list", *arguments])
    code = cli.run_command()
    out, err = capsys.readouterr()
    return code, out, err


def test_each_run_has_a_line_with_its_state(monkeypatch, capsys, tmp_path):
    (tmp_path / "a").mkdir()
    whole = small_run(tmp_path / "a")
    begun, older, broken = (tmp_path / name for name in ("b/deeper/run", "c", "d"))
    for copy in (begun, older, broken):
        shutil.copytree(whole, copy)
    with sqlite3.connect(begun / "journal.sqlite") as db:
        db.execute("DELETE FROM events WHERE kind = 'finished'")
    with sqlite3.connect(older / "journal.sqlite") as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    (broken / "journal.sqlite").write_bytes(b"no journal")
    code, out, _ = listed(monkeypatch, capsys, str(tmp_path), "--json")
    assert code == 0
    runs = {run["run"]: run for run in json.loads(out)}
    assert list(runs) == sorted(map(str, (whole, begun, older, broken)))
    assert runs[str(whole)]["state"] == "finished"
    assert runs[str(begun)]["state"] == "begun"
    assert runs[str(older)]["state"] == f"schema {SCHEMA_VERSION - 1}; cosim migrate"
    assert "no journal" in runs[str(broken)]["state"]
    with sqlite3.connect(whole / "journal.sqlite") as db:
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("exchanges", "tokens")]
    assert [runs[str(whole)][name] for name in ("exchanges", "tokens")] == counts


def test_when_it_was_made_is_what_the_run_says_whenever_its_file_was_changed(monkeypatch, capsys, tmp_path):
    run = small_run(tmp_path)
    with sqlite3.connect(run / "journal.sqlite") as db:
        db.execute("UPDATE meta SET value = json_set(value, '$.when', '2026-03-04T05:06:07+00:00') WHERE key = 'made'")
    local = datetime(2026, 3, 4, 5, 6, tzinfo=UTC).astimezone()
    (line,) = json.loads(listed(monkeypatch, capsys, str(tmp_path), "--json")[1])
    assert line["when"] == local.strftime("%Y-%m-%d %H:%M")
    with sqlite3.connect(run / "journal.sqlite") as db:
        db.execute("DELETE FROM meta WHERE key = 'made'")
    os.utime(run / "journal.sqlite", (1e9, 1e9))
    (line,) = json.loads(listed(monkeypatch, capsys, str(tmp_path), "--json")[1])
    assert line["when"] == datetime.fromtimestamp(1e9).strftime("%Y-%m-%d %H:%M")


def test_where_there_is_none_it_says_so(monkeypatch, capsys, tmp_path):
    assert listed(monkeypatch, capsys, str(tmp_path))[1] == f"no runs in {tmp_path}; cosim run makes one\n"
    code, _, err = listed(monkeypatch, capsys, str(tmp_path / "none"))
    assert (code, "FOLDER" in err) == (2, True)
