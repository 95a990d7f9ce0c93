# SPDX-License-Identifier: Apache-2.0
"""What a source distribution and a wheel made of it hold, against what git holds, and that the wheel does its work."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("bridge", "cosim", "model_side", "ns3_scenarios")


def tracked() -> set[str]:
    """The files of a fresh clone, and those that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


def build(kind: str, source: Path, place: Path) -> Path:
    """What `python -m build` makes of `source`, with the back end that is installed here."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(place), str(source)]
    done = subprocess.run(command, cwd=place.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = place.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """Built in a copy of the clone, in which a user has left things that are the user's own."""
    folder = tmp_path_factory.mktemp("sdist")
    clone = folder / "clone"
    for name in tracked():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, clone / name)
    for name in ("runs/mine/journal.sqlite", "docker/models/mine/config.json", "docker/wheels/torch.whl", ".venv/x.py"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("mine")
    return build("sdist", clone, folder / "made")


def test_the_sdist_holds_what_git_does(sdist):
    with tarfile.open(sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames() if not tar.getmember(name).isdir()}
    made = {name for name in names if name in ("PKG-INFO", "setup.cfg") or ".egg-info/" in name}
    assert names - made == tracked()


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return build("wheel", unpacked, folder / "made")


def test_a_wheel_built_from_the_sdist_holds_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {name for name in tracked() if name.partition("/")[0] in PACKAGES}
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {
        name.rpartition("/")[2] for name in tracked() if name.startswith("LICENSES/")
    }


def test_the_wheel_is_one_that_an_index_takes(wheel):
    assert wheel.stat().st_size < 100e6  # PyPI's limit for a file, where no other was granted


def test_the_wheel_installs_in_an_environment_of_its_own_and_runs_the_default_job_there(wheel, tmp_path):
    """Other packages are lent by this environment, whose editable install of the clone does not come with them."""
    place = tmp_path / "venv"
    venv.create(place)
    (own,) = place.glob("lib/python*/site-packages")
    lent = [path for path in sys.path if path.endswith("-packages")]
    (own / "lent.pth").write_text("\n".join(lent) + "\n")
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}

    def done(*command: str) -> str:
        job = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=240, check=False)
        assert job.returncode == 0, job.stderr
        return job.stdout

    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--ignore-installed", str(wheel)]
    done(str(place / "bin/python"), *install)
    where = "import cosim, model_side, bridge; print(cosim.__file__, model_side.__file__, bridge.__file__)"
    assert all(str(own) in file for file in done(str(place / "bin/python"), "-c", where).split())
    cosim = str(place / "bin/cosim")
    assert done(cosim, "--version") == f"wdmoe-cosim {version()}\n"
    small = ["--set", "workload.requests=1", "--set", "workload.prompt_tokens=16", "--set", "workload.new_tokens=1"]
    said = done(cosim, "run", *small)
    assert re.search(r"^journal: runs/.*/journal\.sqlite, fingerprint [0-9a-f]{16}$", said, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir() if path != place] == ["runs"]


def version() -> str:
    """The one place of the version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("CITATION.cff", r"^version: (.*)$"),
        ("CHANGELOG.md", r"^## ([\d.]+)"),
        ("docs/citing.md", r"^  version = \{(.*)\},$"),
    ],
)
def test_what_repeats_the_version_has_that_of_pyproject(file, told):
    assert re.search(told, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)[1] == version()
