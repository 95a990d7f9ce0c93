# SPDX-License-Identifier: Apache-2.0
"""The listings of a page of the documentation: its files written, its commands run, its outputs compared."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT
from tests.support.cosim_process import cosim

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
ENVIRONMENT["PYTHONPATH"] = str(ROOT)

_LISTING = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:#|//) (\S+)\n")


@dataclass
class Played:
    """What `play` did: the names of the files that it wrote, in order, and the commands that it ran."""

    files: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def text(page: str) -> str:
    """Of a page of docs/, whose name is the only one, in whichever folder."""
    (path,) = (ROOT / "docs").rglob(page)
    return path.read_text(encoding="utf-8")


def files(page: str) -> dict[str, str]:
    """The files that a page lists, by the name in the comment of their first line; the last one of each name."""
    found = (listing for language, listing in _LISTING.findall(text(page)) if language != "console")
    return {_NAME.match(listing)[1]: listing for listing in found if _NAME.match(listing)}


def play(page: str, folder: Path) -> Played:
    """Go through a page in `folder`; fails where a command says something else than the page ("..." is anything)."""
    played = Played()
    for language, listing in _LISTING.findall(text(page)):
        name = _NAME.match(listing)
        if language != "console" and name:
            (folder / name[1]).write_text(listing)
            played.files.append(name[1])
        if language == "console":
            for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", listing, re.MULTILINE):
                pattern = re.escape(_narrow(expected)).replace(re.escape("..."), r"[\s\S]*")
                output = said(command, folder)
                assert re.fullmatch(pattern, _narrow(output)), f"{command} said\n{output}"
                played.commands.append(command)
    return played


def _narrow(output: str) -> str:
    """A table as if no column were wider than its text, since a row that is left out may widen one."""
    return re.sub(r" +", " ", re.sub("━+", "━", output))


def said(command: str, folder: Path) -> str:
    """Both outputs of a shell command in which `cosim` is this one, without the spaces at the ends of lines."""
    name, *arguments = shlex.split(command)
    if name == "cosim" and not set(command) & set("|<>;&$"):
        return _ends_of_lines_bare(cosim(*arguments, cwd=folder, env=ENVIRONMENT, merged=True).stdout)
    programs = folder / ".programs"
    programs.mkdir(exist_ok=True)
    (programs / "cosim").write_text(f'#!/bin/sh\nexec {sys.executable} -m cosim.cli "$@"\n')
    (programs / "cosim").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**ENVIRONMENT, "PATH": f"{programs}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    return _ends_of_lines_bare(done.stdout)


def _ends_of_lines_bare(output: str) -> str:
    return "".join(line.rstrip() + "\n" for line in output.splitlines())
