# SPDX-License-Identifier: Apache-2.0
"""Runs that are asked for as one learns what came of others, in the folder of a study."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cosim.studies.cluster import ClusterPlace
from cosim.studies.place import Row, held, read_row
from cosim.studies.runs import StudyRun
from cosim.studies.study import Study
from cosim.studies.sweeping import Tell, Work, gathered, written

if TYPE_CHECKING:
    from distributed import Client


@dataclass
class Asked:
    """What was asked for in a study's folder that is held, each run once: by name `rows`, and `failures` with reasons.

    `carry_out`: does runs, and leaves what comes of them in those two.
    """

    folder: Path
    carry_out: Callable[["Asked", Sequence[StudyRun]], None]
    runs: list[StudyRun] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known: dict[str, StudyRun] = {}

    def ask(self, runs: Sequence[StudyRun]) -> list[StudyRun]:
        """Have all of these done; each under the name that it was first asked by."""
        for run in runs:
            if run.digest in self._known:
                continue
            self._known[run.digest] = run
            self.runs.append(run)
            if (row := read_row(self.folder, run.name)) is not None:
                self.rows[run.name] = row
        named = [self._known[run.digest] for run in runs]
        wanted = {run.name: run for run in named}
        pending = [run for name, run in wanted.items() if name not in self.rows and name not in self.failures]
        if pending:
            self.carry_out(self, pending)
        return named


@contextmanager
def asking(study: Study, folder: Path, at: ClusterPlace, total: int, tell: Tell) -> Iterator[Asked]:
    """Hold a study's folder while runs are asked for, at most `total`; workers are there from the first one on.

    Raises `RequestError` as `held` and `gathered`, `PartnerLost` if the scheduler goes.
    """
    with held(folder, study), ExitStack() as stack:
        client: Client | None = None

        def carry_out(asked: Asked, pending: Sequence[StudyRun]) -> None:
            nonlocal client
            if client is None:
                client = stack.enter_context(gathered(at, folder, pending))
            work = Work(client, at, folder, study.keep, asked.rows, asked.failures, None)
            work.carry_out(pending, total, [refresh, tell])

        asked = Asked(folder, carry_out)
        refresh = stack.enter_context(written(folder, asked.runs, asked.rows, asked.failures))
        yield asked
