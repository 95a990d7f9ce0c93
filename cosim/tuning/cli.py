# SPDX-License-Identifier: Apache-2.0
"""`cosim tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import console
from cosim.studies.cli import Keys, Memory, PlainTcp, Scheduler, Workers, progressing, tell_failures

if TYPE_CHECKING:
    from cosim.tuning.tuning import Tuned


def tune(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="With [tune] (docs/runs/tuning.md).")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The study's folder; else runs/STUDY.")] = None,
    workers: Workers = None,
    memory: Memory = None,
    scheduler: Scheduler = None,
    keys: Keys = None,
    plain_tcp: PlainTcp = False,
) -> None:
    """Find the options of a policy on the front of quality against latency, and run these live.

    The same command goes on with a search that was stopped.
    """
    from importlib.util import find_spec

    from cosim.studies.cluster import ClusterPlace, require
    from cosim.studies.study import read_study

    require()
    if find_spec("optuna") is None:
        raise RequestError("tune", "needs the package optuna; pip install 'wdmoe-cosim[tune]'")
    from cosim.tuning.tuning import tune as search

    asked, at = read_study(study), ClusterPlace(scheduler, workers, memory, keys, plain_tcp)
    with progressing() as tell:
        tuned = search(asked, out, at=at, tell=tell)
    _print(tuned)
    tell_failures(tuned.folder, tuned.failures)


def _print(tuned: "Tuned") -> None:
    from rich.table import Table

    table = Table()
    keys = list(tuned.trials[0].values)
    table.add_column("trial", justify="right")
    for key in keys:
        table.add_column(key, justify="right")
    both = (tuned.network,) if tuned.network == "live" else (tuned.network, "live")
    for network in both:
        for name in tuned.objectives:
            table.add_column(f"{name}\n{network}", justify="right")
    for trial in tuned.front:
        came = [trial.came] if tuned.network == "live" else [trial.came, trial.live]
        figures = [_figure(each, name) for each in came for name in tuned.objectives]
        table.add_row(str(trial.number), *(_word(trial.values[key]) for key in keys), *figures)
    console(160).print(table)
    print(f"{len(tuned.front)} of {len(tuned.trials)} trials on the front: {tuned.folder}")


def _figure(came: dict[str, float] | None, name: str) -> str:
    return "" if came is None else f"{came[name]:.4g}"


def _word(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
