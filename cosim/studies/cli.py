# SPDX-License-Identifier: Apache-2.0
"""`cosim sweep`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import console

if TYPE_CHECKING:
    from cosim.studies.sweeping import Plan, Progress, Tell

Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Workers of a Dask scheduler, tls://HOST:PORT; else processes here."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes here; else one for each processor.")]
Memory = Annotated[str | None, typer.Option(metavar="SIZE", help="Most for each of these, as 3GiB, which it is.")]
Keys = Annotated[
    Path | None, typer.Option("--keys", metavar="FOLDER", help="The cluster's; `cosim keys --cluster` makes them.")
]
PlainTcp = Annotated[
    bool, typer.Option("--plain-tcp", help="A scheduler at tcp://, without keys: who reaches it can use it.")
]
_TOLD = 5


def sweep(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="What is varied (docs/runs/study.md).")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The study's folder; else runs/STUDY.")] = None,
    workers: Workers = None,
    memory: Memory = None,
    scheduler: Scheduler = None,
    keys: Keys = None,
    plain_tcp: PlainTcp = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Do only a few runs, and say how long all take, and how many bytes.")
    ] = False,
    budget: Annotated[
        float | None, typer.Option(metavar="HOURS", help="Begin no run that would not be over by then.")
    ] = None,
) -> None:
    """Carry out all runs of a study; the same command goes on with one that was stopped."""
    from cosim.studies.cluster import ClusterPlace, require
    from cosim.studies.study import read_study

    if budget is not None and budget <= 0:
        raise RequestError("--budget", f"{budget} hours are none; give more")
    if plan and budget is not None:
        raise RequestError("--plan", "does a few runs only; leave --budget away")
    require()
    from cosim.studies import sweeping

    asked, at = read_study(study), ClusterPlace(scheduler, workers, memory, keys, plain_tcp)
    with progressing() as tell:
        if plan:
            planned = sweeping.plan(asked, out, at=at, tell=tell)
        else:
            came = sweeping.sweep(asked, out, at=at, budget_hours=budget, tell=tell)
    if plan:
        _print_plan(planned)
        return
    earlier = f", {came.earlier} of them before" if came.earlier else ""
    print(f"{came.done} of {came.total} runs done{earlier}: {came.folder}")
    if came.left:
        print(f"{came.left} were not begun within {budget:g} hours; the same command goes on with them")
    tell_failures(came.folder, came.failures)
    print(f"to look at it: cosim report {came.folder}")


def tell_failures(folder: Path, failures: Mapping[str, str]) -> None:
    """Name the first runs that failed; if there are any, the command ends with exit code 1."""
    for name, reason in list(failures.items())[:_TOLD]:
        print(f"failed: {name}: {reason}; see {folder / 'logs' / name}.log")
    if len(failures) > _TOLD:
        print(f"and {len(failures) - _TOLD} more, in results.parquet")
    if failures:
        raise typer.Exit(1)


def _print_plan(plan: "Plan") -> None:
    print(f"{plan.total} runs, {plan.done} done, {plan.timed} of them now, at {plan.run_s:.2g} s each")
    left = plan.total - plan.done
    print(f"{left} are left: {_duration(plan.left_s)} on {plan.workers} workers, {_duration(plan.cpu_s)} of processors")
    kept = f", and {_size(plan.journal_bytes)} of run folders" if plan.journal_bytes else ""
    print(f"on disk in the end: {_size(plan.result_bytes)}{kept}")


@contextmanager
def progressing() -> "Iterator[Tell]":
    """A bar on a terminal; elsewhere a line for each tenth of the runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    terminal = console()
    if not terminal.is_terminal:
        told = -1

        def line(progress: "Progress") -> None:
            nonlocal told
            over = progress.done + progress.failed
            tenth = 10 * over // max(progress.total, 1)
            if tenth > told:
                told = tenth
                print(f"{over} of {progress.total} runs{_rest(progress)}", flush=True)

        yield line
        return
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"))
    with Bar(*columns, console=terminal) as bar:
        task = bar.add_task("", total=None, rest="starting workers")

        def show(progress: "Progress") -> None:
            bar.update(task, completed=progress.done + progress.failed, total=progress.total, rest=_rest(progress))

        yield show


def _rest(progress: "Progress") -> str:
    failed = f", {progress.failed} failed" if progress.failed else ""
    return failed + ("" if progress.left_s is None else f", {_duration(progress.left_s)} left")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.0f} s"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"
