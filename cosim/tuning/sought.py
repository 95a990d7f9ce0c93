# SPDX-License-Identifier: Apache-2.0
"""What `[tune]` of a study asks for.

record = "runs/first"             # what-ifs of it; or [base] with networks = ["analytic"]

[base]
policies = ["lookahead"]

[grid]                            # each trial runs all of these, and is worth their mean
seeds.losses = {from = 1, to = 3}

[tune]
trials = 40
minimise = ["tpot_mean_s", "kl_nats"]
[tune.keys]
policy.lookahead.loss_nats = {from = 0.001, to = 0.1, scale = "log"}
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from bridge.names import meant, misfit
from bridge.network import RequestError, Status
from cosim.config import Config
from cosim.results.energy import PARTS, Energy
from cosim.results.figures import SERVICE, figures_of
from cosim.results.summary import Slots, VariantSummary
from cosim.service import is_service
from cosim.studies.axes import Axis, Range, axes_of
from cosim.studies.runs import RunMaker, StudyRun, check_runs
from cosim.studies.study import Point, Study

Count = Annotated[int, Meta(ge=1, le=100_000)]
_GROWING = ("trials", "verify")
"""What may be changed when a search goes on."""


class Sought(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[tune]`: `keys`, each with what it can be, tried `trials` times, `together` at once.

    `minimise`, `maximise`: columns of results.parquet; without any, mean TPOT against KL divergence, or against the
    gate weight kept where routing is replayed. `sampler`, `seed`: how trials are drawn; what is asked together does
    not know of each other's results, whatever the number of workers. `verify`: how many of the front are run live.
    """

    keys: dict[str, Any]
    trials: Count = 64
    together: Count = 8
    minimise: list[str] = field(default_factory=list)
    maximise: list[str] = field(default_factory=list)
    sampler: Literal["tpe", "nsga2"] = "tpe"
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 1
    verify: Annotated[int, Meta(ge=0)] = 5


@dataclass(frozen=True)
class Search:
    """A search that makes sense. `objectives`: by column, whether it is to be small; `axes`: what each key can be."""

    study: Study
    sought: Sought
    axes: dict[str, Axis]
    objectives: dict[str, bool]
    maker: RunMaker

    @property
    def identity(self) -> Study:
        """The study as far as another one cannot go on in its folder."""
        tune = {key: value for key, value in self.study.tune.items() if key not in _GROWING}
        return replace(self.study, tune=tune)

    def runs(self, values: Mapping[str, Any]) -> list[StudyRun]:
        """The runs of a trial: all points of the study, with these values."""
        made = (self.maker.of(Point(point.record, point.values | dict(values))) for point in self.study.points)
        return list({run.digest: run for runs in made for run in runs}.values())


def search_of(study: Study) -> Search:
    """What a study seeks, all of it looked at before anything runs. Raises `RequestError` naming the key."""
    if not study.tune:
        raise RequestError("tune", "is missing: it says what is sought (docs/runs/tuning.md); cosim sweep needs none")
    try:
        sought = msgspec.convert(study.tune, Sought)
    except msgspec.ValidationError as error:
        wrong = misfit(error, Sought)
        where = ".".join(filter(None, ("tune" + wrong.place, wrong.unknown)))
        has = f"is not known here; [tune] has {', '.join(Sought.__struct_fields__)}" if wrong.unknown else wrong.reason
        raise RequestError(where, has + wrong.hint) from None
    axes = axes_of(sought.keys, "tune.keys")
    _check_axes(study, axes)
    policies = axes.get("policies", [])
    assert isinstance(policies, list)
    maker = RunMaker(study, policies)
    search = Search(study, sought, axes, {}, maker)
    extremes = [run for values in _extremes(axes) for run in search.runs(values)]
    search = replace(search, objectives=_objectives(sought, extremes))
    check_runs(list({run.digest: run for run in extremes}.values()))
    return search


def _check_axes(study: Study, axes: Mapping[str, Axis]) -> None:
    if not axes:
        raise RequestError("tune.keys", "is empty; name the options that are sought, and what they can be")
    for name, axis in axes.items():
        where = f"tune.keys.{name}"
        if name == "networks":
            raise RequestError(where, "is where a search goes on, no option; its front is run live by itself")
        if name in study.axes or any(name in entry for entry in study.entries):
            raise RequestError(where, "is varied by the study, too; say in one of them what it is")
        if isinstance(axis, list) and not all(isinstance(value, str | int | float) for value in axis):
            raise RequestError(where, "has values that are lists or tables; name words, numbers, true or false")
        if name == "policies" and isinstance(axis, Range):
            raise RequestError(where, "are names; give a list of them")


def _extremes(axes: Mapping[str, Axis]) -> list[dict[str, Any]]:
    """Points at which each key has, once, each end of its range or each of its words, and the others their first."""
    ends = {name: [axis.begin, axis.end] if isinstance(axis, Range) else axis for name, axis in axes.items()}
    first = {name: values[0] for name, values in ends.items()}
    return [{**first, name: value} for name, values in ends.items() for value in values]


def _objectives(sought: Sought, runs: list[StudyRun]) -> dict[str, bool]:
    """By column, whether it is to be small. Raises `RequestError` for one that these runs will not have."""
    configs = [run.config for run in runs]
    if len({tuple(config.networks) for config in configs}) > 1:
        raise RequestError("networks", "are several; a search goes over one, and its front is run live by itself")
    is_replay = bool(configs[0].model.routing)
    found = dict.fromkeys(sought.minimise, True) | dict.fromkeys(sought.maximise, False)
    if len(found) < len(sought.minimise) + len(sought.maximise):
        raise RequestError("tune.minimise", "and tune.maximise name a column twice; name each once")
    if not found:
        found = {"tpot_mean_s": True} | ({"gate_weight_kept": False} if is_replay else {"kl_nats": True})
    for name, is_small in found.items():
        where = "tune.minimise" if is_small else "tune.maximise"
        if name not in columns() and not any(config.workload.tasks or config.workload.lm_eval for config in configs):
            raise RequestError(where, f"no run has a column {name!r}{meant(name, columns())}")
        for config in configs:
            lacking = _lacking(name, config)
            if lacking:
                raise RequestError(where, f"{name} is not known {lacking}")
    return found


def _lacking(column: str, config: Config) -> str:
    """Why a run has no figure of quality or of a service; empty if it has."""
    by_model, by_proxy = ("perplexity", "kl_nats", "agreement"), ("gate_weight_kept", "best_expert_lost")
    is_replay, is_compared = bool(config.model.routing), config.quality
    if column in SERVICE and not is_service(config):
        return 'where no requests arrive; say how in arrivals.process, "poisson" for example'
    if column in by_model and is_replay:
        return f"where routing is replayed; take {' or '.join(by_proxy)}"
    if column in by_proxy and not is_replay:
        return f"where a model runs; take {', '.join(by_model[1:])}"
    if column in (*by_model[1:], *by_proxy) and not is_compared:
        return "with quality = false; leave that out"
    return ""


@cache
def columns() -> tuple[str, ...]:
    """The figures of a run whatever it is asked."""
    none = np.empty(0)
    energy = Energy(dict.fromkeys(PARTS), None, None, None, ())
    slots, statuses = Slots(0, 0, 0, 0, 0), {status.value: 0 for status in Status}
    return tuple(
        figures_of(VariantSummary("", "", 0.0, {}, none, none, {}, [], slots, none, statuses, None, None, energy))
    )
