# SPDX-License-Identifier: Apache-2.0
"""`cosim doctor`: all is well here, and what is not is named with its mend."""

import json
import sqlite3
import sys
from importlib.metadata import version

import pytest

from bridge.keys import make_keys
from cosim import cli
from cosim.doctor import examination


def doctor(monkeypatch, capsys, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and what was found of each part."""
    monkeypatch.setattr(sys, "argv", ["cosim", "doctor", "--json", *arguments])
    code = cli.run_command()
    return code, {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}


@pytest.fixture
def quick(monkeypatch):
    """Without the parts whose test takes seconds."""
    for part in ("_native", "_ns3", "_model"):
        monkeypatch.setattr(examination, part, lambda: "not looked at")


def test_all_is_well_where_the_tests_run(monkeypatch, capsys, tmp_path):
    make_keys(tmp_path)
    code, found = doctor(monkeypatch, capsys, "--keys", str(tmp_path))
    assert (code, [part for part, finding in found.items() if finding["mend"]]) == (0, [])
    assert f"torch {version('torch')}" in found["packages"]["found"]
    assert sqlite3.sqlite_version in found["SQLite"]["found"]
    assert found["keys"]["found"].endswith("both sides")


@pytest.mark.usefixtures("quick")
def test_a_package_that_does_not_fit_is_named(monkeypatch, capsys):
    wanted = ["numpy>=99", "no-such-package>=1", "pandas>=99; extra == 'tables'"]
    monkeypatch.setattr(examination, "requires", lambda name: wanted)
    code, found = doctor(monkeypatch, capsys)
    assert code == 1
    assert found["packages"]["found"] == f"numpy {version('numpy')} is not >=99; no-such-package is missing"
    assert "pip install" in found["packages"]["mend"]
    assert f"pandas {version('pandas')} is not >=99" in found["extras"]["found"]
    assert not found["extras"]["mend"]


@pytest.mark.usefixtures("quick")
def test_a_compiler_that_is_not_there_is_named(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "/no/such/g++")
    code, found = doctor(monkeypatch, capsys)
    assert (code, found["C++ compiler"]["found"]) == (1, "/no/such/g++ is not there")
    assert "g++" in found["C++ compiler"]["mend"]


@pytest.mark.usefixtures("quick")
def test_keys_that_are_not_there_are_named(monkeypatch, capsys, tmp_path):
    code, found = doctor(monkeypatch, capsys, "--keys", str(tmp_path))
    assert code == 1
    assert "cosim keys" in found["keys"]["mend"]


@pytest.mark.usefixtures("quick")
def test_what_breaks_in_a_part_does_not_hide_the_others(monkeypatch, capsys):
    def breaks() -> str:
        raise ImportError("libns3.44-core.so: cannot open shared object file")

    monkeypatch.setattr(examination, "_ns3", breaks)
    code, found = doctor(monkeypatch, capsys)
    assert code == 1
    assert "libns3.44-core.so" in found["ns-3"]["found"]
    assert found["model"]["found"] == "not looked at"
