# SPDX-License-Identifier: Apache-2.0
"""A run to look at while it goes on: the report's page on loopback, in a process that only reads the journal.

Whoever knows the address, of which a part is secret, sees the page; there is nothing to be sent to it but GET. The
journal is read anew when that is cheap: of the time at most a tenth goes into it, at low priority. It ends with the
run.
"""

import fcntl
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.network import RequestError

if TYPE_CHECKING:
    from cosim.reporting.cases import Case, Data

LOOPBACK = "127.0.0.1"
_SHARE, _LEAST_S, _LAST_S = 0.1, 1.0, 5.0
"""Of the time that goes into reading; between two readings at least; how long the end waits for someone to see it."""


@contextmanager
def watched(folder: Path, wanted: bool) -> Iterator[None]:
    """Show the run that is made in `folder` inside, if `wanted`, in a process of its own, and print where."""
    if not wanted:
        yield
        return
    token = secrets.token_urlsafe(9)
    with socket.create_server((LOOPBACK, 0)) as listening:
        command = [sys.executable, "-m", "cosim.reporting.live", str(folder.absolute()), str(listening.fileno()), token]
        child = subprocess.Popen(
            command,
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for the run
        )
        print(f"watch it at {address(listening, token)}", flush=True)
    assert child.stdin is not None
    try:
        yield
    except RequestError:  # there is no run
        child.terminate()
        raise
    finally:
        child.stdin.close()  # by which it knows that the run is over, however that came
        with suppress(subprocess.TimeoutExpired):
            child.wait(3 * _LAST_S)


def show_live(run: Path) -> None:
    """Show a run that another process makes, until that ends or Ctrl-C. Raises `RequestError` naming RUN for no run."""
    from cosim.record.journal_file import file_of  # noqa: PLC0415  (the child of a run says itself what is missing)

    folder = file_of(run).parent
    token = secrets.token_urlsafe(9)
    with socket.create_server((LOOPBACK, 0)) as listening:
        print(f"watch it at {address(listening, token)}", flush=True)
        serve(folder, listening, token, lambda: not is_written(folder))


def address(listening: socket.socket, token: str) -> str:
    """Where the page is."""
    return f"http://{LOOPBACK}:{listening.getsockname()[1]}/{token}/"


def is_written(folder: Path) -> bool:
    """Whether some process holds the lock of a run's folder; only looked up, since to try it could be in the way."""
    of = os.stat(folder)
    place = f"{os.major(of.st_dev):02x}:{os.minor(of.st_dev):02x}:{of.st_ino}"
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    return any(" FLOCK " in f" {line} " and place in line.split() for line in lines)


class Showing:
    """The latest that was read of a run."""

    def __init__(self, run: Path):
        from cosim.reporting.cases import Data  # noqa: PLC0415  (matplotlib takes a second to load)

        self.run = run
        self.data: Data = Data([], [])
        self.version = 0
        self.latest: tuple[dict[str, Any], bytes] = _told(self.data, over=False), b""
        """What is told of how far the run is, and the answer that has it: one thing, since others read it meanwhile."""
        self.asked_s = -_LAST_S
        """When somebody last asked for it."""
        self.seen = threading.Event()
        """Set when somebody has been given the last of it."""

    def read(self, *, over: bool) -> None:
        """Read the journal as it is now; what is not there yet is waited for."""
        from cosim.reporting.cases import load  # noqa: PLC0415
        from cosim.reporting.page.packed import packed  # noqa: PLC0415

        with suppress(RequestError):  # no journal yet, or nothing in it
            self.data = load([self.run], fingerprints=False)
        self.version += 1
        told = _told(self.data, over=over) | {"version": self.version}
        body = packed(self.data, live=True) | {"live": told}
        self.latest = told, json.dumps(body, separators=(",", ":"), allow_nan=False).encode()

    def page(self) -> bytes:
        """The page, which asks for the rest."""
        from cosim.reporting.page.rendered import rendered  # noqa: PLC0415

        return rendered(self.data, [], self.latest[0]).encode()


