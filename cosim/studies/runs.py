# SPDX-License-Identifier: Apache-2.0
"""The runs of a study: a checked configuration for each policy on each network of each point, none of them twice."""

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from bridge.network import RequestError
from cosim.checks import check, check_devices, check_policies
from cosim.config import WHAT_IF, Config, changed, convert
from cosim.experiment import versions_of
from cosim.fitted import working_in
from cosim.networks.catalogue import RefusedAt, device_counts
from cosim.record.journal import Journal
from cosim.settings import lay_over
from cosim.studies.axes import leaves
from cosim.studies.cluster import installed
from cosim.studies.inputs import inputs_of
from cosim.studies.study import NAMES, Point, Study
from model_side.policies import policy_kinds

_TOLD = 4


@dataclass(frozen=True)
class StudyRun:
    """One run: one policy on one network. `number` counts from 0; `record`: the run that is asked, if it is a what-if.

    `values`: what the study says of it. `digest`: of configuration, versions and inputs; whatever has the same is the
    same run. `ran_in`: from where its relative names hold.
    """

    number: int
    record: str | None
    values: dict[str, Any]
    config: Config
    versions: dict[str, str]
    ran_in: str
    digest: str

    @property
    def name(self) -> str:
        """Of its row, its log and its folder."""
        return f"{self.number:05d}-{self.digest[:8]}"

    @property
    def record_path(self) -> str | None:
        """Of the record, whose name holds from this working directory."""
        return None if self.record is None else str(Path(self.record).resolve())


@dataclass(frozen=True)
class _Record:
    config: dict[str, Any]
    ran_in: str
    fingerprint: str


def runs_of(study: Study) -> list[StudyRun]:
    """All runs of a study, in the order of its points. Raises `RequestError` naming the key, and in which run."""
    maker = RunMaker(study)
    known: dict[str, StudyRun] = {}
    for point in study.points:
        for run in maker.of(point):
            known.setdefault(run.digest, with_fields(run, number=len(known)))
    return list(known.values())


class RunMaker:
    """Makes the runs of points; `policies`: those that points may name beside the study's own.

    Raises `RequestError` naming the key for a record that cannot be asked.
    """

    def __init__(self, study: Study, policies: Sequence[Any] = ()):
        self._study = study
        self._records = {name: _read(name) for name in study.records}
        self._base = leaves(study.base, lambda value: not isinstance(value, dict) or not value)
        self._steps = _steps(study, self._records, policies)
        self._versions: dict[tuple[Any, ...], dict[str, str]] = {}

    def of(self, point: Point) -> list[StudyRun]:
        """Those of a point, all with number 0. Raises `RequestError` naming the key, and in which run."""
        found = []
        record = self._records[point.record] if point.record is not None else None
        with _saying(point):
            for config in _configs(self._study, self._base, point, record, self._steps):
                ran_in = record.ran_in if record else str(Path.cwd())
                versions = self._versions_of(config, is_answer=record is not None)
                with working_in(ran_in):
                    digest = _digest(config, record, versions)
                found.append(StudyRun(0, point.record, point.values, config, versions, ran_in, digest))
        return found

    def live(self, run: StudyRun) -> StudyRun:
        """The same on the live network."""
        config = replace(run.config, networks=["live"])
        versions = self._versions_of(config, is_answer=False)
        with working_in(run.ran_in):
            digest = _digest(config, None, versions)
        return with_fields(run, record=None, config=config, versions=versions, digest=digest)

    def _versions_of(self, config: Config, *, is_answer: bool) -> dict[str, str]:
        kind = (is_answer, bool(config.model.routing), bool(config.workload.lm_eval))
        if kind not in self._versions:
            self._versions[kind] = versions_of(config) | ({} if is_answer else installed(["ns3"]))
        return self._versions[kind]


def check_runs(runs: Sequence[StudyRun]) -> None:
    """Raise `RequestError` for what any of the runs would refuse before it starts, naming the key and the run.

    Parts that many runs share are looked at once.
    """
    seen: set[bytes] = set()
    for run in runs:
        with _saying(run), working_in(run.ran_in):
            needs_joules = any(step.needs_joules for made in check_policies(run.config) for step in made.steps)
            plain = msgspec.to_builtins(run.config)
            rest = {key: value for key, value in plain.items() if key not in ("seed", "seeds", "prediction")}
            if not needs_joules:
                rest = {key: value for key, value in rest.items() if key not in ("radio", "policy", "policies")}
            key = msgspec.json.encode([rest, run.ran_in], order="deterministic")
            if key not in seen:
                seen.add(key)
                check(run.config)
    _check_radios([run for run in runs if run.record is None])


