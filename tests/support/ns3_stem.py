# SPDX-License-Identifier: GPL-2.0-only
"""ns-3 sides that are forked from a process in which the interpreter, headers and wrappers of ns-3 are there already.

Starting one takes longer than most of what tests ask of it. It is the same program from `ns3_scenarios.__main__` on.
How it begins by itself is tested wherever `python -m cosim.cli` or `python -m ns3_scenarios` is started.

There are two stems, each a process that listens at a socket and loads when it is first asked: one for the built-in
scenarios, in which some were built, and a bare one for scripts, which see no header that they do not name.
"""

import array
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from cosim.networks import ns3_process
from tests import ROOT

PLACE = "TESTS_NS3_STEMS"
"""The environment's name for the folder of the sockets."""
BUILT = ("wired", "nr", "lte")
"""The scenarios that the tests run most by commands."""
STEMS = {"bare": (), "built": BUILT}
_SAME = ("HOME", "XDG_CACHE_HOME", "PATH", "CXX", "LD_LIBRARY_PATH", "EXTRA_CLING_ARGS", "NS_LOG", "NS_GLOBAL_VALUE")
"""What is read while ns-3 is loaded: where one of these differs from the stem's, a process begins by itself."""
_BEGINNING = [sys.executable, "-m", "ns3_scenarios"]

_begin_by_itself = ns3_process.start
_installed_with: list[tuple[object, ...]] = []
_PATIENCE_S = 60.0
_PACKET_BYTES = 64


@contextmanager
def stems() -> Iterator[None]:
    """Inside, `install` in this process and in those that it starts has ns-3 sides forked."""
    with tempfile.TemporaryDirectory(prefix="stems-", dir="/tmp") as place:
        started = []
        for name, scenarios in STEMS.items():
            command = [sys.executable, "-m", __name__, f"{place}/{name}", *scenarios]
            started.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
        os.environ[PLACE] = place
        try:
            yield
        finally:
            del os.environ[PLACE]
            for process in started:
                process.kill()
                process.communicate()


def install() -> None:
    """Have runs in this process fork their ns-3 side, where there are stems."""
    if PLACE in os.environ:
        _installed_with.append(_rights())
        ns3_process.start = fork  # type: ignore[assignment]


class Forked:
    """An ns-3 side that a stem has forked: what is used of `subprocess.Popen`."""

    def __init__(self, pid: int, line: socket.socket, stdin: IO[bytes]):
        self.pid = pid
        self.stdin = stdin
        self.returncode: int | None = None
        self._line = line

    def poll(self) -> int | None:
        """The exit code, as soon as there is one."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired` if there is none yet."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                code = self._line.recv(_PACKET_BYTES)
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(_BEGINNING, timeout or 0) from None
            self._line.close()
            self.returncode = int(code or -signal.SIGKILL)  # with its stem
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """By SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fork(command: Sequence[str], output: BinaryIO) -> "Forked | subprocess.Popen[bytes]":
    """As `cosim.networks.ns3_process.start`."""
    if PLACE not in os.environ or _rights() not in _installed_with:
        return _begin_by_itself(command, output)
    stem = Path(os.environ[PLACE]) / ("bare" if "--scripts" in command else "built")
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _connect(line, stem)
    read, write = os.pipe()
    with os.fdopen(read), tempfile.TemporaryFile() as request:  # an environment is longer than a packet
        request.write(json.dumps([os.getcwd(), dict(os.environ), list(command[len(_BEGINNING) :])]).encode())
        request.flush()
        fds = array.array("i", [read, output.fileno(), request.fileno()])
        line.sendmsg([b"fork"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        pid = line.recv(_PACKET_BYTES)
    stdin = os.fdopen(write, "wb", buffering=0)
    if pid:
        return Forked(int(pid), line, stdin)
    stdin.close()
    line.close()
    return _begin_by_itself(command, output)


def _rights() -> tuple[object, ...]:
    """What a fork would have of the stem, and not of who asks."""
    return os.geteuid(), resource.getrlimit(resource.RLIMIT_FSIZE)


def _connect(line: socket.socket, place: Path) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return line.connect(str(place))
        except OSError:  # it may just be beginning
            if time.monotonic() > end_s:
                raise
            time.sleep(0.02)


def _stem(place: str, scenarios: Sequence[str]) -> int:
    """Fork for whoever asks, and say what becomes of it; returns, in each fork, what its program does.

    Ends with the tests, however they end: then nobody holds the other end of its standard input.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(place)
    listener.listen()
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    lines: dict[int, socket.socket] = {}
    here = _read_while_loading(os.environ)  # which cppyy adds to
    while True:
        ready, _, _ = select.select([listener, wake, sys.stdin], [], [])
        if sys.stdin in ready:
            return 0
        if wake in ready:
            wake.recv(_PACKET_BYTES)
            _reap(lines)
        if listener in ready:
            line, _ = listener.accept()
            asked = _asked(line)
            if _read_while_loading(asked.environment) != here:
                asked.close()
                line.close()
                continue
            _load(tuple(scenarios))
            signal.signal(signal.SIGCHLD, lambda *_: None)  # the interpreter laid its own over it
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for each in (listener, wake, woken, line, *lines.values()):
                    each.close()
                return _become(asked)
            lines[pid] = line
            asked.close()
            with suppress(OSError):  # who asked may be gone
                line.send(str(pid).encode())


def _reap(lines: dict[int, socket.socket]) -> None:
    for pid in list(lines):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with suppress(OSError), lines.pop(pid) as line:
                line.send(str(os.waitstatus_to_exitcode(status)).encode())


class _Asked(NamedTuple):
    """What a process is to begin with: standard input and output, folder, environment and arguments."""

    stdin: int
    output: int
    folder: str
    environment: dict[str, str]
    arguments: list[str]

    def close(self) -> None:
        os.close(self.stdin)
        os.close(self.output)


def _asked(line: socket.socket) -> _Asked:
    _, [(_, _, data)], _, _ = line.recvmsg(_PACKET_BYTES, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    stdin, output, request = array.array("i", data)
    with os.fdopen(request, "rb") as file:
        file.seek(0)
        return _Asked(stdin, output, *json.load(file))


def _read_while_loading(environment: Mapping[str, str]) -> list[str | None]:
    return [environment.get(name) for name in _SAME]


@cache
def _load(scenarios: Sequence[str]) -> None:
    from ns3_scenarios.scenarios import SCENARIOS
    from ns3_scenarios.simulation import open_network
    from ns3_scenarios.wheel import loader

    ns = loader.load()
    ns.CreateObject[ns.cosim.ExchangeEngine]()
    if scenarios:
        for scenario in SCENARIOS.values():
            loader.load(scenario.modules, scenario.headers)
    for name in scenarios:
        open_network(name, {}, seed=1).close()


def _become(asked: _Asked) -> int:
    """Be a process that began with this: nothing before looked at what is set here."""
    os.setsid()
    for own, standards in ((asked.stdin, (0,)), (asked.output, (1, 2))):
        for standard in standards:
            os.dup2(own, standard)
    asked.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)
    tempfile.tempdir = None
    sys.path[0] = asked.folder
    sys.argv = ["ns3_scenarios", *asked.arguments]
    from ns3_scenarios.__main__ import main

    return main()


if __name__ == "__main__":
    sys.exit(_stem(sys.argv[1], sys.argv[2:]))
