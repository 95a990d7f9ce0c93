# SPDX-License-Identifier: Apache-2.0
"""`cosim report`, `cosim timeline` and `cosim compare`: runs to look at."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import AsJson, console

Watch = Annotated[
    bool, typer.Option("--watch", help="Show it in the browser while it goes on; the address is printed.")
]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; several are compared. Or a study's.")]


def report(
    runs: Runs,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write it; else `report` in the first RUN.")
    ] = None,
    figures: Annotated[
        list[str] | None,
        typer.Option("--figure", metavar="NAME", help="Only this figure, without a page; repeatable."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Write nothing; show RUN in the browser while it goes on.")
    ] = False,
) -> None:
    """Write a page to look at, and every figure as PDF, SVG and PNG."""
    if live:
        from cosim.reporting.live import show_live

        if len(runs) > 1 or out or figures:
            raise RequestError("--live", "shows one RUN, and writes nothing; leave --out and --figure away")
        show_live(runs[0])
        return
    from cosim.reporting.making import make

    for path in make(runs, out, figures or []):
        print(path)


def timeline(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it, .json or .json.gz; else timeline.json in RUN."),
    ] = None,
) -> None:
    """Write a trace for Perfetto or chrome://tracing: tokens, layers, each device's link and computing."""
    from cosim.reporting.timeline import write

    print(write(run, out))


def compare(
    runs: Runs,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write it as CSV too.")] = None,
    latex: Annotated[
        Path | None, typer.Option("--latex", metavar="FILE", help="Write it as LaTeX too, for a paper to input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what each policy or configuration changes against the first, in pairs of equal seeds."""
    from cosim.folders import written
    from cosim.reporting.comparing import compared
    from cosim.reporting.comparison_tables import as_csv, as_latex, print_table, rows
    from cosim.screen.as_json import print_json

    base, differences = compared(runs)
    for field, path, text in (("--csv", csv, as_csv), ("--latex", latex, as_latex)):
        if path is not None:
            written(path, text(base, differences), field)
    if as_json:
        print_json(rows(base, differences))
    else:
        print_table(base, differences, console(160))
