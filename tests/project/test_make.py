# SPDX-License-Identifier: Apache-2.0
"""`make` on a machine that lacks something says what, and which package brings it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


def make_prerequisites(tools: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """`make prerequisites` with nothing on the path but what lies in `tools`."""
    command = [shutil.which("make") or "make", "--no-print-directory", "prerequisites"]
    command += [f"{name}={value}" for name, value in settings.items()]
    return subprocess.run(command, cwd=ROOT, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)


@pytest.fixture
def tools(tmp_path) -> Path:
    for tool in ("sh", "g++", "make", "cmake"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    return tmp_path


def test_nothing_is_missing_here(tools):
    done = make_prerequisites(tools)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("tool", ["g++", "cmake", "python3"])
def test_a_missing_tool_is_named_with_its_package(tools, tool):
    (tools / tool).unlink()
    done = make_prerequisites(tools)
    assert done.returncode != 0
    assert f"missing: {tool}, from the package {tool}" in done.stdout
    assert "apt-get install" in done.stdout


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.version_info = (3, 10)", "Python 3.11 to 3.13"),
        ("import sys; sys.version_info = (3, 14)", "Python 3.11 to 3.13"),
        ("import sys; sys.modules['ensurepip'] = None", "python3-venv"),
        ("import sysconfig; sysconfig.get_path = lambda name: '/nowhere'", "python3-dev"),
    ],
)
def test_an_incomplete_python_is_named_with_its_package(tools, code, words):
    """A Python that has run `code` before anything else."""
    python = (tools / "python3").resolve()
    (tools / "python3").unlink()
    (tools / "python3").write_text(f'#!/bin/sh\nexec {python} -c "$(printf \'%s\\n%s\' "{code}" "$2")"\n')
    (tools / "python3").chmod(0o755)
    (tools / "printf").symlink_to(shutil.which("printf"))
    done = make_prerequisites(tools)
    assert done.returncode != 0
    assert words in done.stdout
