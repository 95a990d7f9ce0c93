# SPDX-License-Identifier: Apache-2.0
"""The most requests a second at which most of them are served in time: sought on what-ifs or the formula, run live.

Each rate has the same requests and, by the same seed, the same arrivals on another scale of time, for every policy: so
rates and policies differ by what is sought and not by chance.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from bridge.network import RequestError
from cosim.config import Config, load
from cosim.results.figures import Figure
from cosim.settings import lay_over, parsed
from cosim.sizing.bracket import Bracket, End
from cosim.studies.asking import Asked, asking
from cosim.studies.cluster import ClusterPlace, require
from cosim.studies.runs import RunMaker, StudyRun, check_runs
from cosim.studies.study import Point, Study
from model_side.service.arrivals import Process

RATE = "arrivals.rate_per_s"
FINEST = 0.001
"""The least tolerance; rates have so many digits that one finer would make no sense."""
_RANDOM = (Process.POISSON, Process.GAMMA)
_HERE = ClusterPlace()


@dataclass(frozen=True)
class Tried:
    """What came at a rate on a network: columns of `results.parquet`."""

    network: str
    rate_per_s: float
    figures: Mapping[str, Figure]

    @property
    def in_time(self) -> float:
        """The share of the requests that met the objective."""
        return float(self.figures["in_time"] or 0.0)


@dataclass(frozen=True)
class PolicyCapacity:
    """What a policy can serve. `rate_per_s`: the most requests a second, None if there is no such rate, and then the
    reason is in `end`, or a run failed. `tried`: by rate; `live`: the live run at that rate, if there was one."""

    policy: str
    rate_per_s: float | None
    end: End | None
    tried: list[Tried]
    live: Tried | None

    @property
    def found(self) -> Tried | None:
        """What came at the rate that was found."""
        return next((each for each in self.tried if each.rate_per_s == self.rate_per_s), None)

    @property
    def is_monotone(self) -> bool:
        """Whether of all rates that were tried none had a greater share in time than a lower one."""
        shares = [each.in_time for each in self.tried]
        return shares == sorted(shares, reverse=True)


@dataclass(frozen=True)
class Sized:
    """What was found for each policy, in order. `share`: of requests within `ttft_s` and `tpot_s`; 0 is no bound."""

    folder: Path
    share: float
    ttft_s: float
    tpot_s: float
    policies: list[PolicyCapacity]
    failures: Mapping[str, str]


@dataclass(frozen=True)
class Wanted:
    """A search that makes sense: `share` of requests in time, a rate within `tolerance`, for each of `policies`."""

    study: Study
    maker: RunMaker
    policies: tuple[str, ...]
    config: Config
    share: float
    tolerance: float
    verify: bool

    def run(self, policy: str, rate_per_s: float) -> StudyRun:
        """The run of a policy at a rate. Its number is of its digest, so that it has one name, whenever it is asked."""
        record = next(iter(self.study.records), None)
        (run,) = self.maker.of(Point(record, {"policies": policy, RATE: rate_per_s}))
        return _numbered(run)

    def live(self, run: StudyRun) -> StudyRun:
        """The same on the live network."""
        return _numbered(self.maker.live(run))


Tell = Callable[[str, Tried], None]
"""Hears of a policy what came at a rate."""


def capacity(
    config: Config | Mapping[str, Any] | Path | str | None = None,
    settings: Sequence[str] = (),
    *,
    record: Path | str | None = None,
    policies: Sequence[str] | None = None,
    scenario: str | None = None,
    share: float = 0.9,
    tolerance: float = 0.05,
    verify: bool = True,
    out: Path | str | None = None,
    at: ClusterPlace = _HERE,
    tell: Tell = lambda policy, tried: None,
) -> Sized:
    """Find the most requests a second of which a `share` is within `service.ttft_s` and `service.tpot_s`.

    `config`, `settings`, `policies`, `scenario`: as of `cosim run`, on the analytic network; with a `record` instead of
    a configuration, what-ifs of it. The first rate is `arrivals.rate_per_s`; the rate that is found is no further than
    `tolerance`, as a share of it, from one that is too high. `verify`: whether it is run live, too. `out`: the folder,
    that of a study, by default one under runs/ that hangs on what is asked. `at`: as of `cosim.sweep`; policies are
    sought at the same time. `tell` is called as runs are done.

    The same call goes on with a search that was stopped, and no run is done twice, also for another share, tolerance or
    choice of policies in the same folder. Raises `RequestError` before anything runs for what makes no sense, and
    `PartnerLost` if the scheduler goes. A policy that has no such rate says so in its `end`.
    """
    require()
    at.check()
    wanted = wanted_of(config, settings, record, policies, scenario, share, tolerance, verify)
    folder = (_default_folder(wanted.study) if out is None else Path(out)).resolve()
    with asking(wanted.study, folder, at, 0, lambda progress: None) as asked:
        return sized(wanted, asked, tell)


def wanted_of(
    config: Config | Mapping[str, Any] | Path | str | None,
    settings: Sequence[str],
    record: Path | str | None,
    policies: Sequence[str] | None,
    scenario: str | None,
    share: float,
    tolerance: float,
    verify: bool,
) -> Wanted:
    """What is asked of `capacity`, all of it looked at before anything runs. Raises `RequestError` naming the key."""
    if not 0 < share <= 1:
        raise RequestError("--share", f"{share:g} is no share of requests; give more than 0 and at most 1")
    if not FINEST <= tolerance <= 1:
        raise RequestError("--tolerance", f"{tolerance:g} is not from {FINEST:g} to 1, as a share of the rate")
    names = list(policies or ())
    if record is None:
        base = msgspec.to_builtins(load(config, settings, policies, scenario, ["analytic"]))
        names = base.pop("policies")
    else:
        if config is not None:
            raise RequestError("CONFIG", "is what the record was run with; lay over that with --set, or give no record")
        if scenario is not None:
            raise RequestError("--scenario", "is the record's, which a what-if cannot change; give no record")
        base = {}
        for setting in settings:
            lay_over(base, *parsed(setting))
    records = () if record is None else (str(record),)
    study = Study("capacity", base, records, keep=False, grid={}, entries=(), sample=None, sample_axes={}, tune={})
    maker = RunMaker(study, [names])
    first = maker.of(Point(next(iter(records), None), {"policies": names} if names else {}))
    asked = first[0].config
    _check_objective(asked)
    check_runs(first)
    return Wanted(study, maker, tuple(run.config.policies[0] for run in first), asked, share, tolerance, verify)


def sized(wanted: Wanted, asked: Asked, tell: Tell) -> Sized:
    """The search in a folder that is held."""
    first_per_s = wanted.config.arrivals.rate_per_s
    brackets = {policy: Bracket(first_per_s, wanted.tolerance) for policy in wanted.policies}
    tried: dict[str, list[Tried]] = {policy: [] for policy in wanted.policies}
    made: dict[tuple[str, float], StudyRun] = {}
    under_way = dict(brackets)
    while under_way:
        runs = {policy: wanted.run(policy, bracket.rate) for policy, bracket in under_way.items()}
        came = _ask(asked, runs)
        for policy, bracket in [*under_way.items()]:
            made[policy, bracket.rate] = runs[policy]
            if policy not in came:
                del under_way[policy]
                continue
            tried[policy].append(came[policy])
            tell(policy, came[policy])
            bracket.tell(came[policy].in_time >= wanted.share, came[policy].figures["requests_waiting"] == 0)
            if bracket.end is not None:
                del under_way[policy]
    found = {name: it.met for name, it in brackets.items() if it.end is End.FOUND and it.met is not None}
    live = {policy: wanted.live(made[policy, rate]) for policy, rate in found.items() if wanted.verify}
    verified = _ask(asked, live)
    for policy, each in verified.items():
        tell(policy, each)
    objective = wanted.config.service
    policies = [
        PolicyCapacity(
            policy,
            found.get(policy),
            brackets[policy].end,
            sorted(tried[policy], key=lambda each: each.rate_per_s),
            verified.get(policy),
        )
        for policy in wanted.policies
    ]
    return Sized(asked.folder, wanted.share, objective.ttft_s, objective.tpot_s, policies, asked.failures)


def _ask(asked: Asked, runs: Mapping[str, StudyRun]) -> dict[str, Tried]:
    """What came of each policy's run; a run that failed is left out."""
    asked.ask(list(runs.values()))
    return {
        policy: Tried(run.config.networks[0], run.config.arrivals.rate_per_s, asked.rows[run.name].figures)
        for policy, run in runs.items()
        if run.name in asked.rows
    }


def _check_objective(config: Config) -> None:
    process = config.arrivals.process
    if process not in _RANDOM:
        reason = f"is {str(process)!r}, which has no rate that could be raised"
        raise RequestError("arrivals.process", f"{reason}; take {' or '.join(_RANDOM)}")
    if not (config.service.ttft_s or config.service.tpot_s):
        raise RequestError(
            "service.ttft_s", "and service.tpot_s are 0, which any request meets; say how long they may be"
        )


def _numbered(run: StudyRun) -> StudyRun:
    return replace(run, number=int(run.digest[8:12], 16))


def _default_folder(study: Study) -> Path:
    whole = json.dumps(study.identity, sort_keys=True)
    return Path("runs") / f"capacity-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
