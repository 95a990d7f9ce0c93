# SPDX-License-Identifier: Apache-2.0
"""The ns-3 side as a child process, which never outlives this one."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bridge.network import PartnerLost, RequestError
from cosim.networks.last_words import blame, split

_STOP_S = 3.0
_LOG_LINES = 6
_ASK_S = 2.0


class Ns3Process:
    """A running ns-3 side, its output in `log` from `begin` on, which runs `script`.

    `check` raises `PartnerLost` with its last words if it has ended.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, begin: int = 0, script: Path | None = None):
        self.process = process
        self.log = log
        self._begin = begin
        self._script = script

    def check(self) -> None:
        """Raise `PartnerLost` if the process has ended.

        `RequestError` if it refused its own arguments, or by the script's line if it was there that ns-3 ended it.
        """
        code = self.process.poll()
        if code is None:
            return
        log = self._said(self._begin)
        refusal = blame(log, self._script)
        if refusal is not None:
            raise refusal
        words = split(log)[0][-_LOG_LINES:]
        last_words = "\n  ".join(words)
        if code == 2:
            field, colon, reason = (words[-1] if words else "").removeprefix("cosim: ").partition(": ")
            raise RequestError(field, reason) if colon else RequestError("ns-3 side", field or "refused to start")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise PartnerLost(f"process {self.process.pid} {how}" + (f"; its last words:\n  {last_words}" if words else ""))

    def diagnose(self) -> None:
        """Of one that runs but does not answer: raise `RequestError` if it stands in its script, by the line."""
        begin = self.log.stat().st_size
        self.process.send_signal(signal.SIGUSR1)
        until_s = time.monotonic() + _ASK_S
        while time.monotonic() < until_s and "Current thread" not in self._said(begin):
            time.sleep(0.05)
        refusal = blame(self._said(begin), self._script)
        if refusal is not None:
            raise refusal

    def _said(self, begin: int) -> str:
        return self.log.read_bytes()[begin:].decode("utf-8", "replace")


def start(command: Sequence[str], output: BinaryIO) -> "subprocess.Popen[bytes]":
    """Begin a process in a session of its own, with a pipe to its standard input."""
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )


@contextmanager
def ns3_process(
    endpoint: str, log: Path, script: Path | None = None, security: Sequence[str] = ()
) -> Iterator[Ns3Process]:
    """Start the ns-3 side at `endpoint`, its output in `log`; at the end stop it, by force after a few seconds.

    `script` is the one file, or a folder, that it may run scenarios from, beside the built-in ones;
    `security` is its --keys FOLDER or --plain-tcp, for tcp.

    It runs in a session of its own, so that Ctrl-C reaches this process alone, and ends by itself when its
    standard input does, which happens however this process ends.
    """
    command = [sys.executable, "-m", "ns3_scenarios", "--listen", endpoint, "--child", *security]
    if script is not None:
        command += ["--scripts", str(script)]
    with log.open("ab") as output:
        begin = output.tell()
        process = start(command, output)
    try:
        yield Ns3Process(process, log, begin, script)
    except (PartnerLost, RequestError):
        process.kill()  # it may be stopped, or stuck
        raise
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
