# SPDX-License-Identifier: Apache-2.0
"""Where nothing can be written: every command says so by name, with exit code 2, and leaves nothing behind."""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cosim import cli, config
from cosim.experiment import run
from cosim.experiment import what_if as ask
from cosim.networks import link_model, what_if
from cosim.record import journal
from cosim.reporting import live
from cosim.results import rate_traces, routing_trace, tables, validation
from tests.support.routing_traces import make_rows, write_rows

COSIM = [sys.executable, "-m", "cosim.cli"]
LOADED = (journal, link_model, live, routing_trace, tables, rate_traces, validation, what_if)
"""What commands import when they run: here before rights are given up."""
NOBODY = 65534


@pytest.fixture(scope="module")
def recorded() -> Iterator[Path]:
    """A folder that everybody may read, with `run`, a whole one on ns-3, `begun`, half of it, and its `routing`."""
    with tempfile.TemporaryDirectory(prefix="cosim-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        routing = write_rows(make_rows(requests=1), folder / "routing.parquet")
        settings = [f"model.routing={routing}", "radio.devices=2"]
        run(config.load(None, settings, scenario="wired"), out=folder / "run")
        ask(
            folder / "run", policies=["weight-to-latency"], out=folder / "asked"
        )  # numba compiles, and keeps what it compiled
        shutil.copytree(folder / "run", folder / "begun")
        with closing(sqlite3.connect(folder / "begun" / journal.FILE_NAME)) as db, db:
            db.execute("DELETE FROM events")
            db.execute("DELETE FROM costs")
        for each in folder.rglob("*"):
            each.chmod(0o755 if each.is_dir() else 0o644)
        yield folder


WRITING: dict[str, Callable[[Path, Path], list[object]]] = {
    "run": lambda at, to: [*RUN, f"model.routing={at}/routing.parquet", "--out", to],
    "what if": lambda at, to: ["replay", at / "run", "--policy", "weight-to-latency", "--out", to],
    "export": lambda at, to: ["export", at / "run", to],
    "traces": lambda at, to: ["traces", at / "run", to],
    "routing": lambda at, to: ["routing", at / "run", to],
    "keys": lambda at, to: ["keys", to],
}
RUN = ["run", "--scenario", "wired", "--connect", "ipc:///nobody/there", "--set"]
FIELDS = {"run": "--out", "what if": "--out", "routing": "FILE"}


def a_file(place: Path) -> Path:
    (place / "file").write_text("precious")
    return place / "file"


def below_a_file(place: Path) -> Path:
    return a_file(place) / "new"


def far_below_a_file(place: Path) -> Path:
    return a_file(place) / "new" / "newer"


def where_nothing_may_be_made(place: Path) -> Path:
    return place / "new"


def far_below_where_nothing_may_be_made(place: Path) -> Path:
    return place / "new" / "newer"


def where_nothing_ever_can_be_made(place: Path) -> Path:
    return Path("/proc/new")


PLACES = [
    a_file,
    below_a_file,
    far_below_a_file,
    where_nothing_may_be_made,
    far_below_where_nothing_may_be_made,
    where_nothing_ever_can_be_made,
]


@contextmanager
def without_rights() -> Iterator[None]:
    """As somebody whom modes of files bind; the superuser they do not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def no_byte_of_room() -> Iterator[None]:
    """As on a full disk: files can be made, but not a byte be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """A command in this process, since that of another takes seconds to start: its exit code, and what it says."""

    def called(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cosim", *map(str, arguments)])
        code = cli.run_command()
        return code, capsys.readouterr().err

    return called


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WRITING)
def test_a_place_where_nothing_can_be_written_is_named(recorded, command, name, place):
    with tempfile.TemporaryDirectory(prefix="cosim-test-") as folder:
        to = place(Path(folder))
        Path(folder).chmod(0o555)
        before = sorted(Path(folder).rglob("*"))
        with without_rights():
            code, said = command(*WRITING[name](recorded, to))
        assert (code, said.count("\n")) == (2, 1), said
        assert said.startswith(f"cosim: {FIELDS.get(name, 'FOLDER')}: ")
        assert str(to) in said
        assert "choose another" in said
        assert sorted(Path(folder).rglob("*")) == before
        if (Path(folder) / "file").exists():
            assert (Path(folder) / "file").read_text() == "precious"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("name", WRITING)
def test_where_there_is_no_room_nothing_is_left(recorded, command, name, there, tmp_path):
    to = tmp_path / "a" / "b"
    if name == "routing":
        to.parent.mkdir()
    elif there:
        to.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with no_byte_of_room():
        code, said = command(*WRITING[name](recorded, to))
    assert (code, said.count("\n")) == (2, 1), said
    assert str(to) in said
    left = sorted(tmp_path.rglob("*"))
    assert left == before or (name == "keys" and left == [tmp_path / "a"])


def test_a_run_that_can_only_be_read_is_not_resumed_but_shown(recorded, command):
    with without_rights():
        code, said = command("resume", recorded / "begun", "--connect", "ipc:///nobody/there")
        assert (code, said.count("\n")) == (2, 1), said
        assert re.match(r"cosim: RUN: .*begun.* cannot be written", said)
        assert command("show", recorded / "begun") == (0, "")
        assert command("replay", recorded / "begun") == (0, "")


def test_a_run_without_out_names_it_where_nothing_can_be_made(recorded, command, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="cosim-test-") as folder:
        Path(folder).chmod(0o555)
        monkeypatch.chdir(folder)
        for name in ("run", "what if"):
            with without_rights():
                code, said = command(*WRITING[name](recorded, Path())[:-2])
            assert (code, said.count("\n")) == (2, 1), said
            assert re.match(r"cosim: --out: .*runs.* cannot be written: .*; choose another", said)
        monkeypatch.undo()


@pytest.mark.parametrize(
    "extra", [["--set", "radio.devces=4"], ["--scenario", "wird"], ["--listen", "ipc:///no/where"]]
)
def test_a_refused_run_leaves_no_folder_at_all(recorded, command, tmp_path, monkeypatch, extra):
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "--scenario", "wired", "--set", f"model.routing={recorded}/routing.parquet", *extra]
    assert command(*arguments)[0] == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    assert command(*arguments, "--out", "mine")[0] == 2
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


