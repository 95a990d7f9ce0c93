# SPDX-License-Identifier: Apache-2.0
"""A study carried out: its runs given to workers, what comes back kept, whatever happens to either."""

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bridge.network import RequestError
from cosim.studies import place as places
from cosim.studies.cluster import PATIENCE_S, ClusterPlace, cluster, hold_versions, lost, require
from cosim.studies.dataset import write
from cosim.studies.place import Row, held, read_row
from cosim.studies.runs import StudyRun, check_runs, runs_of
from cosim.studies.stem import stem
from cosim.studies.study import Study, read_study
from cosim.studies.work import carry_out, sees, task_of

if TYPE_CHECKING:
    from distributed import Client, Future

_HERE = ClusterPlace()
_RETRIES = 1
"""How often a run that failed is tried again; one whose worker died, as often as Dask's scheduler allows."""
_WRITTEN_S = 60.0
"""So often the data set is brought up to date,"""
_WRITING = 0.02
"""but no larger part of the time is spent on it."""
_TICK_S = 1.0
_TIMED_A_WORKER = 3
_LATEST = 100
_AHEAD = 16
"""More runs than workers take at once, for those that join later."""


@dataclass(frozen=True)
class Progress:
    """How far a study is: runs `done` of `total`, `failed` ones, and how long the others will take, if known."""

    done: int
    failed: int
    total: int
    left_s: float | None


@dataclass(frozen=True)
class Swept:
    """What a sweep came to. `done` of `total` runs have a row, `earlier` of them from before; `failures` by name."""

    folder: Path
    total: int
    done: int
    earlier: int
    failures: Mapping[str, str]

    @property
    def left(self) -> int:
        """How many runs have not been tried."""
        return self.total - self.done - len(self.failures)


@dataclass(frozen=True)
class Plan:
    """What a study will take: of `total` runs `done` ones have a row; the others `left_s` on `workers`, and `cpu_s`.

    `timed` ones say so, at `run_s` each. `result_bytes` and `journal_bytes`: of the data set and of the runs' folders,
    if these are kept, when all is done.
    """

    total: int
    done: int
    timed: int
    workers: int
    run_s: float
    left_s: float
    cpu_s: float
    result_bytes: int
    journal_bytes: int


Tell = Callable[[Progress], None]


def sweep(
    study: Study | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    *,
    at: ClusterPlace = _HERE,
    budget_hours: float | None = None,
    tell: Tell = lambda progress: None,
) -> Swept:
    """Carry out all runs of a study that are not done yet, and write what came of them as one Parquet data set.

    `study`: the path of a TOML file (docs/runs/study.md), the plain values that it would give, or what `read_study`
    made of them. `out`: the study's folder; without it runs/NAME, by the file's name. `at`: where the workers are, by
    default a process for each processor here. `budget_hours`: no run is begun that would not be over by then. `tell` is
    called as runs are done.

    The same call goes on with a study that was stopped, in whatever way; what is done is not done again. Workers are
    fresh processes: a script calls this under `if __name__ == "__main__"`. Raises `RequestError` before anything runs
    for what makes no sense, `PartnerLost` if the scheduler goes. A run that fails is in `failures` and has a row.
    """
    own = study if isinstance(study, Study) else read_study(study)
    runs, folder = _checked(own, out, at)
    with held(folder, own):
        rows = _rows(folder, runs)
        earlier = len(rows)
        failures: dict[str, str] = {}
        pending = [run for run in runs if run.name not in rows]
        end_s = None if budget_hours is None else time.monotonic() + 3600 * budget_hours
        with written(folder, runs, rows, failures) as refresh:
            if pending:
                with gathered(at, folder, pending) as client:
                    work = Work(client, at, folder, own.keep, rows, failures, end_s)
                    work.carry_out(pending, len(runs), [refresh, tell])
    return Swept(folder, len(runs), len(rows), earlier, failures)


