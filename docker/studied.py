# SPDX-License-Identifier: Apache-2.0
"""A study in containers (`docker/study.yaml`), held against the same study without any."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
from commands import Failed, attempt, beside, run

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 1200.0
NAME, IMAGE = "study", "wdmoe-cosim-study"
COMPOSE = ("docker", "compose", "-p", "wdmoe-cosim-check-study", "-f", "docker/study.yaml")
UNEQUAL = ("run", "versions")
"""Columns in which the two may differ: PyTorch's version is another in an image, and with it the run's digest."""


def studied(environment: Mapping[str, str], clone: Path, scratch: Path) -> str:
    """Have a study's scheduler and two workers do it in a clone, and the same done without containers; in words."""
    study = ROOT / "docker" / "study.toml"
    command: list[str | Path] = [sys.executable, "-m", "cosim.cli", "sweep", study, "--out", scratch / NAME]
    with beside(command, LIMIT_S, environment={**os.environ, "PYTHONPATH": str(ROOT)}, folder=scratch) as ended:
        for words in (("build", "scheduler"), ("up", "--exit-code-from", "sweep")):
            run([*COMPOSE, *words], LIMIT_S, environment=environment, folder=clone)
        ended()
    return f"{compare_studies(scratch / NAME, clone / 'runs' / NAME)} runs as without containers"


def forget(environment: Mapping[str, str], clone: Path) -> None:
    """Remove containers, networks, volumes and the image that there may be."""
    with suppress(Failed):
        down = ("down", "--volumes", "--remove-orphans", "--timeout", "2")
        run([*COMPOSE, *down], LIMIT_S, environment=environment, folder=clone)
    attempt(["docker", "image", "rm", "--force", IMAGE], LIMIT_S, environment=environment)


def compare_studies(wanted: Path, found: Path) -> int:
    """Hold one study's data set against another's, row by row; how many rows there are. Raises `Failed`."""
    tables = [
        pq.read_table(folder / "results.parquet").drop_columns(list(UNEQUAL)).to_pylist() for folder in (wanted, found)
    ]
    for number, (here, there) in enumerate(zip(*tables, strict=False)):
        if differing := [name for name in here if here[name] != there.get(name)]:
            name = differing[0]
            raise Failed(f"study, row {number}, {name}: {there.get(name)}, and without containers {here[name]}")
    if len(tables[0]) != len(tables[1]):
        raise Failed(f"the study has {len(tables[1])} rows, and without containers {len(tables[0])}")
    return len(tables[0])
