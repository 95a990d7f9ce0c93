# SPDX-License-Identifier: Apache-2.0
"""`cosim doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from cosim.screen.output import AsJson, console


def doctor(
    keys: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keys to look at too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at each part of the installation, test it, and say what mends it. Exit code 1 if something is ill."""
    from rich.markup import escape

    from cosim.doctor.examination import examine
    from cosim.screen.as_json import print_json

    findings = []
    terminal = console()
    for finding in examine(keys):
        findings.append(finding)
        if not as_json:
            mark = "[red]ill [/]" if finding.mend else "[green]well[/]"
            terminal.print(f"{mark}  {finding.part}: {escape(finding.found)}", highlight=False, soft_wrap=True)
            if finding.mend:
                terminal.print(f"      mend: {escape(finding.mend)}", highlight=False, soft_wrap=True)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    if any(finding.mend for finding in findings):
        raise typer.Exit(1)
