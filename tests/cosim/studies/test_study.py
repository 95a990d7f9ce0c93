# SPDX-License-Identifier: Apache-2.0
"""What a study's file asks for."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from bridge.network import RequestError
from cosim.studies.axes import Range
from cosim.studies.runs import check_runs, runs_of
from cosim.studies.study import Point, read_study, study_of
from tests import ROOT


def values(**tables: Any) -> list[dict[str, Any]]:
    return [point.values for point in study_of(tables, "study").points]


def test_a_grid_has_every_combination():
    found = values(grid={"seed": {"from": 1, "to": 3}, "radio": {"devices": [4, 8]}})
    assert found == [{"seed": seed, "radio.devices": devices} for seed in (1, 2, 3) for devices in (4, 8)]


def test_list_grid_and_sample_are_crossed_on_the_same_points():
    found = values(
        list=[{"policies": "top-k"}, {"policies": "wdmoe", "policy.wdmoe.threshold": 0.2}],
        grid={"seed": [1, 2]},
        sample={"points": 3, "method": "random", "keys": {"exchange.deadline_s": {"from": 1.0, "to": 2.0}}},
    )
    assert len(found) == 2 * 2 * 3
    deadlines = [each["exchange.deadline_s"] for each in found]
    assert deadlines == deadlines[:3] * 4
    assert len(set(deadlines)) == 3


@pytest.mark.parametrize("record", ["one", ["one", "other"]])
def test_each_record_is_asked_each_point(record):
    study = study_of({"record": record, "grid": {"policies": ["top-k", "wdmoe"]}}, "study")
    names = [record] if isinstance(record, str) else record
    assert study.points == tuple(Point(name, {"policies": each}) for name in names for each in ("top-k", "wdmoe"))


@pytest.mark.parametrize("method", ["random", "latin-hypercube", "sobol"])
def test_a_sample_stays_within_its_ranges_and_is_drawn_again_by_its_seed(method):
    keys = {
        "a.whole": {"from": 4, "to": 16, "step": 4},
        "a.real": {"from": -1.0, "to": 1.0},
        "a.ratio": {"from": 0.01, "to": 1.0, "scale": "log"},
        "a.name": ["one", "other"],
    }

    def drawn(seed: int) -> list[dict[str, Any]]:
        return values(sample={"points": 64, "method": method, "seed": seed, "keys": keys})

    found = drawn(1)
    assert {each["a.whole"] for each in found} == {4, 8, 12, 16}
    assert all(isinstance(each["a.whole"], int) and -1 <= each["a.real"] <= 1 for each in found)
    assert all(0.01 <= each["a.ratio"] <= 1 for each in found)
    assert {each["a.name"] for each in found} == {"one", "other"}
    assert found == drawn(1) != drawn(2)


def test_a_latin_hypercube_has_one_point_in_each_of_its_parts():
    keys = {"a": {"from": 0.0, "to": 1.0}, "b": {"from": 0, "to": 9}}
    found = values(sample={"points": 10, "method": "latin-hypercube", "keys": keys})
    assert sorted(math.floor(10 * each["a"]) for each in found) == list(range(10))
    assert sorted(each["b"] for each in found) == list(range(10))


def test_a_sobol_sample_is_more_even_than_a_random_one():
    keys = {"a": {"from": 0.0, "to": 1.0}, "b": {"from": 0.0, "to": 1.0}}
    off = {
        method: qmc.discrepancy(
            np.array([[each["a"], each["b"]] for each in values(sample={"points": 64, "method": method, "keys": keys})])
        )
        for method in ("sobol", "random")
    }
    assert off["sobol"] < off["random"] / 3


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 7), st.floats(0, 1, exclude_max=True))
def test_a_range_of_whole_numbers_is_python_s(begin, length, step, place):
    axis = Range(begin=begin, end=begin + length, step=step)
    assert axis.values("a") == list(range(begin, begin + length + 1, step))
    assert axis.at(place) in axis.values("a")


def test_a_range_of_fractions_keeps_its_end():
    assert Range(begin=0.1, end=0.5, step=0.1).values("a") == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert Range(begin=1.0, end=100.0, count=3, scale="log").values("a") == pytest.approx([1, 10, 100])
    assert Range(begin=1, end=100, count=3, scale="log").values("a") == [1, 10, 100]


def test_scenario_is_another_name_of_radio(tmp_path: Path):
    file = tmp_path / "power.toml"
    file.write_text("[base.scenario]\ndevices = 4\n[grid]\nscenario.transport = ['tcp', 'udp']\n")
    study = read_study(file)
    assert (study.name, study.base) == ("power", {"radio": {"devices": 4}})
    assert [point.values for point in study.points] == [{"radio.transport": "tcp"}, {"radio.transport": "udp"}]


BROKEN = {
    "STUDY": {},
    "grid.seed": {"grid": {"seed": []}},
    "grid.radio.devices": {"grid": {"radio": {"devices": 4}}},
    "grid.radio.devices ": {"grid": {"radio.devices": {"from": 9, "to": 4}}},
    "grid.a": {"grid": {"a": {"from": 0.0, "to": 1.0}}},
    "grid.a.too": {"grid": {"a": {"from": 0, "to": 1, "too": 3}}},
    "grid.step": {"grid": {"step": {"from": 0, "to": 1, "step": 0}}},
    "grid": {"grid": {"a": {"from": 1, "to": 2000}, "b": {"from": 1, "to": 2000}}},
    "sample.keys": {"sample": {"points": 4, "keys": {}}},
    "sample.points": {"sample": {"points": 0, "keys": {"a": [1]}}},
    "sample.method": {"sample": {"points": 4, "method": "sobel", "keys": {"a": [1]}}},
    "sample.keys.a": {"sample": {"points": 4, "keys": {"a": {"from": 0.0, "to": 1.0, "scale": "log"}}}},
    "seed": {"grid": {"seed": [1]}, "list": [{"seed": 2}]},
    "record": {"record": ["a", "a"]},
    "gird": {"gird": {"seed": [1]}},
}


@pytest.mark.parametrize("field", BROKEN)
def test_what_makes_no_sense_is_named(field):
    with pytest.raises(RequestError) as refused:
        _ = study_of(BROKEN[field], "study").points
    assert refused.value.field == field.strip()


@pytest.mark.parametrize("text", [None, "[grid", b"\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text):
    file = tmp_path / "study.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RequestError, match=r"study\.toml") as refused:
        read_study(file)
    assert refused.value.field == "STUDY"


def test_the_studies_of_the_page_are_such():
    page = (ROOT / "docs/runs/study.md").read_text(encoding="utf-8")
    listings = [tomllib.loads(text) for text in re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    asked = [study_of(each, "study") for each in listings]
    assert [len(study.points) for study in asked] == [80, 128, 12, 1000]
    grid = runs_of(asked[0])
    assert len(grid) == 60  # as the page says, which is less than the points: top-k has no threshold
    check_runs(grid + runs_of(asked[1]))


@pytest.mark.parametrize(("name", "runs"), [("users-nr", 24), ("users-lte", 21), ("users-nr-seeds", 18)])
def test_the_examples_are_such_and_the_page_has_their_commands(name, runs):
    """Here as live runs: there is no record of them."""
    values = tomllib.loads((ROOT / f"examples/{name}.toml").read_text(encoding="utf-8"))
    page = (ROOT / "docs/runs/serving.md").read_text(encoding="utf-8")
    assert f"--out {values.pop('record')}\n" in page
    assert f"    cosim sweep examples/{name}.toml\n    cosim report runs/{name}\n" in page
    asked = runs_of(study_of(values, name))
    assert len(asked) == runs
    assert {run.config.arrivals.process for run in asked} == {"poisson"}
