# SPDX-License-Identifier: Apache-2.0
"""What a report is about: one case for each variant of its runs, read from their journals at once.

Cases with one label differ in nothing but their seeds; figures that compare put them together. Where several runs have
done the very same, as each of a sweep over one policy's option does with the others, it counts once.
"""

import json
import os.path
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bridge.network import RequestError
from cosim.config import NO_NETWORK
from cosim.record.decisions import Decisions
from cosim.record.fingerprint import SEAL, combined
from cosim.record.journal import UNDELIVERED, Journal
from cosim.reporting import columns as read
from cosim.reporting.cell_map import CellMap, cell_map
from cosim.reporting.columns import PHASES, STATUSES, Accuracy, Columns, Routing
from cosim.results.energy import Energy, TransferEnergy, of_transfers, summed
from cosim.results.service import ServiceSummary, service_of
from cosim.results.summary import decisions_of, quality_of, time_split
from cosim.results.utilisation import Utilisation, utilisation_of
from cosim.settings import flattened
from model_side.policies import COMPOSITIONS, POLICIES
from model_side.quality import Quality
from model_side.routing import Floats, Indices

_TICK_S = 5e-10
"""Less than the clock tells apart."""
UNLABELLED = ("seed", "seeds", "policies", "networks", "quality", "policy")
"""Parts of a configuration that make no other label: chance, and what a case has for itself."""
OF_BASELINE = ("model.baseline", "model.baseline_profile", "base_station.boards")
"""Keys that say something of a dense baseline alone."""


@dataclass(frozen=True)
class Run:
    """One run: its folder, the rows of `meta`, its fingerprint (of a finished one as it was sealed), what befell it."""

    path: Path
    meta: dict[str, str]
    fingerprint: str
    finished: bool
    mishaps: list[tuple[str, str]]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration with all defaults."""
        return dict(json.loads(self.meta["config"]))

    @property
    def seeds(self) -> tuple[Any, ...]:
        """What makes its chance."""
        return (self.config["seed"], *sorted(self.config["seeds"].items()))

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.path.resolve().name if self.path.is_dir() else self.path.resolve().parent.name


@dataclass(frozen=True)
class Case:
    """One policy on one network in one run. Times are virtual seconds; `token` arrays have one entry a token.

    `cell`: where everybody was, None where nobody has a place. `decisions`: how long these took, in wall-clock time.
    `transfers`, `links`, `exchanges`, `tokens`: columns as `cosim.reporting.columns` reads them; `at` of transfers and
    links is the index of their exchange. Where requests arrived there are rows of `requests`, `passes` and `pass_rows`
    too, and a token's latency is what its user saw: from the arrival, or from the token before. `service`: what those
    requests were given. `use`: how busy devices, links and BS were.
    """

    run: Run
    variant: int
    policy: str
    network: str
    scenario: str
    parameters: dict[str, Any]
    devices: tuple[str, ...]
    exchanges: Columns
    transfers: Columns
    links: Columns
    tokens: Columns
    requests: Columns
    passes: Columns
    pass_rows: Columns
    service: ServiceSummary | None
    routing: Routing | None
    cell: CellMap | None
    decisions: Decisions | None
    prediction_errors: Floats
    time_s: dict[str, float]
    quality: Quality | None
    energy: Energy
    transfer_energy: TransferEnergy
    use: Utilisation | None
    costs_s: dict[str, float]
    accuracy: dict[str, Accuracy]
    label: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def ttft_s(self) -> Floats:
        """Latency of each request's first token."""
        return np.asarray(self.tokens["latency_s"][self._is_first])

    @property
    def tpot_s(self) -> Floats:
        """Latency of each other token."""
        return np.asarray(self.tokens["latency_s"][~self._is_first])

    @property
    def _is_first(self) -> Any:
        return np.diff(self.tokens["request"], prepend=-1) != 0

    def layer_s(self, phase: str) -> Floats:
        """Latencies of layers of a phase, the BS's computing included."""
        return np.asarray(self.exchanges["latency_s"][self.exchanges["phase"] == PHASES.index(phase)])

    @property
    def is_shared(self) -> bool:
        """Whether requests share its passes."""
        return bool(len(self.passes["exchange"]))

    @cached_property
    def pass_of(self) -> Indices:
        """The index in `passes` of each exchange; nothing where they are not shared."""
        if not self.is_shared:
            return np.empty(0, dtype=np.int64)
        return np.searchsorted(self.passes["exchange"], self.exchanges["exchange"], side="right") - 1

    def whose(self, at: int) -> str:
        """Whose rows an exchange carries, in words."""
        if not self.is_shared:
            return f"request {self.exchanges['request'][at]:.0f}"
        rows = self.pass_rows["exchange"] == self.passes["exchange"][self.pass_of[at]]
        requests = self.pass_rows["request"][rows]
        return f"request {requests[0]:.0f}" if len(requests) == 1 else f"{len(requests)} requests"

    @cached_property
    def ended_by(self) -> Floats:
        """The device that each exchange waited for to its end; NaN where none came to its end."""
        ends = np.full((len(self.exchanges["exchange"]), len(self.devices)), -1.0)
        done = self.transfers["status"] == STATUSES.index("done")
        last_s = np.where(done, self.transfers["up_s"] + _TICK_S, self.exchange_end_s)  # an answer ends it, if at once
        ends[self.transfers["at"].astype(int), self.transfers["device"].astype(int)] = np.nan_to_num(last_s, nan=-1.0)
        if not ends.size:
            return np.full(len(ends), np.nan)
        return np.where(ends.max(axis=1) < 0, np.nan, ends.argmax(axis=1))

    @property
    def exchange_end_s(self) -> Floats:
        """When the exchange of each transfer ended."""
        return np.asarray(self.exchanges["end_s"][self.transfers["at"].astype(int)])

    def millijoules_a_token(self) -> float | None:
        """All that was drawn where it is known, else what was radiated; None where neither is."""
        energy, count = self.energy, len(self.tokens["latency_s"])
        if not count:
            return None
        if energy.total_j is not None:
            return 1e3 * energy.total_j / count
        if energy.device_air_j is None or energy.bs_air_j is None:
            return None
        return 1e3 * (energy.device_air_j + energy.bs_air_j) / count


