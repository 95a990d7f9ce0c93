# SPDX-License-Identifier: Apache-2.0
"""The page: whole or not there; in a browser it logs no error, asks nothing of the network, and answers filters."""

import errno
import os
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from bridge.network import RequestError
from cosim.cli import run_command
from cosim.config import convert
from cosim.reporting import making, written
from cosim.reporting.cases import load
from cosim.reporting.figures import FIGURES
from cosim.reporting.making import make
from cosim.reporting.page.rendered import _described
from tests.support.browser import CHROMIUM, chromium


@pytest.fixture(scope="module")
def page(run, other, tmp_path_factory) -> Path:
    (path,) = make([run, other], tmp_path_factory.mktemp("page") / "report")
    return path


def test_every_figure_is_on_the_page_or_its_lack_is_told(page):
    text = page.read_text(encoding="utf-8")
    shown = set(re.findall(r'<figure id="figure-([\w-]+)"', text))
    assert shown
    for name, plot in FIGURES.items():
        files = [page.parent / f"{name}.{kind}" for kind in ("pdf", "svg", "png")]
        assert all(file.exists() for file in files) == (name in shown)
        assert name in shown or f"<li>{plot.TITLE}: " in text
    ids = re.findall(r'\bid="([^"]+)"', re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    assert len(ids) == len(set(ids))


@pytest.fixture
def quick(monkeypatch):
    """Of all figures only one, which takes the least time to draw."""
    monkeypatch.setattr(written, "FIGURES", {"prediction": FIGURES["prediction"]})


@pytest.mark.usefixtures("quick")
def test_what_a_run_calls_its_things_is_text_and_no_markup(run, tmp_path):
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    (folder / "journal.sqlite").write_bytes((run / "journal.sqlite").read_bytes())
    (path,) = make([folder], tmp_path / "report")
    assert "<img src=x" not in path.read_text(encoding="utf-8")


def test_the_configuration_on_the_page_is_that_of_the_run(run):
    (described,) = (_described(each, load([run])) for each in load([run]).runs)
    assert convert(tomllib.loads(described["toml"])) == convert(load([run]).runs[0].config)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)")
def test_a_browser_shows_it_without_error_or_request(page, run, other):
    cases = load([run, other]).cases
    with chromium() as tab:
        for width, dark in ((1440, False), (390, True)):
            tab.open(page.as_uri(), width, dark=dark)
            assert tab.value("document.documentElement.scrollWidth") <= width
            assert tab.value("document.querySelectorAll('figure svg').length") == tab.value(
                "document.querySelectorAll('figure').length"
            )
            assert tab.value("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        points = "Bokeh.documents[0].get_model_by_name('layers').data.x.length"
        assert tab.value(points) == sum(len(case.exchanges["exchange"]) for case in cases)
        choose = (
            "(id, value) => { const select = document.getElementById(id); select.value = value; "
            "select.dispatchEvent(new Event('change')); }"
        )
        tab.value(f"({choose})('layers-layer', '1'); ({choose})('layers-phase', '0')")
        wanted = sum(int(((case.exchanges["layer"] == 1) & (case.exchanges["phase"] == 0)).sum()) for case in cases)
        assert tab.value(points) == wanted > 0
        assert f"{wanted // len(cases)} layers, median" in tab.value(
            "document.getElementById('layers-said').textContent"
        )
        before = tab.value("document.getElementById('step-said').textContent")
        tab.value("document.getElementById('step-on').click()")
        after = tab.value("document.getElementById('step-said').textContent")
        first, second = (int(re.match(r"Exchange (\d+) of", said)[1]) for said in (before, after))
        assert second == first + 1
        case = cases[0]
        bars = tab.value("Bokeh.documents[0].get_model_by_name('step').data.device.length")
        assert bars == 3 * int((case.transfers["at"] == first).sum())
        tab.value(
            "(at => { at.value = at.max; at.dispatchEvent(new Event('input')); })(document.getElementById('map-at'))"
        )
        now = "Bokeh.documents[0].get_model_by_name('map-now').data"
        end_s = case.exchanges["end_s"][-1]
        assert tab.value(f"[...{now}.user]") == ["device-0", "device-1", "device-2", "walker"]
        assert tab.value(f"[...{now}.y]") == pytest.approx([0, end_s, 2 * end_s, 3 * end_s], rel=1e-5)
        assert f"At {end_s:.3f} s" in tab.value("document.getElementById('map-said').textContent")
        assert "device-1 20.0 dB" in tab.value("document.getElementById('map-said').textContent")
        tab.value(f"({choose})('map-device', 'device-2')")
        assert tab.value(f"[...{now}.user]") == ["device-2"]
        tab.value("document.getElementById('map-play').click()")
        tab.until("document.getElementById('map-play').textContent === 'Play'")
        assert tab.value("document.getElementById('map-at').value === document.getElementById('map-at').max")
        tab.value("document.getElementById('theme').click()")
        assert tab.value("document.documentElement.dataset.theme") == "light"
        assert tab.errors == []
        assert {address for address in tab.requests if not address.startswith("data:")} == {page.as_uri()}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)")
@pytest.mark.usefixtures("quick")
def test_a_filter_by_request_leaves_the_layers_that_carried_its_rows(service, tmp_path):
    (path,) = make([service], tmp_path / "report")
    wanted = 0
    for case in load([service]).cases:
        carried = case.pass_rows["exchange"][case.pass_rows["request"] == 1]
        wanted += int(np.isin(case.passes["exchange"][case.pass_of], carried).sum())
    with chromium() as tab:
        tab.open(path.as_uri(), 1440, dark=False)
        tab.value(
            "(select => { select.value = '1'; select.dispatchEvent(new Event('change')); })"
            "(document.getElementById('layers-request'))"
        )
        points = tab.value("(of => [...of.whose])(Bokeh.documents[0].get_model_by_name('layers').data)")
        assert len(points) == wanted > 0
        told = [re.fullmatch(r"\d requests: ([\d, ]+)|request (\d+), position \d+", text) for text in points]
        assert all("1" in (each[1] or each[2]).split(", ") for each in told)
        assert any(each[1] for each in told)
        assert tab.errors == []


@pytest.mark.usefixtures("quick")
def test_a_report_that_fails_leaves_the_one_before(run, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    (path,) = make([run], folder)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(making, "rendered", full)
        with pytest.raises(RequestError, match=r"--out: .* cannot be written: No space left on device"):
            make([run], folder)
        with pytest.raises(RequestError, match="No space left"):
            make([run], tmp_path / "new")
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report"]


def test_a_folder_that_holds_something_else_is_not_replaced(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(RequestError, match="holds something that is no report"):
        make([run], tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").read_text() == "years of work"


def test_the_command_names_what_it_wrote_and_refuses_what_is_no_run(run, tmp_path, monkeypatch, capsys):
    command = ["cosim", "report", str(run), "--out", str(tmp_path / "out"), "--figure", "prediction"]
    monkeypatch.setattr(sys, "argv", command)
    assert run_command() == 0
    said = capsys.readouterr().out.split()
    assert said == [str(tmp_path / f"out/prediction.{kind}") for kind in ("pdf", "svg", "png")]
    monkeypatch.setattr(sys, "argv", ["cosim", "report", str(tmp_path / "nothing")])
    assert run_command() == 2
    assert capsys.readouterr() == ("", f"cosim: RUN: {tmp_path / 'nothing'} holds no journal.sqlite\n")
