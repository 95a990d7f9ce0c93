# SPDX-License-Identifier: Apache-2.0
"""The folders stand on floors, and no import or include goes upwards."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

# From the lowest floor up. A folder, or a file of the package itself; what stands on one floor does not see its like.
FLOORS = {
    "ns3_scenarios/native": [
        ["base"],
        ["life", "propagation"],
        ["core"],
        ["links", "lte", "nr", "recorders", "wifi"],
    ],
    "ns3_scenarios": [
        ["topology", "wheel"],
        ["world", "radio_statistics", "drops"],
        ["outputs"],
        ["scenario"],
        ["scripts"],
        ["attach", "scenarios"],
        ["simulation"],
        ["catalogue", "__main__"],
    ],
    "model_side": [
        ["model_sizes"],
        ["quality", "record_routing", "routing", "shapes", "tasks"],
        ["calibration", "element", "energy", "placement", "prediction", "wire_profiles"],
        ["placing", "selection"],
        ["exchange", "hardware", "layer_view"],
        ["policies"],
        ["base_station"],
        ["routing_trace", "serving"],
        ["service"],
        ["model", "routing_replay"],
        ["calibrating", "training"],
    ],
    "cosim": [
        ["ahead", "cluster_keys", "errors", "folders", "settings"],
        ["service_settings"],
        ["config"],
        ["importing", "powers", "record", "seeds"],
        ["networks"],
        ["service"],
        ["checks", "fleet", "results"],
        ["screen"],
        ["baseline", "calibration", "doctor", "fitted", "models", "offered", "reporting"],
        ["variant"],
        ["experiment"],
        ["episodes", "runs"],
        ["env", "evaluation", "running"],
        ["studies"],
        ["sizing", "tuning"],
        ["cli"],
    ],
}
PACKAGES = {  # and of ours may import
    "bridge": set(),
    "ns3_scenarios": {"bridge"},
    "model_side": {"bridge"},
    "cosim": {"bridge", "model_side"},
}


def places(package: str) -> dict[str, int]:
    return {place: floor for floor, names in enumerate(FLOORS[package]) for place in names}


def python_arrows(package: str) -> Iterator[tuple[str, str, Path]]:
    """Of each import of one place of a package by another: who, whom, and the file."""
    for path in sorted((ROOT / package).rglob("*.py")):
        *folders, name = path.relative_to(ROOT / package).with_suffix("").parts
        here = [package, *folders]
        place = folders[0] if folders else name
        for module in imported(path, here):
            parts = module.split(".")
            if parts[0] == package and len(parts) > 1 and parts[1] != place:
                yield place, parts[1], path


def imported(path: Path, here: list[str]) -> Iterator[str]:
    """The modules that a file in the package `here` imports, also inside functions; `from a import b` as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def native_arrows() -> Iterator[tuple[str, str, Path]]:
    folder = ROOT / "ns3_scenarios/native"
    homes = {path.name: path.parent.name for path in folder.rglob("*.h")}
    for path in sorted([*folder.rglob("*.h"), *folder.rglob("*.cc")]):
        for name in re.findall(r'^#include "([\w-]+\.h)"', path.read_text(encoding="utf-8"), re.MULTILINE):
            if homes[name] != path.parent.name:
                yield path.parent.name, homes[name], path


@pytest.mark.parametrize("package", FLOORS)
def test_no_arrow_goes_upwards(package):
    floors = places(package)
    arrows = list(native_arrows() if package.endswith("native") else python_arrows(package))
    upwards = [
        f"{path.relative_to(ROOT)}: {who} -> {whom}"
        for who, whom, path in arrows
        if who != "__init__" and floors[whom] >= floors[who]
    ]
    assert len(arrows) > 5
    assert upwards == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_folder_stands_on_a_floor(package):
    folder = ROOT / package
    named = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
    if not package.endswith("native"):
        named |= {path.stem for path in folder.glob("*.py")} - {"__init__"}
        named -= {"native", "shipped"}
    assert named == set(places(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package):
    others = {"bridge", "ns3_scenarios", "model_side", "cosim"} - {package} - PACKAGES[package]
    for path in (ROOT / package).rglob("*.py"):
        here = [package, *path.relative_to(ROOT / package).parts[:-1]]
        found = {module.split(".")[0] for module in imported(path, here)} & others
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_the_limits_of_a_file_s_length():
    long = {
        str(path.relative_to(ROOT)): count
        for package in ("bridge", "cosim", "model_side", "ns3_scenarios", "docker", "bench")
        for pattern, most in (("*.py", 400), ("*.cc", 900), ("*.h", 900))
        for path in (ROOT / package).rglob(pattern)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > most
    }
    assert long == {}
