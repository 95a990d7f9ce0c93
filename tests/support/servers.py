# SPDX-License-Identifier: Apache-2.0
"""Servers in processes of their own, of a network with a closed form and of ns-3's, and waiting with a bound."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.endpoint import private_ipc
from bridge.network import Transfer
from cosim.networks import ns3_process

TRANSFERS = [Transfer(device, 8192, 1_000_000, 8192) for device in range(8)]
SECOND_NS = 10**9


def eventually(what: Callable[[], bool], bound_s: float = 60.0) -> bool:
    """Whether `what` becomes true within a bound."""
    end_s = time.monotonic() + bound_s
    while time.monotonic() < end_s:
        if what():
            return True
        threading.Event().wait(0.02)
    return what()


def stop(pid: int) -> None:
    """Send SIGSTOP, and wait until no thread of the process runs any more: each goes on until it is its turn."""
    os.kill(pid, signal.SIGSTOP)

    def states() -> set[str]:
        """Of its threads, by Linux."""
        files = [task / "status" for task in Path(f"/proc/{pid}/task").iterdir()]
        return {state for file in files for state in re.findall(r"State:\s+(\w)", file.read_text())}

    assert eventually(lambda: states() == {"T"})


def free_tcp_endpoint() -> str:
    """A loopback endpoint whose port and next port are free now."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return f"tcp://127.0.0.1:{port}"


@contextmanager
def server(endpoint: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.support.fixed_network", endpoint, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            pipe.close()


@contextmanager
def fixed_server() -> Iterator[str]:
    """The endpoint of a server of `FixedNetwork`s, scenario `fixed`."""
    with private_ipc() as endpoint, server(endpoint):
        yield endpoint


@contextmanager
def ns3_server() -> Iterator[str]:
    """The endpoint of a server of ns-3's simulations, whose interpreter starts once for all of them."""
    with private_ipc() as endpoint, open(os.devnull, "wb") as nowhere:
        process = ns3_process.start([sys.executable, "-m", "ns3_scenarios", "--listen", endpoint], nowhere)
        try:
            yield endpoint
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
