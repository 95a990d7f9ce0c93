# SPDX-License-Identifier: Apache-2.0
"""A study compared and reported from its data set alone, against what its kept runs say."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bridge.network import RequestError
from cosim.reporting.comparing import compared
from cosim.reporting.making import make
from cosim.studies.place import RUNS
from tests.support.studies import done_here, small_study

DRAWS = 2


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    file = small_study(folder, DRAWS)
    file.write_text(f"keep = true\n{file.read_text()}policy.weight-to-latency.threshold = [0.1, 0.6]\n")
    return done_here(file, folder / "done")


def test_a_comparison_of_rows_is_that_of_the_runs(study):
    base, found = compared([study])
    expected_base, expected = compared(sorted((study / RUNS).iterdir()))
    assert base == expected_base == "top-k"
    assert {each.label for each in found} == {f"weight-to-latency threshold={value}" for value in (0.1, 0.6)}
    of_runs = {(each.label, each.measure.name): each for each in expected}
    shared = [each for each in found if (each.label, each.measure.name) in of_runs]
    assert {each.measure.name for each in shared} >= {"TTFT, mean", "TPOT, mean", "transfers not done"}
    for each in shared:
        same = of_runs[each.label, each.measure.name]
        assert (each.pairs, each.p) == (same.pairs, same.p) == (DRAWS, same.p)
        assert (each.base, each.value) == pytest.approx((same.base, same.value))
        assert (each.difference, each.low, each.high) == pytest.approx((same.difference, same.low, same.high))


class Cells(HTMLParser):
    """The texts of a page's table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1].append(data)
            self.inside = False


def test_a_report_has_every_label_and_a_figure_for_each_key(study, tmp_path):
    (page,) = make([study], tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    cells = Cells()
    cells.feed(text)
    head, *rows = cells.rows
    assert head[:3] == ["label", "runs", "TTFT, mean in ms"]
    assert {row[0]: row[1] for row in rows} == {
        "top-k": "2",
        "weight-to-latency threshold=0.1": "2",
        "weight-to-latency threshold=0.6": "2",
    }
    _, differences = compared([study])
    first = next(each for each in differences if each.label == rows[1][0] and each.measure.name == "TTFT, mean")
    assert rows[1][2] == f"{first.value:,.1f}"
    names = set(re.findall(r'id="figure-([\w-]+)"', text))
    assert names == {"front", "by-policy-weight-to-latency-threshold"}
    assert {path.name for path in page.parent.iterdir()} == {
        "report.html",
        *(f"{name}.{kind}" for name in names for kind in ("pdf", "svg", "png")),
    }


def test_what_cannot_be_shown_is_named(study, tmp_path):
    with pytest.raises(RequestError, match="by itself"):
        compared([study, study / RUNS])
    with pytest.raises(RequestError, match="by itself"):
        make([study, study], tmp_path / "report")
    with pytest.raises(RequestError, match="did you mean front"):
        make([study], tmp_path / "report", ["fron"])
    (tmp_path / "results.parquet").write_bytes(b"nothing")
    with pytest.raises(RequestError, match="cannot be read"):
        compared([tmp_path])
