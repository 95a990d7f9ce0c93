# SPDX-License-Identifier: GPL-2.0-only
"""Compiling the native library: once, whoever asks, and with an error that helps when it cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ns3_scenarios.wheel import build

ASK = """
import sys
from pathlib import Path
from ns3_scenarios.wheel import build
build.SOURCES = Path(sys.argv[1])
print(build.library())
"""

COUNTING_COMPILER = """#!/bin/sh
case "$*" in *--version*) ;; *) echo "$*" >> {log} ;; esac
exec g++ "$@"
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "answer.cc").write_text('extern "C" int answer() { return 42; }\n')
    return folder


def ask(sources: Path, cache: Path, compiler: str = "g++") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", ASK, str(sources)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "CXX": compiler},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_compile_once_and_a_third_not_at_all(sources, tmp_path):
    log, compiler = tmp_path / "log", tmp_path / "counting-g++"
    compiler.write_text(COUNTING_COMPILER.format(log=log))
    compiler.chmod(0o755)
    both = [ask(sources, tmp_path, str(compiler)) for _ in range(2)]
    places = {process.communicate()[0].strip() for process in both}
    places.add(ask(sources, tmp_path, str(compiler)).communicate()[0].strip())
    assert len(places) == 1
    assert Path(places.pop()).is_file()
    assert len(log.read_text().splitlines()) == 2  # one source compiled, one library linked


def test_changed_sources_make_another_library(sources, tmp_path):
    before = ask(sources, tmp_path).communicate()[0].strip()
    (sources / "answer.cc").write_text('extern "C" int answer() { return 43; }\n')
    after = ask(sources, tmp_path).communicate()[0].strip()
    assert Path(before).is_file()
    assert Path(after).is_file()
    assert before != after


def test_a_failed_compilation_says_why_and_leaves_no_library(sources, tmp_path):
    (sources / "answer.cc").write_text("int answer() { return forty_two; }\n")
    process = ask(sources, tmp_path)
    assert "forty_two" in process.communicate()[1]
    assert process.returncode != 0
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("CXX", "no-such-g++", ["no-such-g++", "apt-get install g++"]),
        ("XDG_CACHE_HOME", __file__, [__file__, "XDG_CACHE_HOME"]),
    ],
)
def test_a_missing_compiler_or_cache_folder_is_named_with_the_cure(variable, value, named):
    command = [sys.executable, "-m", "ns3_scenarios.wheel.build"]
    done = subprocess.run(command, env={**os.environ, variable: value}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert all(word in done.stderr for word in named)
    assert "Traceback" not in done.stderr


def test_a_wheel_library_that_is_not_there_is_named():
    with pytest.raises(build.BuildError, match="teleport"):
        build.wheel_library("teleport")


def test_the_batches_that_are_checked_hold_every_source_once():
    command = [sys.executable, "-m", "ns3_scenarios.wheel.build", "--batches"]
    batches = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    files = [Path(word.removeprefix("--extra-arg=")) for batch in batches for word in batch.split()]
    assert sorted(path for path in files if path.suffix == ".cc") == build.sources()