def plan(
    study: Study | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    *,
    at: ClusterPlace = _HERE,
    tell: Tell = lambda progress: None,
) -> Plan:
    """Say what a study takes, from a few of its runs, which are done and so need not run again. As `sweep`."""
    own = study if isinstance(study, Study) else read_study(study)
    runs, folder = _checked(own, out, at)
    with held(folder, own):
        rows = _rows(folder, runs)
        failures: dict[str, str] = {}
        pending = [run for run in runs if run.name not in rows]
        workers = 0
        with written(folder, runs, rows, failures) as refresh:
            if pending:
                with gathered(at, folder, pending) as client:
                    workers = len(client.nthreads())
                    chosen = _spread(pending, _TIMED_A_WORKER * workers)
                    work = Work(client, at, folder, own.keep, rows, failures, None)
                    work.carry_out(chosen, len(rows) + len(chosen), [refresh, tell])
        if failures:
            name, reason = next(iter(failures.items()))
            raise RequestError("STUDY", f"{len(failures)} of the timed runs failed, the first of them {name}: {reason}")
        return _planned(folder, len(runs), len(pending), workers, list(rows.values()), own.keep)


def default_folder(study: Study) -> Path:
    """Where a study goes that nobody gave a place."""
    return Path("runs") / study.name


def _checked(study: Study, out: Path | str | None, at: ClusterPlace) -> tuple[list[StudyRun], Path]:
    require()
    at.check()
    runs = runs_of(study)
    check_runs(runs)
    return runs, (default_folder(study) if out is None else Path(out)).resolve()


def _rows(folder: Path, runs: Sequence[StudyRun]) -> dict[str, Row]:
    found = ((run.name, read_row(folder, run.name)) for run in runs)
    return {name: row for name, row in found if row is not None}