Groups = dict[str, list[Case]]


@dataclass(frozen=True)
class Data:
    """All that a report is made from."""

    runs: list[Run]
    cases: list[Case]

    @cached_property
    def groups(self) -> Groups:
        """The cases by label, in order of their first."""
        found: Groups = {}
        for case in self.cases:
            found.setdefault(case.label, []).append(case)
        return found

    @cached_property
    def exchanging(self) -> "Data":
        """Without dense baselines, which have no exchanges."""
        return Data(self.runs, [case for case in self.cases if case.network != NO_NETWORK])

    @cached_property
    def varied(self) -> list[str]:
        """Keys of the configuration in which the runs differ, seeds left out."""
        return _varied([case.options for case in self.cases])


def load(paths: Sequence[Path], *, fingerprints: bool = True) -> Data:
    """Read the runs in these folders, each as it was at one moment; `fingerprints` of unfinished ones take a while.

    Raises `RequestError` naming RUN for what is no journal or a damaged one, has nothing recorded, or is named twice.
    """
    seen: set[Path] = set()
    runs: list[Run] = []
    cases: list[Case] = []
    with ExitStack() as stack:
        for path in paths:
            if path.resolve() in seen:
                raise RequestError("RUN", f"{path} is named twice")
            seen.add(path.resolve())
            journal = Journal.open(path)
            stack.callback(journal.close)
            journal.rows("BEGIN")  # so that what is recorded meanwhile is not seen in one table and missed in another
            run = _run(path, journal, fingerprints)
            found = list(_cases(journal, run))
            if not any(len(case.exchanges["exchange"]) for case in found):
                raise RequestError("RUN", f"{path} has no exchange recorded; there is nothing to show")
            runs.append(run)
            cases += found
    return Data(runs, _labelled(cases))


def _run(path: Path, journal: Journal, fingerprints: bool) -> Run:
    meta = dict(journal.rows("SELECT key, value FROM meta"))
    sealed = json.loads(meta[SEAL]) if SEAL in meta else None
    fingerprint = combined(sealed) if sealed else journal.fingerprint() if fingerprints else ""
    return Run(path, meta, fingerprint, journal.is_finished(), journal.mishaps())


def _cases(journal: Journal, run: Run) -> Iterable[Case]:
    for variant, policy, network, scenario, parameters in journal.rows(
        "SELECT variant, policy, network, scenario, parameters FROM variants ORDER BY variant"
    ):
        names = tuple(
            name for (name,) in journal.rows("SELECT name FROM devices WHERE variant = ? ORDER BY device", variant)
        )
        exchanges, transfers, links, tokens = (
            read.columns(journal, query, variant) for query in (read.EXCHANGES, read.TRANSFERS, read.LINKS, read.TOKENS)
        )
        requests, passes, pass_rows = (
            read.columns(journal, query, variant) for query in (read.REQUESTS, read.PASSES, read.PASS_ROWS)
        )
        tokens["latency_s"] = _seen_s(tokens, requests)
        for table in (transfers, links):
            table["at"] = np.searchsorted(exchanges["exchange"], table["exchange"]).astype(float)
        bs_s = _bs_s(exchanges, tokens, passes)
        transfer_energy = of_transfers(journal, variant)
        others = {key: value for key, value in run.config.items() if key not in UNLABELLED}
        options = flattened(others) | _policy_options(policy, run.config["policy"])
        without = ("radio.", "exchange.") if network == NO_NETWORK else OF_BASELINE
        options = {name: value for name, value in options.items() if not name.startswith(without)}
        yield Case(
            run=run,
            variant=variant,
            policy=policy,
            network=network,
            scenario=scenario,
            parameters=json.loads(parameters),
            devices=names,
            exchanges=exchanges,
            transfers=transfers,
            links=links,
            tokens=tokens,
            requests=requests,
            passes=passes,
            pass_rows=pass_rows,
            service=service_of(journal, variant),
            routing=read.routing(journal, variant),
            cell=cell_map(journal, variant, exchanges, links),
            decisions=decisions_of(journal, variant),
            prediction_errors=read.prediction_errors(journal, variant, exchanges, transfers),
            time_s={**time_split(journal, variant), "BS compute": bs_s},
            quality=quality_of(journal, variant),
            energy=summed(transfer_energy, bs_s),
            transfer_energy=transfer_energy,
            use=utilisation_of(journal, variant, transfer_energy, bs_s),
            costs_s=dict(journal.rows("SELECT part, wall_s FROM costs WHERE variant = ?", variant)),
            accuracy=read.accuracy(journal, variant),
            options=options,
        )


