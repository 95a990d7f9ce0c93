# SPDX-License-Identifier: Apache-2.0
"""The runs that there are, a line each."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cosim.results.runs import RunLine
from cosim.screen import fitting


def print_runs(lines: Iterable[RunLine], console: Console) -> None:
    """Print a table of runs."""
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("run", "made", "state", "scenario"):
        table.add_column(heading, overflow="fold")
    table.add_column("seed", justify="right")
    for heading in ("policies", "networks"):
        table.add_column(heading, overflow="fold")
    for heading in ("exchanges", "tokens"):
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(
            *map(escape, (line.run, line.when, line.state, line.scenario)),
            _figure(line.seed),
            *(escape(", ".join(names)) for names in (line.policies, line.networks)),
            *map(_figure, (line.exchanges, line.tokens)),
        )
    fitting.print_table(table, console)


def _figure(value: int | None) -> str:
    return "" if value is None else str(value)
