# SPDX-License-Identifier: Apache-2.0
"""A small study, of what-ifs that take milliseconds, done in this process by no cluster at all."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from cosim.studies import work
from cosim.studies.asking import Asked
from cosim.studies.dataset import write
from cosim.studies.place import LOGS, RESULTS, ROWS, held
from cosim.studies.runs import StudyRun, runs_of
from cosim.studies.study import read_study
from cosim.studies.work import carry_out, task_of
from tests.support.small_run import small_run

POLICIES = ("top-k", "weight-to-latency")


def small_study(folder: Path, draws: int) -> Path:
    """The file of a study of `draws` seeds and two policies, what-ifs of a record beside it."""
    record = small_run(folder)
    file = folder / "study.toml"
    file.write_text(
        f'record = "{record}"\n[grid]\nseeds.losses = {{from = 1, to = {draws}}}\npolicies = {list(POLICIES)}\n'
    )
    return file


def done_here(file: Path, folder: Path) -> Path:
    """A study's folder, all of its runs done by this process; its data set is what any other has to be."""
    study = read_study(file)
    runs = runs_of(study)
    with held(folder, study):
        came = {run.name: carry_out(task_of(run, folder, study.keep)) for run in runs}
        rows = {name: row for name, row in came.items() if not isinstance(row, str)}
        write(folder, runs, rows, {name: row for name, row in came.items() if isinstance(row, str)})
    return folder


def asked_here(folder: Path, told: Callable[[StudyRun], None] = lambda run: None) -> Asked:
    """Runs that are asked for in a folder that is held, done by this process; `told` hears of each before it is."""

    def carry_out(asked: Asked, pending: Sequence[StudyRun]) -> None:
        for run in pending:
            told(run)
            came = work.carry_out(work.task_of(run, folder, keep=False))
            if isinstance(came, str):
                asked.failures[run.name] = came
            else:
                asked.rows[run.name] = came

    return Asked(folder, carry_out)


def data_set(folder: Path) -> bytes:
    """What all folders of one study have to the byte."""
    return (folder / RESULTS).read_bytes()


def rows_in(folder: Path) -> int:
    """How many runs are done."""
    return len(list((folder / ROWS).glob("[!.]*.json")))


def ends(folder: Path) -> Counter[str]:
    """How often each run came to its end."""
    logs = {file.stem: file.read_text(encoding="utf-8") for file in (folder / LOGS).glob("*.log")}
    return Counter({name: text.count(" done\n") for name, text in logs.items()})
