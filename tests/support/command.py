# SPDX-License-Identifier: Apache-2.0
"""The `cosim` command in this process."""

import sys

import pytest

from cosim import cli


def said(command: list[str], monkeypatch, capsys) -> tuple[object, str]:
    """Exit code and last words of a command; what would be a traceback is raised here."""
    monkeypatch.setattr(sys, "argv", ["cosim", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err