def serve(run: Path, listening: socket.socket, token: str, is_over: Callable[[], bool]) -> None:
    """Show a run on a socket that listens, until it is over and that was seen, or nobody looks."""
    showing = Showing(run)
    server = ThreadingHTTPServer(listening.getsockname(), _handler(showing, token), bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_port = listening.getsockname()[1]
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        over = False
        while not over:
            over = is_over()
            begun_s = time.monotonic()
            showing.read(over=over)
            rest_s = max(_LEAST_S, (time.monotonic() - begun_s) * (1 / _SHARE - 1))
            while not over and time.monotonic() - begun_s < rest_s and not is_over():
                time.sleep(0.1)
        if time.monotonic() - showing.asked_s < _LAST_S:
            showing.seen.wait(_LAST_S)
    finally:
        server.shutdown()


def _handler(showing: Showing, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "cosim", ""

        def do_GET(self) -> None:
            showing.asked_s = time.monotonic()
            host = self.headers.get("Host", "").rpartition(":")[0]
            path, _, query = self.path.partition("?")
            if host not in (LOOPBACK, "localhost"):  # another name for loopback, of a page that would read this one
                self.send_error(403)
            elif path == f"/{token}/":
                self._send("text/html; charset=utf-8", showing.page())
            elif path == f"/{token}/data":
                live, body = showing.latest
                if not body or query == f"seen={live.get('version')}":
                    self._send("application/json", b"", 204)
                else:
                    self._send("application/json", body)
                    if live["over"]:
                        showing.seen.set()
            else:
                self.send_error(404)

        def _send(self, kind: str, body: bytes, code: int = 200) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the terminal is the run's."""

    return Handler


def _told(data: "Data", *, over: bool) -> dict[str, Any]:
    """What the page says of how far the run is."""
    from cosim.reporting.page.table import table  # noqa: PLC0415

    is_service = bool(data.runs) and data.runs[0].config["arrivals"]["process"] != "one-by-one"
    done = sum(map(_given, data.cases)) if is_service else sum(len(case.exchanges["exchange"]) for case in data.cases)
    all_of_it = _expected(data, is_service=is_service)
    begun = [case for case in data.cases if len(case.exchanges["exchange"])]
    if not begun:
        said = "Nothing was recorded." if over else "Waiting for the first exchange."
    else:
        case = begun[-1]
        of = f" of {all_of_it:,}" if all_of_it else ""
        where = f"{case.policy} ({case.network}) at {case.exchanges['end_s'][-1]:.3f} s of virtual time"
        said = f"{done:,}{of} {'tokens' if is_service else 'exchanges'}; {where}."
        if over:
            finished = data.runs[0].finished
            said += (
                f" The run {'came to its end' if finished else 'was stopped'}; cosim report makes all figures of it."
            )
    return {"said": said, "done": done, "all": all_of_it, "over": over, "table": asdict(table(data))}


def _given(case: "Case") -> int:
    """The tokens that users were given, and those that do not come any more, since who asked for them has left."""
    given = len(case.tokens["request"])
    over = np.isin(case.tokens["request"], case.requests["request"])
    return int(given - over.sum() + case.requests["new_tokens"].sum())


def _expected(data: "Data", *, is_service: bool) -> int:
    """How many exchanges it will be, or tokens; 0 where only a recording knows, of routing or of arrivals."""
    if not data.runs or data.runs[0].config["model"]["routing"] or "model" not in data.runs[0].meta:
        return 0
    config = data.runs[0].config
    if config["arrivals"]["process"] == "trace":
        return 0
    layers = len(json.loads(data.runs[0].meta["model"])["shape"]["moe_layers"])
    passes = config["workload"]["requests"] * config["workload"]["new_tokens"]
    return int((1 if is_service else layers) * passes * len(config["policies"]) * len(config["networks"]))


def _parent_gone() -> bool:
    """Whether whoever started this process has closed its standard input, or gone."""
    readable, _, _ = select.select([0], [], [], 0)
    return bool(readable) and os.read(0, 1) == b""


def main() -> None:
    """Show a run for the process that makes it: its folder, the descriptor of a socket, the secret part."""
    folder, descriptor, token = sys.argv[1:]
    os.nice(10)
    fcntl.fcntl(int(descriptor), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    with socket.socket(fileno=int(descriptor)) as listening:
        serve(Path(folder), listening, token, _parent_gone)


if __name__ == "__main__":
    main()
