# SPDX-License-Identifier: Apache-2.0
"""The command as a whole: the page on it, examples in its help, its exit codes."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
import typer

from bridge.network import PartnerLost, RequestError
from cosim import cli
from cosim.errors import Diverged, JournalUnwritable
from cosim.screen.output import CLOSED_PIPE
from tests import ROOT

PAGE = (ROOT / "docs/runs/commands.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(cli.app)


def test_the_page_lists_the_exit_codes():
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {0, 1, 2, 128 + signal.SIGINT, CLOSED_PIPE}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("seed", "is wrong"), 2),
        (PartnerLost("gone"), 1),
        (Diverged("another"), 1),
        (JournalUnwritable("full"), 1),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "not there", "x"), 2),
    ],
)
def test_each_failure_has_its_code(error, code, monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("cosim.results.runs.runs_in", fail)
    monkeypatch.setattr(sys, "argv", ["cosim", "list"])
    assert cli.run_command() == code
    assert capsys.readouterr().err.startswith("cosim: ")


def test_the_page_lists_the_commands_with_json():
    (listed,) = re.findall(r"`--json` has (.*?) print what", PAGE, re.DOTALL)
    having = {name for name, command in GROUP.commands.items() if "--json" in str([p.opts for p in command.params])}
    assert set(re.findall(r"`(\w+)`", listed)) == having


@pytest.mark.parametrize("name", cli.EXAMPLES)
def test_the_examples_of_a_command_are_ones_it_takes(name):
    command = GROUP.commands[name]
    for example in cli.EXAMPLES[name]:
        program, asked, *words = shlex.split(example)
        assert (program, asked) == ("cosim", name)
        command.make_context(name, words)


def test_the_help_shows_examples_in_a_line_each(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cosim", "report", "-h"])
    assert cli.run_command() == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert set(cli.EXAMPLES["report"]) <= set(shown)


@pytest.mark.parametrize("no_color", [False, True])
def test_colours_are_for_terminals_and_go_with_no_color(no_color):
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100"} | ({"NO_COLOR": "1"} if no_color else {})
    command = [sys.executable, "-m", "cosim.cli", "report", "-h"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # Linux tells the end of a terminal so
            while some := os.read(ours, 1 << 16):
                shown += some
        os.close(ours)
    assert process.returncode == 0
    assert b"--figure" in re.sub(rb"\x1b\[[\d;]*m", b"", shown)
    coloured = re.search(rb"\x1b\[(?:[\d;]*;)?(?:3[0-7]|9[0-7]|38;[\d;]*)m", shown)
    assert bool(coloured) is not no_color
    if no_color:
        piped = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
        assert b"\x1b" not in piped
