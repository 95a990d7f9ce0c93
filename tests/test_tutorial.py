# SPDX-License-Identifier: Apache-2.0
"""The tutorial does what it says: each file in it is written, each command run, each output compared."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def said(command: str, folder: Path) -> str:
    """Both outputs of a `cosim` command, without the spaces at the ends of lines."""
    program, *arguments = shlex.split(command)
    assert program == "cosim"
    done = subprocess.run(
        [sys.executable, "-m", "cosim.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def test_every_listing_runs_and_says_what_stands_there(tmp_path):
    written = commands = 0
    for language, listing in re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL):
        if language == "python":
            name = listing.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(listing)
            written += 1
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", listing, re.MULTILINE):
            pattern = re.escape(expected).replace(re.escape("..."), r"[\s\S]*")
            output = said(command, tmp_path)
            assert re.fullmatch(pattern, output), f"{command} said\n{output}"
            commands += 1
    assert (written, commands) == (3, 10)


def test_the_first_script_is_as_short_as_it_says():
    first = re.search(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    (lines,) = re.findall(r"## A star in (\d+) lines", TUTORIAL)
    assert first[1].count("\n") == int(lines) < 30
