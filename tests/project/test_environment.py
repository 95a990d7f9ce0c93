# SPDX-License-Identifier: Apache-2.0
"""The set-up that `make` runs: what it says before and on the way, what it installs, and how it fails."""

import ast
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement

from tests import ROOT

sys.path[:0] = [str(ROOT / "docker"), str(ROOT / ".ci")]

import environment  # noqa: E402
import pins  # noqa: E402


def names(requirements: list[str]) -> set[str]:
    return {environment.normal(Requirement(each).name) for each in requirements}


@pytest.fixture
def env(tmp_path) -> environment.Environment:
    """An environment whose Python is this one."""
    made = environment.Environment(tmp_path)
    made.python = sys.executable
    return made


def test_before_it_begins_it_says_bytes_and_time():
    said = environment.estimate("run")
    assert re.match(r"make run sets up \.venv first: \d+ MB to fetch \(\d+ s at 100 Mb/s\), \d+ MB on disk, ", said)
    assert re.search(r"about \d+ s of work on \d+ cores", said)


def test_what_was_not_measured_is_not_said(tmp_path, monkeypatch):
    (tmp_path / "costs.toml").write_text('measured = "here"\n[lint]\ndisk_bytes = 2_000_000\n[bench]\n')
    monkeypatch.setattr(environment, "COSTS", tmp_path / "costs.toml")
    assert environment.estimate("lint") == "make lint sets up .venv first: 2 MB on disk (measured here)"
    assert "not measured yet" in environment.estimate("bench")
    assert "not measured yet" in environment.estimate("containers")


def test_a_busy_machine_is_expected_to_take_longer(monkeypatch):
    def work_s(load: float) -> int:
        monkeypatch.setattr(environment.os, "getloadavg", lambda: (load, 0.0, 0.0))
        return int(re.search(r"about (\d+) s of work", environment.estimate("run"))[1])

    cores = environment.os.cpu_count()
    assert work_s(3 * cores) == pytest.approx(4 * work_s(0), abs=4)


def test_every_step_is_named_when_it_begins_and_ends(env, capfd):
    env.wait(env.start("first", "-c", "print('to the log')"), env.start("second", "-c", "print('seen')", shown=True))
    out = capfd.readouterr().out
    for line in ("first", "second", r"first: done in \d+ s", r"second: done in \d+ s"):
        assert re.search(rf"^\[ *\d+ s\] {line}$", out, re.MULTILINE), line
    assert "seen" in out
    assert "to the log" not in out


def test_long_steps_give_signs_of_life(env, capfd, monkeypatch):
    monkeypatch.setattr(environment, "SIGN_OF_LIFE_S", 0)
    env.wait(env.start("slow", "-c", "import time; time.sleep(0.5)"))
    assert "still at it: slow" in capfd.readouterr().out


