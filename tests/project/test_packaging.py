# SPDX-License-Identifier: Apache-2.0
"""What a source distribution and a wheel made of it hold, against what git holds."""

import shutil
import subprocess
import sys
import tarfile
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
    """What the build back end makes of `source`, as pip would ask it to."""
    code = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
    place.mkdir()
    command = [sys.executable, "-c", code, f"build_{kind}", str(place)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
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


def test_a_wheel_built_from_the_sdist_holds_every_file_of_the_packages(sdist, tmp_path):
    with tarfile.open(sdist) as tar:
        tar.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    wheel = build("wheel", unpacked, tmp_path / "made")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {name for name in tracked() if name.partition("/")[0] in PACKAGES}
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {
        name.rpartition("/")[2] for name in tracked() if name.startswith("LICENSES/")
    }
