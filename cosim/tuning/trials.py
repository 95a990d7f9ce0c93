# SPDX-License-Identifier: Apache-2.0
"""The trials of a search: Optuna asks, and keeps them in the study's folder, in an SQLite file of its own.

Each batch is asked by samplers whose seeds hang on the numbers of the trials alone, on a copy in memory of the trials
of the batches before; and a trial is stored when it is over. So a search that was killed asks what it would have asked.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from bridge.network import RequestError
from cosim.studies.axes import Axis, Range
from cosim.tuning.sought import Search

FILE = "trials.sqlite3"
_NAME = "tune"
_DIGITS = 12
_AT_RANDOM = 10
"""So many trials TPE draws before it looks at any."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Trials:
    """Those of a search, in the study's folder. Raises `RequestError` for a file that another Optuna wrote."""

    def __init__(self, folder: Path, search: Search):
        self._search = search
        self._distributions = {name: distribution(axis) for name, axis in search.axes.items()}
        minimise, maximise = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
        self._directions = [minimise if is_small else maximise for is_small in search.objectives.values()]
        file = (folder / FILE).resolve()
        self._stored = optuna.create_study(
            storage=f"sqlite:///{file}", study_name=_NAME, directions=self._directions, load_if_exists=True
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that these names are new to Optuna
            self._stored.set_metric_names(list(search.objectives))
        written = self._stored.user_attrs.get("optuna")
        if written is None:
            self._stored.set_user_attr("optuna", optuna.__version__)
        elif written != optuna.__version__:
            reason = f"{file} was begun with optuna {written} (here {optuna.__version__}); go on with the same"
            raise RequestError("--out", reason)

    @property
    def over(self) -> list[FrozenTrial]:
        """All that are over, in order."""
        return self._stored.get_trials(deepcopy=False)

    def ask(self, first: int) -> list[FrozenTrial]:
        """The batch that begins with trial `first`; those before are over."""
        sought = self._search.sought
        before = optuna.create_study(directions=self._directions)
        before.add_trials(self.over[:first])
        count = min(sought.together, sought.trials - first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler's options are new
            for number in range(first, first + count):
                before.sampler = self._sampler(number)
                before.ask(self._distributions)
        asked = before.get_trials(deepcopy=False)[first:]
        for there, now in zip(self.over[first:], asked, strict=False):
            if there.params != now.params:
                reason = f"trial {now.number} is recorded with {there.params}, and would be {now.params} now"
                raise RequestError("--out", f"{reason}; go on with the same versions, or choose another folder")
        return asked

    def end(self, asked: FrozenTrial, values: Sequence[float] | None) -> None:
        """Store what came of a trial, None if it failed; one that is stored already stays."""
        if asked.number < len(self.over):
            return
        self._stored.add_trial(
            create_trial(
                state=TrialState.FAIL if values is None else TrialState.COMPLETE,
                values=values,
                params=asked.params,
                distributions=asked.distributions,
                system_attrs=asked.system_attrs,
            )
        )

    def _sampler(self, number: int) -> BaseSampler:
        sought = self._search.sought
        seed = int(np.random.SeedSequence([sought.seed, number]).generate_state(1)[0])
        if sought.sampler == "nsga2":
            return NSGAIISampler(seed=seed, population_size=max(sought.together, 2))
        return TPESampler(seed=seed, n_startup_trials=_AT_RANDOM, multivariate=True, constant_liar=True)


def distribution(axis: Axis) -> BaseDistribution:
    """What Optuna calls what a key can be."""
    if not isinstance(axis, Range):
        return CategoricalDistribution(axis)
    if axis.count is not None:
        return CategoricalDistribution(axis.values("tune.keys"))
    is_log = axis.scale == "log"
    begin, end = axis.begin, axis.end
    if axis.is_whole:
        step = int(axis.step or 1)
        return IntDistribution(int(begin), int(end) - int(end - begin) % step, log=is_log, step=step)
    if axis.step is None:
        return FloatDistribution(float(begin), float(end), log=is_log)
    last = round(axis.values("tune.keys")[-1], _DIGITS)  # Optuna wants a whole number of steps as one reads it
    return FloatDistribution(float(begin), last, step=float(axis.step))


def front(values: Sequence[Sequence[float]], is_small: Sequence[bool]) -> list[int]:
    """Which of these no other is better than: nowhere worse, and somewhere better; of equal ones the first."""
    if not values:
        return []
    costs = np.array(values) * np.where(is_small, 1, -1)
    no_worse = (costs[:, None] <= costs[None]).all(axis=2)
    better = (costs[:, None] < costs[None]).any(axis=2)
    dominated = (no_worse & better).any(axis=0)
    repeated = np.tril(no_worse & no_worse.T, -1).any(axis=1)
    return [int(number) for number in np.flatnonzero(~dominated & ~repeated)]
