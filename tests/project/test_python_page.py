# SPDX-License-Identifier: Apache-2.0
"""The page on Python and its notebook run as they stand there."""

import ast
import json
import re

import pandas as pd

from tests import ROOT


def test_the_listings_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/runs/python.md").read_text(encoding="utf-8")
    listings = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(listings) == 3
    names: dict[str, object] = {}
    for listing in listings:
        exec(listing, names)
    said = capsys.readouterr().out
    assert re.search(r"^weight-to-latency +decode +0\.\d+$|^ +prefill +0\.\d+$", said, re.MULTILINE)
    frame = names["runs"].frame
    assert documented_columns(page) >= set(frame)
    assert documented_columns(page) - set(frame) == {"x_m", "y_m", "z_m", "distance_m"}


def documented_columns(page: str) -> set[str]:
    """Those of the page's table of the frame."""
    rows = re.findall(r"^\| (`.*?) \|", page.partition("a row for each transfer (")[2], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_notebook_runs_and_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "docs/runs/tutorial.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    names: dict[str, object] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            shown.append(run_cell("".join(cell["source"]), names))
    assert [shown[0]] == [None]
    assert shown[1]._repr_html_().count("<img ") == 2
    assert len(shown[3]) == 3
    assert isinstance(shown[4], pd.DataFrame)
    assert [path.is_file() for path in shown[5]] == [True] * 3


def run_cell(source: str, names: dict[str, object]) -> object:
    """Run a cell as a notebook does; what its last line is worth, if that is an expression."""
    parsed = ast.parse(source)
    last = parsed.body[-1]
    if not isinstance(last, ast.Expr):
        exec(source, names)
        return None
    exec(compile(ast.Module(parsed.body[:-1], []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