def _spread(runs: Sequence[StudyRun], count: int) -> list[StudyRun]:
    """So many of them, evenly from first to last."""
    count = min(count, len(runs))
    return [runs[number * len(runs) // count] for number in range(count)]


@contextmanager
def written(
    folder: Path, runs: Sequence[StudyRun], rows: Mapping[str, Row], failures: Mapping[str, str]
) -> Iterator[Tell]:
    """Have the data set up to date at the end, however that comes; what is yielded brings it so now and then."""
    next_s = time.monotonic() + _WRITTEN_S

    def refresh(_: Progress) -> None:
        nonlocal next_s
        began_s = time.monotonic()
        if began_s > next_s:
            write(folder, runs, rows, failures)
            ended_s = time.monotonic()
            next_s = ended_s + max(_WRITTEN_S, (ended_s - began_s) / _WRITING)

    try:
        yield refresh
    finally:
        write(folder, runs, rows, failures)


@contextmanager
def gathered(at: ClusterPlace, folder: Path, runs: Sequence[StudyRun]) -> "Iterator[Client]":
    """The workers, which have been held against what they need."""
    with ExitStack() as stack:
        if at.scheduler is None:
            stack.enter_context(stem(runs))
        client = stack.enter_context(cluster(at))
        if at.scheduler is not None:
            hold_versions(client, {name: each for run in runs for name, each in run.versions.items()})
            blind = [name for name, can in client.run(sees, str(folder)).items() if not can]
            if blind:
                reason = f"the worker {blind[0]} does not see {folder}, where rows go; put it on a shared file system"
                raise RequestError("--out", reason)
        yield client


class Work:
    """Runs on their way to workers and back; rows and failures are added where they are kept."""

    def __init__(
        self,
        client: "Client",
        at: ClusterPlace,
        folder: Path,
        keep: bool,
        rows: dict[str, Row],
        failures: dict[str, str],
        end_s: float | None,
    ):
        self._client = client
        self._at = at
        self._folder = folder
        self._keep = keep
        self._rows = rows
        self._failures = failures
        self._end_s = end_s
        self._back: queue.Queue[Future] = queue.Queue()
        self._away: dict[str, tuple[StudyRun, Future]] = {}
        self._took_s: list[float] = []
        self._threads: int = max(sum(client.nthreads().values()), 1)

    def carry_out(self, runs: Sequence[StudyRun], total: int, tell: Sequence[Tell]) -> None:
        """Have these done, as far as the budget goes. Raises `PartnerLost` if the scheduler goes."""
        waiting = iter(runs)
        done = 0
        for each in tell:
            each(self._progress(total, None))
        self._send(waiting)
        while self._away:
            future = self._next()
            run, _ = self._away.pop(future.key)
            self._take(run, future)
            done += 1
            self._send(waiting)
            for each in tell:
                each(self._progress(total, self._left_s(len(runs) - done)))

    def _left_s(self, runs: int) -> float | None:
        """How long so many take, by what the latest took; the first of each worker is slow, and says nothing."""
        if len(self._took_s) <= self._threads:
            return None
        return median(self._took_s[-_LATEST:]) * runs / self._threads

    def _progress(self, total: int, left_s: float | None) -> Progress:
        return Progress(len(self._rows), len(self._failures), total, left_s)

    def _send(self, waiting: Iterator[StudyRun]) -> None:
        """Keep as many runs away as workers need never to wait; with a budget, no more than are under way."""
        most = self._threads if self._end_s is not None else 2 * self._threads + _AHEAD
        while len(self._away) < most and self._has_time():
            run = next(waiting, None)
            if run is None:
                return
            task = task_of(run, self._folder, self._keep)
            future = self._client.submit(carry_out, task, key=f"run-{run.name}-{run.digest}", retries=_RETRIES)
            self._away[future.key] = (run, future)
            future.add_done_callback(self._back.put)

    def _has_time(self) -> bool:
        if self._end_s is None:
            return True
        return time.monotonic() + (median(self._took_s) if self._took_s else 0.0) < self._end_s

    def _next(self) -> "Future":
        """The next run that is back; raises `PartnerLost` once the scheduler has been gone for a while."""
        alone_s = 0.0
        while True:
            try:
                future = self._back.get(timeout=_TICK_S)
            except queue.Empty:
                alone_s = 0.0 if self._client.status == "running" else alone_s + _TICK_S
                if alone_s > PATIENCE_S:
                    raise lost(self._at.scheduler) from None
                continue
            if future.status in ("cancelled", "lost"):
                raise lost(self._at.scheduler)
            return future

    def _take(self, run: StudyRun, future: "Future") -> None:
        if future.status == "error":
            self._failures[run.name] = _reason(future.exception(PATIENCE_S))
            places.log(self._folder, run.name, f"given up: {self._failures[run.name]}")
            return
        came = read_row(self._folder, run.name) or self._told(future)
        if isinstance(came, str):
            self._failures[run.name] = came
            return
        self._rows[run.name] = came
        self._took_s.append(came.wall_s)

    def _told(self, future: "Future") -> Row | str:
        """What the worker said of a run whose row is not to be seen here."""
        try:
            came: Row | str = future.result(PATIENCE_S)
        except TimeoutError:  # it is done, but nobody is there to hand it over
            raise lost(self._at.scheduler) from None
        return came


def _reason(error: BaseException | None) -> str:
    from distributed import KilledWorker  # noqa: PLC0415

    if isinstance(error, KilledWorker):
        return "its worker died, and each other one that tried it: of too little memory (--memory), or killed"
    return str(error)


def _planned(folder: Path, total: int, pending: int, workers: int, rows: Sequence[Row], keep: bool) -> Plan:
    if not rows:
        return Plan(total, 0, 0, workers, 0.0, 0.0, 0.0, 0, 0)
    run_s, cpu_s = (median(getattr(row, name) for row in rows) for name in ("wall_s", "cpu_s"))
    left = total - len(rows)
    stored = sum((folder / name).stat().st_size for name in (places.RESULTS, places.COSTS))
    stored += sum(places.row_file(folder, name).stat().st_size for name in _names(folder))
    return Plan(
        total=total,
        done=len(rows),
        timed=pending - left,
        workers=workers,
        run_s=run_s,
        left_s=left * run_s / max(workers, 1),
        cpu_s=left * cpu_s,
        result_bytes=round(stored / len(rows) * total),
        journal_bytes=round(total * sum(row.journal_bytes for row in rows) / len(rows)) if keep else 0,
    )


def _names(folder: Path) -> list[str]:
    return [file.stem for file in (folder / places.ROWS).glob("*.json") if not file.name.startswith(".")]
