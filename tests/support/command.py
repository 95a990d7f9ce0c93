# SPDX-License-Identifier: Apache-2.0
"""The `cosim` command in this process."""

import sys

from cosim import cli


def said(command: list[str], monkeypatch, capsys) -> tuple[int, str]:
    """Exit code and last words of a command; what would be a traceback is raised here."""
    monkeypatch.setattr(sys, "argv", ["cosim", *command])
    return cli.run_command(), capsys.readouterr().err
