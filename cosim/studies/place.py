# SPDX-License-Identifier: Apache-2.0
"""A study's folder, which is all that it leaves: what it is, a row for each run that is done, and what they make.

    study.json          what the study is, by which another one in the same folder is known
    rows/NAME.json      what came of a run, written by the worker that did it, whole or not at all
    logs/NAME.log       what befell it, one attempt below the other
    runs/NAME/          its journal, where these are kept
    results.parquet     all rows, in the order of the points
    costs.parquet       what each took in wall-clock time and bytes

A row's name has a digest of configuration, versions and inputs in it: what is there need not run again, and a row of
other versions is not taken for one of these. Everything lies in files, so that workers anywhere need nothing but the
folder.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from bridge.network import RequestError
from cosim.folders import made, replaced, told
from cosim.reporting.place import RESULTS
from cosim.studies.study import Study

__all__ = ["CLAIMS", "COSTS", "LOGS", "RESULTS", "ROWS", "RUNS", "STUDY", "Row"]

STUDY, ROWS, LOGS, RUNS, CLAIMS = "study.json", "rows", "logs", "runs", "claims"
COSTS = "costs.parquet"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run. `figures`: those of its policy; `network`: versions of the network; `fingerprint`: of the
    journal. The rest is of this very attempt: wall-clock and CPU seconds, what its journal took, and the host."""

    figures: dict[str, float | int | None]
    network: dict[str, str]
    fingerprint: str
    mishaps: int
    wall_s: float
    cpu_s: float
    journal_bytes: int
    host: str


@contextmanager
def held(folder: Path, study: Study) -> Iterator[None]:
    """Hold a study's folder as its only client, and make it if it is not there.

    Raises `RequestError` naming --out for a folder of another study, or one that another client holds.
    """
    with made(folder, "--out"), told(folder, "--out"):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _enter(folder, study)
            for name in (ROWS, LOGS):
                (folder / name).mkdir(exist_ok=True)
            (folder / CLAIMS).touch()
        except BlockingIOError:
            os.close(lock)
            raise RequestError("--out", f"another `cosim sweep` is at work in {folder}; wait for it") from None
        except BaseException:
            os.close(lock)
            raise
    try:
        yield
    finally:
        os.close(lock)


def _enter(folder: Path, study: Study) -> None:
    """Say what the folder is for, or hold that against what it says."""
    here = json.loads(json.dumps(study.identity))
    file = folder / STUDY
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(folder.iterdir()):
            raise RequestError("--out", f"{folder} holds something else already; choose another folder") from None
        with replaced(file) as out:
            out.write(json.dumps(here, indent=1).encode())
        return
    except ValueError:
        raise RequestError("--out", f"{file} is no study's; choose another folder") from None
    differing = [key for key in here if here[key] != there.get(key)]
    if differing:
        reason = f"{folder} holds another study, whose {' and '.join(differing)} are others; choose another folder"
        raise RequestError("--out", reason)


def row_file(folder: Path, name: str) -> Path:
    """Where the row of a run lies."""
    return folder / ROWS / f"{name}.json"


def read_row(folder: Path, name: str) -> Row | None:
    """The row of a run; None if it is not done."""
    try:
        return msgspec.json.decode(row_file(folder, name).read_bytes(), type=Row)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise RequestError(
            "--out", f"{row_file(folder, name)} is damaged ({error}); remove it to run it again"
        ) from None


def write_row(folder: Path, name: str, row: Row) -> None:
    """Write the row of a run, which is done by that."""
    with replaced(row_file(folder, name)) as out:
        out.write(msgspec.json.encode(row))


@contextmanager
def claimed(folder: Path, number: int) -> Iterator[None]:
    """Hold run `number` as the only process that does it, on whatever machine; waits for another that does.

    It is a lock on one byte of a file, which goes with the process that has it. Where the file system knows no locks
    there is none.
    """
    descriptor = os.open(folder / CLAIMS, os.O_RDWR)
    try:
        with suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, number)
        yield
    finally:
        os.close(descriptor)


def log(folder: Path, name: str, line: str) -> None:
    """Add to the log of a run."""
    with (folder / LOGS / f"{name}.log").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
