# SPDX-License-Identifier: Apache-2.0
"""Killed, stopped and aborting partners on real ns-3: the survivor says so, and nothing stays behind.

Where the model itself does not matter, its routing was recorded: each of these processes begins by itself, and PyTorch
would take most of its time.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from bridge.endpoint import private_ipc
from cosim.record.journal import Journal
from tests.support.routing_traces import make_rows, write_rows

BOUND_S = 60.0
LOST = r"the ns-3 side was lost at virtual time (\d+\.\d+) s: "


@pytest.fixture(autouse=True)
def private_tmp(monkeypatch) -> Iterator[Path]:
    """A temporary folder of the test's own, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[str, ...]:
    """Settings of a workload whose routing was recorded, long enough to be disturbed."""
    trace = write_rows(make_rows(1, 12, 200), tmp_path_factory.mktemp("recorded") / "trace.parquet")
    return (f"model.routing={trace}",)


@contextmanager
def running(workload: Iterable[str], folder: Path, *extra: str) -> Iterator["subprocess.Popen[str]"]:
    """A `cosim run` on NR with these settings, that has begun to exchange."""
    settings = ("workload.requests=1", "radio.scenario=nr", "radio.devices=4", *workload)
    command = [sys.executable, "-m", "cosim.cli", "run", "--out", str(folder)]
    command += [word for setting in settings for word in ("--set", setting)]
    command += extra
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: "subprocess.Popen[str]", words: str) -> str:
    """The first line of its output with these words."""
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended before it said {words}: {process.stderr.read()}")


def until_exchanging(process: "subprocess.Popen[str]") -> None:
    until(process, "virtual time")


@pytest.fixture(scope="module")
def undisturbed(recorded, tmp_path_factory) -> str:
    """The fingerprint of the run that the tests disturb."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with running(recorded, folder) as process:
        assert process.communicate(timeout=120)[1] == ""
    journal = Journal.open(folder)
    fingerprint = journal.fingerprint()
    journal.close()
    return fingerprint


def ns3_of(process: "subprocess.Popen[str]") -> psutil.Process:
    (child,) = (child for child in psutil.Process(process.pid).children() if "ns3_scenarios" in child.cmdline())
    return child


def exchanges(folder: Path) -> int:
    """How many are recorded."""
    with closing(Journal.open(folder)) as journal:
        return journal.rows("SELECT count(*) FROM exchanges")[0][0]


def within_bound(what: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + BOUND_S
    while not what() and time.monotonic() < end_s:
        threading.Event().wait(0.05)
    return what()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_lost_ns3_is_named_and_started_anew_each_time(undisturbed, recorded, tmp_path, private_tmp):
    folder, lives = tmp_path / "run", []
    with running(recorded, folder) as process:
        until_exchanging(process)
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT):
            lives.append(ns3_of(process))
            lives[-1].send_signal(number)
            began_s = time.monotonic()
            lost = until(process, "ns-3 lost")
            assert time.monotonic() - began_s < BOUND_S
            reason = {signal.SIGSTOP: "it has not answered"}.get(number, "process .* (was killed|ended)")
            assert re.search(LOST + reason, lost), number
            done = exchanges(folder)
            until(process, "caught up")
            assert within_bound(lambda done=done: exchanges(folder) > done)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert all(map(gone, lives))
    assert not os.listdir(private_tmp)
    with closing(Journal.open(folder)) as journal:
        events = [kind for (kind,) in journal.rows("SELECT kind FROM events ORDER BY event")]
        assert events == ["ns-3 lost", "caught up"] * 3 + ["finished"]
        assert journal.fingerprint() == undisturbed


def test_a_killed_model_process_takes_ns3_with_it(recorded, tmp_path, private_tmp):
    folder = tmp_path / "run"
    with running(recorded, folder) as process:
        until_exchanging(process)
        ns3 = ns3_of(process)
        process.kill()
        assert within_bound(lambda: gone(ns3))
    assert re.search(r"stopping at virtual time \d+\.\d+ s: the process that started this one is gone", _log(folder))
    assert not os.listdir(private_tmp)
    assert exchanges(folder) > 0


def test_a_model_process_that_was_stopped_for_too_long_begins_a_new_session(undisturbed, recorded, tmp_path):
    folder = tmp_path / "run"
    with running(recorded, folder) as process:
        until_exchanging(process)
        process.send_signal(signal.SIGSTOP)
        assert within_bound(lambda: "no beat" in _log(folder))
        process.send_signal(signal.SIGCONT)
        assert re.search(LOST + ".*(unknown here|no beat|does not know this session)", until(process, "ns-3 lost"))
        assert process.communicate(timeout=60)[1] == ""
    journal = Journal.open(folder)
    assert journal.fingerprint() == undisturbed
    journal.close()


def test_ctrl_c_ends_both(tiny_model, tmp_path, private_tmp):
    text = tmp_path / "text.txt"
    text.write_text("Call me Ishmael. Some years ago, never mind how long precisely, I went to sea. " * 40)
    sizes = ("workload.new_tokens=70", "workload.prompt_tokens=12", f"workload.text={text}")
    with running((f"model.path={tiny_model}", *sizes), tmp_path / "run") as process:
        until_exchanging(process)
        ns3 = ns3_of(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=BOUND_S)
    assert (process.returncode, "stopped by the user" in errors) == (130, True)
    assert gone(ns3)
    assert not os.listdir(private_tmp)


def test_an_assertion_of_ns3_in_mid_run_is_noticed(recorded, tmp_path):
    folder = tmp_path / "run"
    with private_ipc() as endpoint:
        command = [sys.executable, "-m", "tests.support.aborting_ns3", endpoint]
        ns3 = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with running(recorded, folder, "--connect", endpoint, "--set", "radio.scenario=aborting") as process:
            until_exchanging(process)
            words, _ = ns3.communicate(timeout=60)
            began_s = time.monotonic()
            lost = until(process, "ns-3 lost")
            assert time.monotonic() - began_s < BOUND_S
            output, errors = process.communicate(timeout=BOUND_S)
    assert "an assertion of the test" in words
    assert 0.5 < float(re.search(LOST, lost)[1]) <= 1.2
    assert process.returncode == 1
    assert re.search("no ns-3 side answers .*\n3 times at variant 1, exchange \\d+", errors), errors
    assert "Traceback" not in errors
    assert f"cosim show {folder}" in output
    assert f"cosim resume {folder}" in output


def _log(folder: Path) -> str:
    return (folder / "ns3.log").read_text(encoding="utf-8")