def until(condition: Callable[[], object]) -> None:
    """Poll `condition` for a minute at most."""
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def over(pid: int) -> bool:
    """Whether the process has ended, collected by its parent or not."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_step_that_fails_is_named_with_its_words_and_ends_the_others(env):
    """The others with what they have started, as pip starts a compiler."""
    code = "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()"
    other = env.start("other", "-c", code)
    until(other.log.read_text)
    bad = env.start("compiling it", "-c", "import sys; sys.exit('no such header')")
    with pytest.raises(environment.SetupError, match=r"(?s)compiling it failed.*no such header.*run make again"):
        env.wait(other, bad)
    assert other.process.poll() is not None
    until(lambda: over(int(other.log.read_text())))


def test_a_failure_ends_make_with_2_and_no_traceback(tmp_path, monkeypatch, capfd):
    def fail(env: environment.Environment) -> None:
        env.wait(env.start("broken", "-c", "raise SystemExit('out of disk')", python=sys.executable))

    monkeypatch.setattr(environment, "set_up_run", fail)
    monkeypatch.setattr(sys, "argv", ["environment.py", str(tmp_path / "venv"), "run"])
    assert environment.main() == 2
    said = capfd.readouterr()
    assert said.out.startswith("make run sets up .venv first:")
    assert "out of disk" in said.err
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("extra", ["containers", "test", "lint", "bench", "docs"])
def test_an_extra_is_what_the_installed_metadata_says(extra):
    told = [Requirement(each) for each in requires("wdmoe-cosim") or []]

    def asked(kind: str) -> set[str]:
        found: set[str] = set()
        for each in told:
            if each.marker and each.marker.evaluate({"extra": kind}):
                own = environment.normal(each.name) == "wdmoe-cosim"
                found |= set().union(*map(asked, each.extras)) if own else {environment.normal(each.name)}
        return found

    assert names(environment.extra_requirements(extra)) == asked(extra)


def brought_by(kind: str) -> set[str]:
    """The packages that a set-up of `kind` brings, with all that they ask for here."""
    own = "wdmoe-cosim"
    found: set[str] = set()
    waiting = [(own, frozenset({kind}))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        try:
            told = [Requirement(each) for each in requires(name) or []]
        except PackageNotFoundError:  # for another platform or Python
            continue
        for each in told:
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                wanted = (environment.normal(each.name), frozenset(each.extras))
                if wanted not in seen:
                    seen.add(wanted)
                    waiting.append(wanted)
    return found


def imported(script: Path) -> set[str]:
    """The packages that a script imports, wherever in it, but for Python's own and ours."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    ours = {"cosim", "bridge", "model_side", "ns3_scenarios", "bench", "tests"}
    scripts = {each.stem for folder in ("docker", ".ci", "docs/site", "bench") for each in (ROOT / folder).glob("*.py")}
    return found - ours - scripts - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("kind", "folder"), [("containers", "docker"), ("bench", "bench"), ("docs", "docs"), ("test", "tests")]
)
def test_scripts_import_only_what_their_own_set_up_brings(kind, folder):
    """CI sets up everything one after the other, so what another set-up has brought would hide what is missing."""
    brought, distributions = brought_by(kind), packages_distributions()
    wished = {"atheris", "lm_eval"}  # their scripts say what to install
    for script in (ROOT / folder).rglob("*.py"):
        for name in (imported(script) - wished) & distributions.keys():  # what is not here, is not brought by accident
            of = {environment.normal(each) for each in distributions[name]}
            assert of & brought, f"{script.relative_to(ROOT)} imports {name}, which make {kind} does not bring"


def test_what_is_installed_in_the_pinned_version_is_not_missing(env, monkeypatch):
    pinned = environment.pins()
    monkeypatch.setattr(env, "installed", lambda: {"cppyy": pinned["cppyy"], "cppyy-backend": "0.1"})
    assert env.missing(environment.SOURCES) == ["cppyy-backend", "CPyCppyy"]


def test_what_is_set_apart_is_pinned():
    assert {environment.normal(name) for name in (*environment.SOURCES, *environment.ALONE, *pins.SOURCES)} <= set(
        environment.pins()
    )


@pytest.mark.parametrize(
    ("python", "wheel", "sources"), [("3.11", True, True), ("3.12", False, True), ("3.13", False, False)]
)
def test_what_a_python_can_have_is_read_from_the_files_of_the_index(python, wheel, sources):
    page = [
        {"filename": "a_b-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "requires-python": None},
        {"filename": "a_b-1.0-cp312-cp312-win_amd64.whl", "requires-python": ""},
        {"filename": "a_b-1.0.1-py3-none-any.whl", "requires-python": ">=3.8"},
        {"filename": "a-b-1.0.tar.gz", "requires-python": "<3.13"},
        {"filename": "a_b-0.1-py3-none-any.whl", "requires-python": "not one at all"},
    ]
    assert pins.has_wheel(page, "1.0", python) == wheel
    assert pins.has_sources(page, "1.0", python) == sources
    assert pins.missing({"a-b": page}, {"a-b": "1.0"}, python) == ([] if wheel else ["a-b==1.0"])


def test_what_comes_as_sources_needs_no_wheel():
    page = [{"filename": "cppyy-3.5.0.tar.gz", "requires-python": None}]
    assert pins.missing({"cppyy": page}, {"cppyy": "3.5.0"}, "3.12") == []
    assert pins.missing({"cppyy": []}, {"cppyy": "3.5.0"}, "3.12") == ["cppyy==3.5.0"]
