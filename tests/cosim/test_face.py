# SPDX-License-Identifier: Apache-2.0
"""What `import cosim` gives: these names, each with a docstring, and nothing heavy before one is asked for."""

import inspect
import re
import subprocess
import sys
from contextlib import closing

import pytest

import cosim
from bridge.network import RequestError
from cosim.record.journal import Journal
from tests import ROOT
from tests.support.routing_traces import make_rows, write_rows

NAMES = ["ClusterPlace", "Config", "Ns3Place", "capacity", "compare", "evaluate", "load", "replay", "report", "resume"]
NAMES += ["run", "summarise", "sweep", "timeline", "tune", "what_if"]
HEAVY = ("numpy", "torch", "pandas", "ns3_scenarios", "model_side", "cosim.experiment")


def test_what_is_exported_is_this():
    assert sorted(cosim.__all__) == NAMES
    assert set(NAMES) <= set(dir(cosim))
    given: dict[str, object] = {}
    exec("from cosim import *", given)
    assert given.keys() - {"__builtins__"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there_and_says_what_it_is(name):
    value = getattr(cosim, name)
    assert value.__name__ == name
    assert len(inspect.getdoc(value) or "") > 40


def test_another_name_is_refused_as_any_module_would():
    with pytest.raises(AttributeError, match="module 'cosim' has no attribute 'rum'"):
        _ = cosim.rum


@pytest.mark.parametrize("module", ["cosim", "cosim.cli"])
def test_importing_loads_nothing_heavy(module):
    program = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture
def plain(tmp_path):
    """A small run as plain values: recorded routing on two wired devices."""
    trace = write_rows(make_rows(requests=1), tmp_path / "trace.parquet")
    return {
        "radio": {"scenario": "wired", "devices": 2},
        "model": {"routing": str(trace)},
        "workload": {"requests": 1},
        "quality": False,
    }


def test_a_run_from_plain_values_is_silent_and_the_same_from_a_file_and_a_config(plain, tmp_path, capfd):
    before = repr(plain)
    folder = cosim.run(plain, policies=["weight-to-latency"], out=str(tmp_path / "plain"))
    assert repr(plain) == before
    assert capfd.readouterr() == ("", "")
    assert folder == tmp_path / "plain"
    (variant,) = cosim.summarise(folder)
    assert (variant.policy, variant.network) == ("weight-to-latency", "live")
    assert variant.tpot_s.mean() > 0

    file = tmp_path / "same.toml"
    file.write_text(
        f'quality = false\nmodel.routing = "{plain["model"]["routing"]}"\nworkload.requests = 1\n'
        '[scenario]\nscenario = "wired"\ndevices = 2\n'
    )
    from cosim.config import load

    cosim.run(file, policies=("weight-to-latency",), networks=("live",), out=tmp_path / "file")
    cosim.run(load(plain), policies=["weight-to-latency"], out=tmp_path / "config")
    fingerprints = set()
    for name in ("plain", "file", "config"):
        cosim.replay(tmp_path / name)
        with closing(Journal.open(tmp_path / name)) as journal:
            fingerprints.add(journal.fingerprint())
            (again,) = cosim.summarise(journal)
            assert again.tpot_s.tolist() == variant.tpot_s.tolist()
    assert len(fingerprints) == 1


def test_what_if_gives_the_folder_of_its_answer(plain, tmp_path):
    folder = cosim.run(plain, out=tmp_path / "run")
    answer = cosim.what_if(folder, ["exchange.deadline_s=1"], policies=["weight-to-latency"], out=tmp_path / "answer")
    assert [variant.policy for variant in cosim.summarise(answer)] == ["weight-to-latency"]
    with pytest.raises(RequestError, match="came to its end"):
        cosim.resume(folder)


def test_without_a_folder_it_is_a_dated_one_under_runs(plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = cosim.run(plain)
    assert [folder] == [path.relative_to(tmp_path) for path in (tmp_path / "runs").iterdir()]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"radio": {"devices": object()}}, "CONFIG"),
        ({"sed": 1}, "sed"),
        ({"radio": "lte"}, "radio"),
        ("nowhere.toml", "CONFIG"),
        ({"networks": ["what-if"]}, "networks"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(tmp_path, monkeypatch, given, field):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as caught:
        cosim.run(given, out="run")
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


def test_the_documentation_lists_every_name():
    page = (ROOT / "docs/runs/python.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `cosim\.(\w+)\(", page, re.MULTILINE)
    assert sorted([*listed, "Config"]) == NAMES
    assert "`cosim.Config`" in page
