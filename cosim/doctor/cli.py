# SPDX-License-Identifier: Apache-2.0
"""`cosim doctor`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.screen.output import console


def doctor(
    keys: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keys to look at too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Look at each part of the installation, test it, and say what mends it. Exit code 1 if something is ill."""
    from rich.markup import escape

    from cosim.doctor.examination import examine

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
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    if any(finding.mend for finding in findings):
        raise typer.Exit(1)
