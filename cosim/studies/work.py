# SPDX-License-Identifier: Apache-2.0
"""What a worker of a study does: one run after another, with what they share kept between them.

That is the model, an ns-3 side, and the links that are fitted to a record: so a run costs no start-up.
"""

import os
import shutil
import socket
import tempfile
import threading
import time
import traceback
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from bridge.endpoint import private_ipc
from bridge.network import RequestError
from cosim.config import Config
from cosim.experiment import answered, journaled
from cosim.fitted import Fitted, fitted, working_in
from cosim.networks.ns3_process import Ns3Process, ns3_process
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from cosim.results.figures import figures_of
from cosim.results.summary import summarise
from cosim.studies import place
from cosim.studies.place import Row
from cosim.studies.runs import StudyRun
from cosim.variant import serving_of
from model_side.serving import Serving

RECORDS = 4
"""So many records a process keeps with their links fitted."""
_SESSIONS = 200
"""So many runs an ns-3 side serves before a new one takes its place: each leaves a little memory behind in ns-3."""
_ONE = threading.Lock()
"""A process does one run at a time: they share its working directory, and PyTorch's threads."""


class RunFailed(Exception):
    """A run that came to no end, and what it said."""


@dataclass(frozen=True)
class Task:
    """A run as it travels to a worker; `config` as JSON, `folder` the study's."""

    name: str
    number: int
    record: str | None
    config: bytes
    folder: str
    ran_in: str
    keep: bool


def task_of(run: StudyRun, folder: Path, keep: bool) -> Task:
    """A run of the study in `folder`, on its way."""
    return Task(run.name, run.number, run.record_path, msgspec.json.encode(run.config), str(folder), run.ran_in, keep)


def carry_out(task: Task) -> Row | str:
    """Do a run and leave its row in the study's folder; the row, or why the run was refused.

    What is done already is left alone. Raises `RunFailed` for what another attempt may mend.
    """
    folder = Path(task.folder)
    with _ONE, place.claimed(folder, task.number):
        if (done := place.read_row(folder, task.name)) is not None:
            return done
        place.log(folder, task.name, f"{_now()} begun by process {os.getpid()} on {socket.gethostname()}")
        try:
            with tempfile.TemporaryDirectory(prefix="run-", dir=_scratch(), ignore_cleanup_errors=True) as scratch:
                row = _row(task, Path(scratch) / "run")
            place.write_row(folder, task.name, row)
        except RequestError as error:
            place.log(folder, task.name, f"{_now()} refused: {error}")
            return str(error)
        except Exception as error:
            place.log(folder, task.name, f"{_now()} failed: {traceback.format_exc()}{_kept.words()}")
            raise RunFailed(f"{type(error).__name__}: {error}") from None
        place.log(folder, task.name, f"{_now()} done")
    return row


def sees(folder: str) -> bool:
    """Whether this worker sees the study's folder, and can write there."""
    return os.access(Path(folder) / place.CLAIMS, os.W_OK)


def _row(task: Task, run: Path) -> Row:
    began_s, cpu_s = time.perf_counter(), time.process_time()
    config = msgspec.json.decode(task.config, type=Config)
    with working_in(task.ran_in):
        if task.record is not None:
            answered(fitted_once(task.record), config, run, serve=_serve)
        else:
            journaled(config, run, at=Ns3Place(connect=_kept.endpoint(config.script)), serve=_serve)
    variants = summarise(run)
    figures = figures_of(variants[0])
    for other in variants[1:]:  # a dense baseline, which is asked the same at the base station
        figures |= {f"baseline_{name}": value for name, value in figures_of(other).items()}
    with closing(Journal.open(run)) as journal:
        network, mishaps = journal.network_info(1), journal.mishaps()
        for kind, message in mishaps:
            place.log(Path(task.folder), task.name, f"{kind}: {message}")
        row = Row(
            figures=figures,
            network=dict(network.versions) if network else {},
            fingerprint=journal.fingerprint(),
            mishaps=len(mishaps),
            wall_s=time.perf_counter() - began_s,
            cpu_s=time.process_time() - cpu_s,
            journal_bytes=(run / FILE_NAME).stat().st_size,
            host=socket.gethostname(),
        )
    if task.keep:
        _keep(run, Path(task.folder) / place.RUNS / task.name)
    return row


def _keep(run: Path, kept: Path) -> None:
    """Move a run's folder to where it stays, whole or not at all."""
    partial = kept.with_name(f".{kept.name}")
    for there in (partial, kept):
        shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(run, partial)
    partial.rename(kept)


def _serve(config: Config) -> Serving:
    """What answers, by the model that this process keeps."""
    if not config.model.routing:
        from model_side.model.loading import keep_loaded  # noqa: PLC0415  (recorded routing needs no PyTorch)

        keep_loaded()
    return serving_of(config)


@lru_cache(maxsize=RECORDS)
def fitted_once(record: str) -> Fitted:
    """A record with its links fitted, which this process keeps."""
    return fitted(Path(record))


class _Kept:
    """The ns-3 side that this process keeps for its runs; one script's at a time."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._process: Ns3Process | None = None
        self._endpoint = ""
        self._script: Path | None = None
        self._sessions = 0

    def endpoint(self, script: Path | None) -> str:
        """Where it listens; a new one where there is none, where it has ended, or has served enough."""
        stale = self._process is None or self._process.process.poll() is not None
        if stale or script != self._script or self._sessions >= _SESSIONS:
            self._close()
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ns3-", dir=_scratch()))
            self._endpoint = self._stack.enter_context(private_ipc())
            process = ns3_process(self._endpoint, Path(folder) / "ns3.log", script)
            self._process = self._stack.enter_context(process)
            self._script, self._sessions = script, 0
        self._sessions += 1
        return self._endpoint

    def words(self) -> str:
        """What it said last, for the log of a run that failed."""
        if self._process is None:
            return ""
        with suppress(OSError):
            lines = self._process.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return "".join(f"\nns-3: {line}" for line in lines[-20:])
        return ""

    def _close(self) -> None:
        self._process = None
        self._stack.close()
        self._stack = ExitStack()


_kept = _Kept()


def _scratch() -> str | None:
    """Where this worker puts what it needs for a while; Dask clears it when the worker is gone, however it went."""
    from distributed import get_worker  # noqa: PLC0415

    with suppress(ValueError):
        return str(get_worker().local_directory)
    return None


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
