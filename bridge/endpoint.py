# SPDX-License-Identifier: Apache-2.0
"""Endpoints: `ipc://` in a private folder by default, `tcp://` with keys or when told to do without.

The control channel's endpoint follows from the data channel's: `PATH.control` for ipc, the next port for tcp.
"""

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bridge.network import RequestError

IPC_PATH_MAX_BYTES = 107 - len(".control")
"""A Unix socket's path is at most 107 bytes on Linux (unix(7)); the control socket's name is the longer one."""

_PRIVATE = "cosim-"
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def private_ipc() -> Iterator[str]:
    """An ipc endpoint in a folder that only this user can enter, removed afterwards with what is in it.

    The folder is a temporary one where the system wants them (TMPDIR), unless a socket's path would be too long there:
    then where this user's sockets belong (XDG_RUNTIME_DIR), or in /tmp or the like. Raises `RequestError` naming
    TMPDIR if there is no place.
    """
    with _short_folder() as folder:
        yield f"ipc://{folder}/data"


def _short_folder() -> "tempfile.TemporaryDirectory[str]":
    tried = []
    for parent in _parents():
        if len(os.fsencode(f"{parent}/{_PRIVATE}12345678/data")) > IPC_PATH_MAX_BYTES:
            tried.append(f"{parent} is too long")
            continue
        try:
            return tempfile.TemporaryDirectory(prefix=_PRIVATE, dir=parent, ignore_cleanup_errors=True)
        except OSError as error:
            tried.append(f"{parent}: {error.strerror}")
    raise RequestError(
        "TMPDIR", f"no place for a socket, whose path has at most 107 bytes ({'; '.join(tried)}); set a short one"
    )


def _parents() -> Iterator[str]:
    with suppress(FileNotFoundError):  # no place at all can be written to
        yield tempfile.gettempdir()
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield runtime
    yield from _SHORT


def control_endpoint(endpoint: str) -> str:
    """Where the control channel of a data channel lives."""
    kind, place = endpoint.split("://", 1)
    if kind == "ipc":
        return f"ipc://{place}.control"
    host, port = place.rsplit(":", 1)
    return f"tcp://{host}:{int(port) + 1}"


def check_endpoint(endpoint: str, field: str) -> None:
    """Raise `RequestError` naming `field` unless `endpoint` is `ipc://PATH` or `tcp://HOST:PORT`."""
    kind, separator, place = endpoint.partition("://")
    if not separator or kind not in ("ipc", "tcp") or not place:
        raise RequestError(field, f"{endpoint!r} is neither ipc://PATH nor tcp://HOST:PORT")
    if kind == "ipc":
        if place.startswith("@"):
            raise RequestError(field, f"{endpoint!r} would be a socket without an owner; name a file, as ipc:///PATH")
        if len(place.encode()) > IPC_PATH_MAX_BYTES:
            long = f"the path in {endpoint!r} has {len(place.encode())} bytes, at most {IPC_PATH_MAX_BYTES} fit"
            raise RequestError(field, f"{long} a socket's address; use a shorter one")
        return
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        port = None
    if port is None or not 1 <= port < 65535 or not parts.hostname:
        raise RequestError(field, f"{endpoint!r} needs a host and a port from 1 to 65534 (the next port is used too)")


def check_listen(endpoint: str) -> None:
    """Raise `RequestError` unless a server may bind `endpoint`: well-formed and not in use."""
    check_endpoint(endpoint, "--listen")
    in_use = RequestError("--listen", f"{endpoint} is in use by another server; stop it or choose another")
    if endpoint.startswith("tcp://"):
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port or 0
        if _is_loopback(host) and any(map(partial(_listens, host), (port, port + 1))):
            raise in_use
        return
    path = Path(endpoint.removeprefix("ipc://"))
    if not os.path.isdir(path.parent):
        raise RequestError("--listen", f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RequestError("--listen", f"no socket can be made in the folder {path.parent}; choose another")
    for socket_path in (path, path.with_name(path.name + ".control")):
        if socket_path.exists() and not socket_path.is_socket():
            raise RequestError("--listen", f"{socket_path} is there already, and no socket; choose another path")
        if socket_path.exists() and _answers(socket_path):
            raise in_use


def remove_sockets(endpoint: str) -> None:
    """Remove an ipc endpoint's files, and its folder if it is a private one: who made that may be gone."""
    if endpoint.startswith("ipc://"):
        path, control = (Path(one.removeprefix("ipc://")) for one in (endpoint, control_endpoint(endpoint)))
        path.unlink(missing_ok=True)
        control.unlink(missing_ok=True)
        if path.parent.name.startswith(_PRIVATE):
            with suppress(OSError):
                path.parent.rmdir()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listens(host: str, port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(path: Path) -> bool:
    """Whether somebody listens on a Unix socket. ZeroMQ would take the path over without a word."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