def _seen_s(tokens: Columns, requests: Columns) -> Floats:
    """The latency of each token as its user saw it; of a request that is not over yet, its first pass alone counts."""
    if not len(requests["request"]):
        return tokens["latency_s"]
    is_first = np.diff(tokens["request"], prepend=-1) != 0
    at = np.minimum(np.searchsorted(requests["request"], tokens["request"]), len(requests["request"]) - 1)
    is_over = requests["request"][at] == tokens["request"]
    arrival_s = np.where(is_over, requests["arrival_s"][at], tokens["begin_s"])
    return np.asarray(tokens["end_s"] - np.where(is_first, arrival_s, np.roll(tokens["end_s"], 1)))


def _bs_s(exchanges: Columns, tokens: Columns, passes: Columns) -> float:
    """What the BS computed: before each exchange and after a pass's last one, or all of it where there is none."""
    ends_s = exchanges["end_s"]
    if not len(ends_s):
        return float(tokens["latency_s"].sum())
    passes_s = passes["end_s"] if len(passes["end_s"]) else tokens["end_s"]
    heads_s = passes_s - ends_s[np.searchsorted(ends_s, passes_s, side="right") - 1]
    return float(exchanges["bs_s"].sum() + heads_s.sum())


def _policy_options(policy: str, given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The options of each step of a policy, with the defaults of those that are built in."""
    found: dict[str, Any] = {}
    for step in policy.split("+"):
        for name in COMPOSITIONS.get(step, step).split("+"):
            kind = POLICIES.get(name)
            built_in = msgspec.to_builtins(kind()) if kind else {}
            found |= flattened(built_in | given.get(name, {}), f"{name}.")
    return found


def _varied(options: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for each in options for name in each)
    return [name for name in names if len({_placeless(each[name]) for each in options if name in each}) > 1]


def _placeless(value: Any) -> str:
    """A value as text; of a path its last name, since where a file lies is no part of what a run was."""
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else json.dumps(value)


def _with_defaults(cases: list[Case]) -> list[Case]:
    """The radio's keys that any run named have for the others the scenario's default."""
    named = dict.fromkeys(name for case in cases for name in case.options if name.startswith("radio."))
    found = []
    for case in cases:
        if case.network == NO_NETWORK:
            found.append(case)
            continue
        known = flattened(case.parameters, "radio.") | {"radio.scenario": case.scenario}
        found.append(replace(case, options=case.options | {name: known[name] for name in named if name in known}))
    return found


def _labelled(cases: list[Case]) -> list[Case]:
    networks = {case.network for case in cases} - {NO_NETWORK}
    cases = _with_defaults(cases)
    varied = _varied([case.options for case in cases])
    named = []
    for case in cases:
        parts = [f"{name.rpartition('.')[2]}={_short(case.options[name])}" for name in varied if name in case.options]
        network = [f"({case.network})"] if len(networks) > 1 else []
        network = ["(at the BS)"] if case.network == NO_NETWORK else network
        named.append(replace(case, label=" ".join([case.policy, *parts, *network])))
    found: list[Case] = []
    for each in named:
        same = [other for other in found if (other.label, other.run.seeds) == (each.label, each.run.seeds)]
        if not same:
            found.append(each)
        elif not any(_did_the_same(other, each) for other in same):  # of other versions, say
            found.append(replace(each, label=f"{each.label} [{each.run.name}]"))
    return found


def _did_the_same(one: Case, other: Case) -> bool:
    """Whether two cases of one label and seed are one and the same, which several runs had to do again."""
    return all(
        np.array_equal(getattr(one, table)[column], getattr(other, table)[column], equal_nan=True)
        for table, column in (("exchanges", "end_s"), ("tokens", "end_s"), ("transfers", "up_s"))
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "default" if value is None else json.dumps(value)
    return text if len(text) <= 18 else text[:17] + "…"


__all__ = ["UNDELIVERED", "Case", "Data", "Groups", "Run", "flattened", "load"]