def _check_radios(runs: Sequence[StudyRun]) -> None:
    """What the scenarios refuse, all parameters of each asked at once."""
    of: dict[str, dict[bytes, list[StudyRun]]] = {}
    for run in runs:
        script = run.config.script
        if script is not None:
            if not script.is_file():
                raise RequestError("radio.scenario", f"{script} does not exist")
            continue
        key = msgspec.json.encode(run.config.radio_parameters, order="deterministic")
        of.setdefault(run.config.scenario, {}).setdefault(key, []).append(run)
    for scenario, groups in of.items():
        firsts = [group[0] for group in groups.values()]
        try:
            counts = device_counts(scenario, [run.config.radio_parameters for run in firsts])
        except RefusedAt as refused:
            with _saying(firsts[refused.number]):
                raise RequestError(refused.field, refused.reason) from None
        for devices, group in zip(counts, groups.values(), strict=True):
            for run in group if devices is not None else ():
                with _saying(run):
                    check_devices(run.config, devices or 0)


def _read(folder: str) -> _Record:
    try:
        with closing(Journal.open(Path(folder))) as journal:
            is_live = bool(journal.rows("SELECT 1 FROM variants WHERE network = 'live'"))
            record = _Record(journal.config, journal.meta("folder"), journal.fingerprint())
    except RequestError as error:
        raise RequestError("record", error.reason) if error.field == "RUN" else error from None
    if not is_live:
        raise RequestError("record", f"{folder} holds no live network, which a what-if would be answered from")
    return record


def _steps(study: Study, records: Mapping[str, _Record], more: Sequence[Any]) -> set[str]:
    """The steps of all policies of a study: what one run does not have, another may."""
    named = [point.values.get("policies", study.base.get("policies")) for point in study.points]
    named += [*(record.config["policies"] for record in records.values()), *more]
    found: set[str] = set()
    for names in {tuple(_listed(each)) for each in named if each is not None}:
        for name in names:
            if isinstance(name, str):
                found |= {kind.name for kind in policy_kinds(name)}
    return found


def _configs(
    study: Study, base: Sequence[tuple[str, Any]], point: Point, record: _Record | None, steps: set[str]
) -> Iterable[Config]:
    values = {key: _listed(value) if key in NAMES else value for key, value in point.values.items()}
    if record is None:
        plain = copy.deepcopy(study.base)
        for key, value in values.items():
            lay_over(plain, key, value)
        for key in NAMES:
            if key in plain:
                plain[key] = _listed(plain[key])
        whole = convert(plain)
        if WHAT_IF in whole.networks:
            raise RequestError("networks", 'a what-if is asked of a recorded run; name it: record = "runs/…"')
    else:
        own = {key: _listed(value) if key in NAMES else value for key, value in base} | values
        whole = changed(record.config, list(own.items()), None)
    for network in whole.networks:
        for policy in whole.policies:
            own_steps = {kind.name for kind in policy_kinds(policy)}
            options = {name: each for name, each in whole.policy.items() if name in own_steps or name not in steps}
            yield replace(whole, policies=[policy], networks=[network], policy=options)


def _digest(config: Config, record: _Record | None, versions: Mapping[str, str]) -> str:
    whole = [config, record.fingerprint if record else None, versions, inputs_of(config)]
    return hashlib.sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()


def _listed(value: Any) -> Any:
    """One name as a list of it."""
    return [value] if isinstance(value, str) else value


@contextmanager
def _saying(where: Point | StudyRun) -> Any:
    """Say of what is refused inside in which run it was."""
    try:
        yield
    except RequestError as error:
        told = [f"{key} = {value!r}" for key, value in where.values.items()]
        more = ", …" if len(told) > _TOLD else ""
        which = f" (where {', '.join(told[:_TOLD])}{more})" if told else ""
        raise RequestError(error.field, error.reason + which) from None
