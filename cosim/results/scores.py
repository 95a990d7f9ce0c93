# SPDX-License-Identifier: Apache-2.0
"""What a run's items scored, from its journal: by task and subject, beside the unmodified model on the same items."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from cosim.results.intervals import Estimate, Paired, Values, exponential, mcnemar, mean, ratio_of_sums, wilson
from model_side.tasks.score import BYTES, CUT, NLL, TOKENS, WORDS

PERPLEXITY = {TOKENS: "perplexity by token", BYTES: "perplexity by byte", WORDS: "perplexity by word"}
_PARTS = (NLL, CUT, *PERPLEXITY)


@dataclass(frozen=True)
class Measure:
    """One measure of items: here, of the unmodified model (None if it did not run), and the two beside each other.

    `paired` of what is right or wrong; `ratio` of perplexities, here over there.
    """

    here: Estimate
    there: Estimate | None
    paired: Paired | None = None
    ratio: Estimate | None = None


@dataclass(frozen=True)
class Group:
    """So many items, and by name each measure of them. `cut`: items whose context was cut to what the model reads."""

    items: int
    measures: Mapping[str, Measure]
    cut: int


@dataclass(frozen=True)
class TaskScores:
    """One task under one variant. `subjects`: by name, if items have any. `request_s`: mean latency of a request."""

    task: str
    whole: Group
    subjects: Mapping[str, Group]
    request_s: float


Scored = Mapping[str, tuple[float, float | None]]


def scores_of(journal: Journal, variant: int) -> list[TaskScores]:
    """The scores of a variant, by task in their order, of as many items as were recorded."""
    items: dict[int, tuple[str, str, dict[str, tuple[float, float | None]]]] = {}
    for item, task, subject, metric, value, reference in journal.rows(
        "SELECT item, task, subject, metric, value, scores.reference FROM items JOIN scores USING (variant, item) "
        "WHERE variant = ? ORDER BY item, metric",
        variant,
    ):
        items.setdefault(item, (task, subject, {}))[2][metric] = (value, reference)
    latency_s = dict(
        journal.rows(
            "SELECT task, total(t.end_ns - t.begin_ns) / count(DISTINCT t.request) FROM "
            "(SELECT DISTINCT variant, task, request, requests FROM items WHERE variant = ?) i JOIN tokens t ON "
            "t.variant = i.variant AND t.request >= i.request AND t.request < i.request + i.requests GROUP BY task",
            variant,
        )
    )
    found = []
    for task in dict.fromkeys(task for task, _, _ in items.values()):
        own = [(subject, scored) for its_task, subject, scored in items.values() if its_task == task]
        subjects = [subject for subject in dict.fromkeys(subject for subject, _ in own) if subject]
        groups = {name: _group([scored for subject, scored in own if subject == name]) for name in subjects}
        whole = _group([scored for _, scored in own])
        found.append(TaskScores(task, whole, groups, latency_s.get(task, 0.0) / NS_PER_S))
    return found


def _group(scored: list[Scored]) -> Group:
    """The measures of items, each of those that have it."""
    metrics = dict.fromkeys(metric for each in scored for metric in each)
    measures = {
        metric: _measure(*_columns(scored, metric))
        for metric in metrics
        if metric not in _PARTS and not metric.startswith("choice ")
    }
    for count, name in PERPLEXITY.items():
        having = [each for each in scored if NLL in each and count in each]
        if having:
            measures[name] = _perplexity(*_columns(having, NLL), _columns(having, count)[0])
    return Group(len(scored), measures, sum(CUT in each for each in scored))


def _columns(scored: list[Scored], metric: str) -> tuple[Values, Values | None]:
    here, there = zip(*(each[metric] for each in scored if metric in each), strict=True)
    return np.array(here), None if None in there else np.array(there)


def _measure(here: Values, there: Values | None) -> Measure:
    if there is None:
        return Measure(_share(here), None)
    is_right_or_wrong = _are_right_or_wrong(here) and _are_right_or_wrong(there)
    return Measure(_share(here), _share(there), mcnemar(here, there) if is_right_or_wrong else None)


def _share(values: Values) -> Estimate:
    return wilson(int(values.sum()), len(values)) if _are_right_or_wrong(values) else mean(values)


def _are_right_or_wrong(values: Values) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def _perplexity(here: Values, there: Values | None, count: npt.NDArray[np.float64]) -> Measure:
    of_here = exponential(ratio_of_sums(here, count))
    if there is None:
        return Measure(of_here, None)
    ratio = exponential(ratio_of_sums(here - there, count))
    return Measure(of_here, exponential(ratio_of_sums(there, count)), ratio=ratio)
