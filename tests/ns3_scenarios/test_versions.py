# SPDX-License-Identifier: GPL-2.0-only
"""The record's versions change with any source file of ours, in whichever folder it is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

PACKAGE = ROOT / "ns3_scenarios"
SUFFIXES = (".py", ".cc", ".h")
ONE_OF_EACH_FOLDER = {
    (path.parent.relative_to(PACKAGE).as_posix(), path.suffix): path.relative_to(PACKAGE).as_posix()
    for path in sorted(PACKAGE.rglob("*"))
    if path.suffix in SUFFIXES
}
PROGRAM = """
import json, sys
from pathlib import Path
from ns3_scenarios import simulation
from ns3_scenarios.scenarios.wired import Wired
from ns3_scenarios.wheel import build

def versions():
    build.source_hash.cache_clear()
    return build.source_hash(), simulation._source_hash(Wired())

package = Path(simulation.__file__).parent
told = {"": versions()}
for name in sys.argv[1:]:
    before = (package / name).read_bytes()
    (package / name).write_bytes(before + b"\\n")
    told[name] = versions()
    (package / name).write_bytes(before)
told["again"] = versions()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> dict[str, list[str]]:
    """Of a copy of the package: the versions of native code and of Python, as it is and with one file changed."""
    place: Path = tmp_path_factory.mktemp("changed")
    for name in ("bridge", "ns3_scenarios"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-P", "-c", PROGRAM, *ONE_OF_EACH_FOLDER.values()]
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(place)}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_every_folder_is_among_them(versions):
    folders = {folder for folder, _ in ONE_OF_EACH_FOLDER}
    assert {".", "scenarios", "scripts", "wheel", "world", "native/core", "native/nr"} <= folders
    assert versions["again"] == versions[""]


@pytest.mark.parametrize("name", ONE_OF_EACH_FOLDER.values())
def test_a_changed_file_is_another_version(versions, name):
    (native, scenario), (native_now, scenario_now) = versions[""], versions[name]
    assert (native_now != native, scenario_now != scenario) == (not name.endswith(".py"), name.endswith(".py"))
