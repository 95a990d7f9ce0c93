# SPDX-License-Identifier: Apache-2.0
"""The `cosim` command in this process."""

import sys
from functools import cache

import typer.main

from cosim import cli

_commands = cache(typer.main.get_command)
"""Made once: typer looks through all commands' options again for each call, which takes longer than most of these."""


def said(command: list[str], monkeypatch, capsys) -> tuple[int, str]:
    """Exit code and last words of a command; what would be a traceback is raised here."""
    monkeypatch.setattr(sys, "argv", ["cosim", *command])
    monkeypatch.setattr(typer.main, "get_command", _commands)
    return cli.run_command(), capsys.readouterr().err
