# SPDX-License-Identifier: Apache-2.0
"""Tables on terminals of any width: all that is in them can be read."""

import io
import re

import pytest
from rich.console import Console

from cosim.reporting.cases import load
from cosim.reporting.comparing import compare
from cosim.reporting.comparison_tables import print_table as print_comparison
from cosim.results.runs import runs_in
from cosim.results.summary import summarise
from cosim.screen.fitting import print_table
from cosim.screen.policies import print_policy
from cosim.screen.report import print_report
from cosim.screen.runs import print_runs
from model_side.hardware import check
from tests.support.small_run import small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("narrow"))


def comparison(run, console):
    data = load([run])
    print_comparison("top-k", compare(data), console)


PRINTED = {
    "show": lambda run, console: print_report(summarise(run), console),
    "compare": comparison,
    "list": lambda run, console: print_runs(runs_in(run.parent), console),
    "devices": lambda run, console: [print_table(table, console) for table in check.tables()],
    "policies": lambda run, console: print_policy("wdmoe", console),
}


def words(run, name: str, width: int) -> tuple[str, set[str]]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    PRINTED[name](run, console)
    text = console.file.getvalue()
    return text, set(re.findall(r"[.%+-]*\w[\w.%+-]*", text))


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("width", [40, 60, 200])
def test_nothing_is_cut(run, name, width):
    text, shown = words(run, name, width)
    assert "…" not in text
    _, all_of_it = words(run, name, 400)
    if name != "list":  # its paths are longer than a line
        assert all_of_it <= shown
    if name in ("show", "compare"):
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert ("┃" in text or "|--" in text) == (width == 200)