OUTPUT = [
    "show RUN",
    "run CONNECT",
    "replay RUN",
    "scenarios",
    "scenarios wired",
    "flags",
    "devices",
    "--help",
    "keys NEW",
]


def written_to(output: object, command: str, recorded: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    words = {"RUN": [recorded / "run"], "NEW": [folder / "new"]}
    words["CONNECT"] = WRITING["run"](recorded, folder / "new")[1:]
    arguments = [str(part) for word in command.split() for part in words.get(word, [word])]
    return subprocess.run(
        [*COSIM, *arguments], stdout=output, stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("command", OUTPUT)
def test_an_output_that_takes_nothing_is_named(recorded, tmp_path, command):
    with open("/dev/full", "wb") as full:
        done = written_to(full, command, recorded, tmp_path)
    assert done.returncode == 2
    assert done.stderr == "cosim: standard output cannot be written: No space left on device; send it elsewhere\n"


@pytest.mark.parametrize("command", OUTPUT)
def test_a_reader_that_has_gone_is_no_matter(recorded, tmp_path, command):
    """As `| head` has it: a shell's exit code of SIGPIPE, and not a word."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = written_to(write, command, recorded, tmp_path)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_closed_descriptors_are_not_given_to_files(recorded):
    """What is printed would land in whatever is opened first: a journal, that is."""
    before = (recorded / "run" / journal.FILE_NAME).read_bytes()
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *COSIM, "show", recorded / "run"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("co-simulation") == (closed == "2>&-")
    assert (recorded / "run" / journal.FILE_NAME).read_bytes() == before


def test_the_command_alone_shows_its_help():
    done = subprocess.run(COSIM, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2  # as of any command that lacks an argument
    assert "Usage:" in done.stdout + done.stderr
    assert "cosim: " not in done.stdout + done.stderr
