# SPDX-License-Identifier: Apache-2.0
"""Studies on processes of their own, which are killed: the data set is that of one process, and nothing runs twice."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bridge.network import PartnerLost, RequestError
from cosim.cluster_keys import make_cluster_keys, security_of
from cosim.studies.cluster import ClusterPlace, cluster
from cosim.studies.sweeping import Progress, sweep
from tests.support.servers import eventually, free_tcp_endpoint
from tests.support.studies import data_set, done_here, ends, rows_in, small_study

DRAWS = 20
pytestmark = pytest.mark.timeout(900)
"""Each waits for several processes to start, on whatever a busy machine leaves them."""
BOUND_S = 240.0


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return small_study(tmp_path_factory.mktemp("study"), DRAWS)


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory) -> Path:
    return done_here(study, tmp_path_factory.mktemp("done") / "study")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    make_cluster_keys(folder)
    return folder


def workers_of(folder: Path) -> set[int]:
    """The processes that have begun a run."""
    logs = [file.read_text(encoding="utf-8") for file in (folder / "logs").glob("*.log")]
    return {int(number) for text in logs for number in re.findall(r"begun by process (\d+)", text)}


def parent_of(process: int) -> int:
    """By Linux."""
    return int(re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[0])


def test_a_worker_and_what_workers_are_forked_from_are_killed_and_take_no_run_with_them(study, whole, tmp_path):
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        worker = max(workers_of(tmp_path / "study"), default=0)
        if 5 <= progress.done < DRAWS and not killed:
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)
        elif progress.done >= DRAWS and len(killed) == 1:
            stem = parent_of((workers_of(tmp_path / "study") - set(killed)).pop())
            assert parent_of(stem) == os.getpid()
            assert len(list(Path(f"/proc/{stem}/task").iterdir())) == 1
            killed.append(stem)
            os.kill(stem, signal.SIGKILL)

    came = sweep(study, tmp_path / "study", at=ClusterPlace(workers=2), tell=kill)
    assert len(killed) == 2
    assert (came.done, dict(came.failures)) == (2 * DRAWS, {})
    assert data_set(tmp_path / "study") == data_set(whole)
    assert set(ends(tmp_path / "study").values()) == {1}


def dask(kind: str, *arguments: str, keys: Path) -> "subprocess.Popen[bytes]":
    """A scheduler or a worker by Dask's own command."""
    secure = ["--tls-ca-file", "cluster.pem", "--tls-cert", "cluster.pem", "--tls-key", "cluster.key_secret"]
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, *secure, "--no-dashboard"]
    return subprocess.Popen(command, cwd=keys, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def machines(address: str, workers: int, keys: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """A scheduler, and so many workers, each a process."""
    port = address.rpartition(":")[2]
    with ExitStack() as stack:
        started = [dask("scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", port, keys=keys)]
        started += [
            dask("worker", address, "--nthreads", "1", "--no-nanny", "--death-timeout", "240", keys=keys)
            for _ in range(workers)
        ]
        for process in started:
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield started


def test_client_worker_and_scheduler_are_killed_and_the_data_set_is_that_of_one_process(
    study, whole, keys, tmp_path, monkeypatch
):
    monkeypatch.setattr("cosim.studies.cluster.PATIENCE_S", BOUND_S)
    folder = tmp_path / "study"
    address = free_tcp_endpoint().replace("tcp:", "tls:")
    at = ClusterPlace(address, keys=keys)

    with machines(address, 2, keys) as (scheduler, worker, _):
        with cluster(at) as client:  # both are there
            client.wait_for_workers(2, timeout=BOUND_S)
        command = ["sweep", str(study), "--out", str(folder), "--scheduler", address, "--keys", str(keys)]
        asking = subprocess.Popen([sys.executable, "-m", "cosim.cli", *command], stdout=subprocess.DEVNULL)
        assert eventually(lambda: rows_in(folder) > 5, BOUND_S)
        asking.kill()
        asking.wait()
        first = rows_in(folder)
        assert first < 2 * DRAWS

        def kill(progress: Progress) -> None:
            if progress.done > first + 5:
                worker.kill()
            if progress.done > first + 12:
                scheduler.kill()

        monkeypatch.setattr("cosim.studies.sweeping.PATIENCE_S", 2.0)
        with pytest.raises(PartnerLost, match=f"the scheduler {address} is gone"):
            sweep(study, folder, at=at, tell=kill)
    second = rows_in(folder)
    assert first < second < 2 * DRAWS
    with machines(address, 1, keys):
        came = sweep(study, folder, at=at)
    assert (came.done, dict(came.failures)) == (2 * DRAWS, {})
    assert came.earlier >= second
    assert data_set(folder) == data_set(whole)
    assert set(ends(folder).values()) == {1}


def _no_way_back(*_: object) -> None:
    raise ValueError("IOStream is not idle; cannot convert to SSL")


def test_who_loses_the_scheduler_hears_of_that_and_not_of_how_the_link_broke(keys, monkeypatch):
    monkeypatch.setattr("cosim.studies.cluster.PATIENCE_S", BOUND_S)
    monkeypatch.setattr("distributed.Client.wait_for_workers", lambda *_, **__: None)
    monkeypatch.setattr("distributed.Client._reconnect", _no_way_back)
    address = free_tcp_endpoint().replace("tcp:", "tls:")
    at = ClusterPlace(address, keys=keys)
    with machines(address, 0, keys) as (scheduler,):
        with pytest.raises(OSError, match="of a file"), cluster(at):
            raise OSError("of a file")
        with pytest.raises(PartnerLost, match=f"the scheduler {address} is gone"), cluster(at) as client:
            _ask_for_long(client, scheduler)
    assert client.status == "closed"


def _ask_for_long(client, scheduler):
    scheduler.kill()
    assert eventually(lambda: client.status == "connecting", BOUND_S)
    raise OSError("timed out trying to connect")


def test_keys_are_private_whole_and_not_overwritten(keys, tmp_path):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()}
    assert modes == {"cluster.pem": 0o644, "cluster.key_secret": 0o600}
    with pytest.raises(RequestError, match="not overwritten"):
        make_cluster_keys(keys)
    with pytest.raises(RequestError, match=r"cannot read .*cosim keys --cluster"):
        security_of(tmp_path)
    make_cluster_keys(tmp_path / "open")
    (tmp_path / "open" / "cluster.key_secret").chmod(0o604)
    with pytest.raises(RequestError, match="chmod 600"):
        security_of(tmp_path / "open")


def test_who_has_other_keys_does_not_get_in(keys, tmp_path, monkeypatch):
    make_cluster_keys(tmp_path / "other")
    address = free_tcp_endpoint().replace("tcp:", "tls:")
    with machines(address, 0, keys):
        monkeypatch.setattr("cosim.studies.cluster.PATIENCE_S", BOUND_S)
        monkeypatch.setattr("distributed.Client.wait_for_workers", _no_worker)
        with pytest.raises(RequestError, match="has no worker"), cluster(ClusterPlace(address, keys=keys)):
            pass
        monkeypatch.setattr("cosim.studies.cluster.PATIENCE_S", 3.0)
        stranger = ClusterPlace(address, keys=tmp_path / "other")
        with pytest.raises(RequestError, match="nobody answers"), cluster(stranger):
            pass


def _no_worker(*_: object, **__: object) -> None:
    raise TimeoutError


HOG = """
import threading

import numpy as np

from model_side.policies.top_k import TopK


class Hog(TopK):
    name = "hog"

    def __call__(self, layer):
        taken = np.ones(1 << 27)  # 1 GiB
        threading.Event().wait(240)
        return super().__call__(layer)
"""


def test_a_worker_that_takes_too_much_is_killed_and_its_run_alone_fails(study, tmp_path):
    (tmp_path / "hog.py").write_text(HOG)
    greedy = tmp_path / "greedy.toml"
    policies = ["top-k", f"{tmp_path}/hog.py:Hog", "ratio"]
    greedy.write_text(f'record = "{study.parent / "run"}"\n[grid]\npolicies = {policies}\n')
    came = sweep(greedy, tmp_path / "study", at=ClusterPlace(workers=1, memory="700MiB"))
    assert came.done == 2
    (reason,) = came.failures.values()
    assert "of too little memory" in reason
    assert len(workers_of(tmp_path / "study")) in (3, 4)  # it is tried three times
