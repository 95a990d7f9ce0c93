# SPDX-License-Identifier: Apache-2.0
"""`cosim models`."""

import json
from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import AsJson, console

_WIDTH = 140


def models(
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="A shipped one, a folder, or a hub id, with --check.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Load it and say what it is, takes, and can.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Devices, placement and so on, as in a run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List shipped models and published sizes, or load a model: can it be split exactly? Exit code 1 if not."""
    from cosim import config as configuration
    from cosim.models import listing

    if path is None:
        if check or settings:
            raise RequestError("PATH", "say which model; `cosim models` lists those that are shipped")
        if as_json:
            print(json.dumps(listing.listed(), indent=1))
        else:
            listing.print_list(console(_WIDTH))
        return
    if not check:
        raise RequestError("--check", f"is missing; with it {path} is loaded and looked at")
    from cosim.checks import check_hardware
    from cosim.models.checking import check_model, print_checked

    config = configuration.load({"model": {"path": path, "wire_profile": "own"}}, settings or [])
    check_hardware(config)
    found = check_model(config)
    if as_json:
        print(json.dumps(found.plain(), indent=1))
    else:
        print_checked(found, config, console())
    if not found.is_exact:
        raise typer.Exit(1)
