# SPDX-License-Identifier: Apache-2.0
"""Where sockets are: short enough for the system, and for this user alone."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from bridge.endpoint import IPC_PATH_MAX_BYTES, check_endpoint, check_listen, control_endpoint, private_ipc
from bridge.network import RequestError


@pytest.fixture
def temporary(monkeypatch) -> Iterator[pytest.MonkeyPatch]:
    """`tempfile` looks again for where the system wants temporary files, then and afterwards."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    return monkeypatch


def folder_of(length: int, at: Path) -> Path:
    """A folder whose path has so many bytes."""
    folder = at
    while len(str(folder)) < length:
        rest = length - len(str(folder)) - 1
        folder /= "x" * (rest if rest <= 100 else 99)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("length", [40, 60, 78, 79, 80, 81, 95, 107, 108, 120, 250, 1000])
def test_a_private_endpoint_can_be_bound_however_long_the_temporary_folder_is(temporary, length):
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        wanted = folder_of(length, Path(short))
        assert len(str(wanted)) == length
        temporary.setenv("TMPDIR", str(wanted))
        temporary.setattr(tempfile, "tempdir", None)
        with private_ipc() as endpoint, zmq.Context() as context:
            folder = Path(endpoint.removeprefix("ipc://")).parent
            assert (folder.parent == wanted) == (length <= IPC_PATH_MAX_BYTES - len("/cosim-12345678/data"))
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            for each in (endpoint, control_endpoint(endpoint)):
                with context.socket(zmq.ROUTER) as channel:
                    channel.bind(each)
        assert not folder.exists()


def test_sockets_go_to_the_users_own_place_before_one_of_all(temporary):
    with tempfile.TemporaryDirectory(dir="/tmp") as own:
        temporary.setenv("TMPDIR", str(folder_of(120, Path(own))))
        temporary.setattr(tempfile, "tempdir", None)
        temporary.setenv("XDG_RUNTIME_DIR", own)
        with private_ipc() as endpoint:
            assert endpoint.startswith(f"ipc://{own}/")
        temporary.setenv("XDG_RUNTIME_DIR", f"{own}/not/there")
        with private_ipc() as endpoint:
            assert endpoint.startswith("ipc:///tmp/cosim-")


def test_where_no_place_will_do_it_is_said(temporary, tmp_path):
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        long = str(folder_of(120, Path(short)))
        temporary.setenv("TMPDIR", long)
        temporary.setattr(tempfile, "tempdir", None)
        temporary.setattr("bridge.endpoint._SHORT", (f"{short}/not/there",))
        with pytest.raises(RequestError, match=r"107 bytes .*is too long.*No such file.*set a short one") as caught:
            private_ipc().__enter__()
        assert caught.value.field == "TMPDIR"


def test_a_command_works_with_a_long_temporary_folder(tmp_path):
    folder = folder_of(300, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "cosim.cli", "scenarios", "wired", "--check", "--set", "radio.devices=1"],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no problem with any device" in done.stdout
    assert list(folder.iterdir()) == []


def test_a_path_that_is_too_long_is_refused_with_the_limit():
    check_endpoint("ipc:///" + "x" * (IPC_PATH_MAX_BYTES - 1), "--listen")
    for endpoint in ("ipc:///" + "x" * IPC_PATH_MAX_BYTES, "ipc:///" + "ü" * 50):
        with pytest.raises(RequestError, match=f"has 10[01] bytes, at most {IPC_PATH_MAX_BYTES} fit") as caught:
            check_endpoint(endpoint, "--listen")
        assert caught.value.field == "--listen"
    with pytest.raises(RequestError, match="a socket without an owner"):
        check_endpoint("ipc://@name", "--listen")


def test_what_is_no_socket_is_never_listened_at(tmp_path):
    """ZeroMQ would remove it."""
    precious = tmp_path / "precious"
    precious.write_text("data")
    for endpoint in (f"ipc://{precious}", f"ipc://{tmp_path}", f"ipc://{precious}/below", f"ipc://{tmp_path}/no/where"):
        with pytest.raises(RequestError) as caught:
            check_listen(endpoint)
        assert caught.value.field == "--listen"
    (tmp_path / "new.control").write_text("data")
    with pytest.raises(RequestError, match=r"new\.control is there already"):
        check_listen(f"ipc://{tmp_path}/new")
    assert precious.read_text() == "data"


@pytest.mark.parametrize("place", ["/proc/x", "/nowhere/x", "/dev/null", "/" + "x" * 120])
@pytest.mark.parametrize("command", [["serve", "--listen"], ["run", "--set", "radio.devices=1", "--listen"]])
def test_a_bad_place_to_listen_is_named_by_every_command(tmp_path, command, place):
    done = subprocess.run(
        [sys.executable, "-m", "cosim.cli", *command, f"ipc://{place}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("cosim: --listen: ")
    assert str(Path(place).parent) in done.stderr
    assert list(tmp_path.iterdir()) == []
