# SPDX-License-Identifier: Apache-2.0
"""Tables on narrow terminals: what does not fit is printed one below the other, and nothing is cut."""

from rich.console import Console
from rich.table import Table

ROOMY = 80
"""Columns of a terminal on which tables stay tables."""


def print_table(table: Table, console: Console, *, by_column: bool = False) -> None:
    """Print a table, on a terminal that is too narrow for it as a list of its rows, or of its columns."""
    wide = console.options.update(width=10_000)
    if console.width >= ROOMY or console.measure(table, options=wide).maximum <= console.width:
        console.print(table)
        return
    if table.title:
        console.print(table.title, style="italic")
    headings = [str(column.header) for column in table.columns]
    rows = list(zip(*(map(str, column.cells) for column in table.columns), strict=True))
    if by_column:
        for number, heading in enumerate(headings[1:], 1):
            console.print(f"\n[bold]{heading}[/bold]", highlight=False)
            for row in rows:
                console.print(f"{row[0]}: {row[number]}" if row[number] else row[0], highlight=False)
        return
    for row in rows:
        console.print()
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                console.print(f"{heading}: {cell}" if heading else cell, highlight=False)
