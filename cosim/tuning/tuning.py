# SPDX-License-Identifier: Apache-2.0
"""A search carried out: trials on what-ifs or the formula, and those of the front on the live network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cosim.studies.asking import Asked, asking
from cosim.studies.cluster import ClusterPlace, require
from cosim.studies.place import Row
from cosim.studies.runs import StudyRun
from cosim.studies.study import Study, read_study
from cosim.studies.sweeping import Tell, default_folder
from cosim.tuning.sought import Search, search_of
from cosim.tuning.trials import Trials, front

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_HERE = ClusterPlace()


@dataclass(frozen=True)
class Tried:
    """One trial: what its keys were, and what came of it, by column; None if a run of it failed.

    `on_front`: whether no other trial is better. `live`: the same by the live network, where it was verified.
    """

    number: int
    values: dict[str, Any]
    came: dict[str, float] | None
    on_front: bool = False
    live: dict[str, float] | None = None


@dataclass(frozen=True)
class Tuned:
    """What a search came to: all trials, in order. `network`: on which; `failures`: of runs, by their names."""

    folder: Path
    network: str
    objectives: dict[str, bool]
    trials: list[Tried]
    failures: Mapping[str, str]

    @property
    def front(self) -> list[Tried]:
        """The trials that no other is better than, by the first objective from its best on."""
        first, is_small = next(iter(self.objectives.items()))
        on_front = [trial for trial in self.trials if trial.on_front and trial.came]
        return sorted(on_front, key=lambda trial: (trial.came or {})[first] * (1 if is_small else -1))


def tune(
    study: Study | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    *,
    at: ClusterPlace = _HERE,
    tell: Tell = lambda progress: None,
) -> Tuned:
    """Find what lies on the front of the objectives of `[tune]`, and run that live (docs/runs/tuning.md).

    `study`, `out`, `at`, `tell`: as of `cosim.sweep`. The same call goes on with a search that was stopped, and comes
    to the same trials; no run is done twice. Raises `RequestError` before anything runs for what makes no sense, and
    `PartnerLost` if the scheduler goes.
    """
    require()
    search = search_of(study if isinstance(study, Study) else read_study(study))
    at.check()
    folder = (default_folder(search.study) if out is None else Path(out)).resolve()
    with asking(search.identity, folder, at, _most(search), lambda it: tell(replace(it, left_s=None))) as asked:
        return searched(search, asked)


def searched(search: Search, asked: Asked) -> Tuned:
    """The search in a folder that is held."""

    def figures(of: Mapping[int, list[StudyRun]]) -> dict[int, dict[str, float] | None]:
        """What came of each trial, by its number, when all their runs are done."""
        named = iter(asked.ask([replace(run, number=number) for number, runs in of.items() for run in runs]))
        own = {number: [next(named) for _ in runs] for number, runs in of.items()}
        return {number: _mean(search, runs, asked.rows, asked.failures) for number, runs in own.items()}

    trials, sought = Trials(asked.folder, search), search.sought
    tried: list[Tried] = []
    made: dict[int, list[StudyRun]] = {}
    for first in range(0, sought.trials, sought.together):
        batch: list[FrozenTrial] = trials.ask(first)
        of_batch = {trial.number: search.runs(trial.params) for trial in batch}
        made |= of_batch
        came = figures(of_batch)
        for trial in batch:
            values = came[trial.number]
            trials.end(trial, None if values is None else list(values.values()))
            tried.append(Tried(trial.number, dict(trial.params), values))
    tried = _with_front(search, tried)
    network = next(iter(made.values()))[0].config.networks[0]
    tuned = Tuned(asked.folder, network, search.objectives, tried, asked.failures)
    chosen = _spread(tuned.front, sought.verify)
    if network != "live":
        live = figures({trial.number: [search.maker.live(run) for run in made[trial.number]] for trial in chosen})
    else:
        live = {trial.number: trial.came for trial in tried}
    return replace(tuned, trials=[replace(trial, live=live.get(trial.number)) for trial in tried])


def _mean(
    search: Search, runs: Sequence[StudyRun], rows: Mapping[str, Row], failures: dict[str, str]
) -> dict[str, float] | None:
    """Each objective over a trial's runs; None if one of them failed."""
    if any(run.name not in rows for run in runs):
        return None
    found = {}
    for name in search.objectives:
        values = [rows[run.name].figures.get(name) for run in runs]
        for run, value in zip(runs, values, strict=True):
            if value is None:
                failures[run.name] = f"has no figure {name}"
        if any(value is None for value in values):
            return None
        found[name] = fmean(value for value in values if value is not None)
    return found


def _with_front(search: Search, tried: Sequence[Tried]) -> list[Tried]:
    there = [trial for trial in tried if trial.came is not None]
    values = [list((trial.came or {}).values()) for trial in there]
    on_front = {there[place].number for place in front(values, list(search.objectives.values()))}
    return [replace(trial, on_front=trial.number in on_front) for trial in tried]


def _spread(trials: Sequence[Tried], count: int) -> list[Tried]:
    """So many of them, evenly from first to last, with both."""
    if count >= len(trials):
        return list(trials)
    if count < 2:
        return list(trials[:count])
    return [trials[round(number * (len(trials) - 1) / (count - 1))] for number in range(count)]


def _most(search: Search) -> int:
    """How many runs it can come to."""
    each = len(search.study.points)
    return each * (search.sought.trials + search.sought.verify)
