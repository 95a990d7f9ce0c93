# SPDX-License-Identifier: Apache-2.0
"""`cosim show`, `cosim list`, and what writes a run as other files: migrate, export, traces, routing."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import AsJson, console

_REPORT_WIDTH = 160  # for every policy on a few networks side by side


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    as_json: AsJson = False,
) -> None:
    """Print a run's tables again, from its journal."""
    from cosim.record.journal import UNDELIVERED, Journal
    from cosim.results.summary import summarise
    from cosim.screen.as_json import print_json
    from cosim.screen.report import nothing_back, print_report, unused_weights

    with closing(Journal.open(run)) as journal:
        variants = summarise(journal)
        if as_json:
            print_json(
                {
                    "run": run,
                    "finished": journal.is_finished(),
                    "fingerprint": journal.fingerprint(),
                    "changed_since_its_end": journal.changed_since_its_end(),
                    "mishaps": [{"kind": kind, "message": message} for kind, message in journal.mishaps()],
                    "variants": variants,
                }
            )
            return
        print_report(variants, console(_REPORT_WIDTH))
        if unused := unused_weights(journal):
            print(unused)
        mishaps = journal.mishaps()
        for kind, message in mishaps:
            print(f"{kind}: {message}")
        if changed := journal.changed_since_its_end():
            print(f"changed since the run came to its end: {', '.join(changed)}")
        print(f"journal: {journal.path}, fingerprint {journal.fingerprint()[:16]}")
    if verdict := nothing_back(variants, [message for kind, message in mishaps if kind == UNDELIVERED]):
        print(verdict)


def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to look, at any depth.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder, and which of them can be gone on with."""
    from cosim.results.runs import runs_in
    from cosim.screen.runs import print_runs

    runs = list(runs_in(folder))
    if as_json:
        from cosim.screen.as_json import print_json

        print_json([run._asdict() for run in runs])
    elif runs:
        print_runs(runs, console(_REPORT_WIDTH))
    else:
        print(f"no runs in {folder}; cosim run makes one")


def migrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that an older version wrote.")],
    new: Annotated[
        Path | None, typer.Argument(metavar="[NEW]", help="A new folder; else one beside RUN, named RUN-schema-N.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change RUN itself; its old journal is kept beside the new one.")
    ] = False,
) -> None:
    """Make a run whose journal has an older schema into one that this version reads."""
    from cosim.record.migrations import migrate as migrate_run

    for path in migrate_run(run, new, in_place=in_place):
        print(path)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the files.")],
) -> None:
    """Write a run's tables as Parquet files."""
    try:
        from cosim.results import tables
    except ModuleNotFoundError as error:
        raise RequestError("export", f"needs {error.name}; pip install 'wdmoe-cosim[tables]'") from None

    for path in tables.export(run, folder):
        print(path)


def traces(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the files.")],
    variant: Annotated[int, typer.Option(help="Which of the run's variants, from 1.")] = 1,
) -> None:
    """Write what each device's link could have carried, CSV and Mahimahi, and recorded.toml to play it (cosim run)."""
    from cosim.results.rate_traces import CONFIG
    from cosim.results.rate_traces import export as export_traces

    paths = export_traces(run, folder, variant)
    for path in paths:
        print(path)
    if folder / CONFIG not in paths:
        print(f"no {CONFIG}: a device without files could never be reached, and no recording says so", file=sys.stderr)


def routing(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.parquet", help="A new file.")],
) -> None:
    """Write how a run's model routed, to be replayed without it (model.routing)."""
    from cosim.results.routing_trace import write_routing

    print(f"{file}: {write_routing(run, file)} forward passes")
