# SPDX-License-Identifier: Apache-2.0
"""The page about importing: its kinds, data sets and options are those of the command."""

import re
import shlex
import subprocess
import sys

import pytest
import typer

from cosim.importing import datasets
from cosim.importing.cli import app
from tests.support.listings import text

PAGE = text("import.md")
COMMANDS = [
    shlex.split(line)
    for listing in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in listing.splitlines()
]
KINDS = typer.main.get_command(app).commands


def test_every_kind_has_its_row():
    assert set(re.findall(r"^\| `(\w+)` \| (?!`)", PAGE, re.MULTILINE)) == {*KINDS}


def test_every_data_set_has_its_row_with_its_columns():
    rows = {row.split("`")[1]: row for row in re.findall(r"^\| `[\w-]+` \| `.*$", PAGE, re.MULTILINE)}
    assert {*rows} == {*datasets.DATASETS}
    for name, columns in datasets.DATASETS.items():
        for told in (columns.time, columns.down, columns.up):
            assert told is None or f"`{told}`" in rows[name]
    assert all(f"`{unit}`" in PAGE for unit in datasets.BITS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_of_the_page_have_options_that_there_are(words):
    assert words[:2] == ["cosim", "import"]
    known = {option for parameter in KINDS[words[2]].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_command_line_loads_neither_arrays_nor_parsers_to_begin_with():
    code = "import sys, cosim.cli; print({'numpy', 'torch', 'dpkt', 'gpxpy', 'pyproj'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
