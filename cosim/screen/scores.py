# SPDX-License-Identifier: Apache-2.0
"""What a run's items scored as a table, the variants side by side."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cosim.results.intervals import Estimate
from cosim.results.scores import Group, Measure, TaskScores
from cosim.results.summary import VariantSummary
from cosim.screen.fitting import print_table

_NAMES = {"acc": "accuracy", "acc_norm": "accuracy, by length", "exact_match": "exact match"}
_NOTHING = "-"


def print_scores(variants: Sequence[VariantSummary], console: Console) -> None:
    """Print each task's scores with their intervals of 95 %, against the unmodified model, by subject, and latency."""
    if not any(variant.scores for variant in variants):
        return
    table = Table(title="scores, with intervals of 95 %", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("", "unmodified", *(variant.title for variant in variants)):
        table.add_column(column, justify="right" if column else "left", no_wrap=not column)
    names = dict.fromkeys(task.task for variant in variants for task in variant.scores)
    for name in names:
        tasks = [next((task for task in variant.scores if task.task == name), None) for variant in variants]
        table.add_section()
        _add_task(table, name, tasks, [variant.network for variant in variants])
    print_table(table, console, by_column=True)
    for name in names:
        cut = {task.whole.cut for variant in variants for task in variant.scores if task.task == name}
        if any(cut):
            reason = "are longer than the model's context; the beginning of each was cut off"
            console.print(f"{max(cut)} items of {name} {reason}", highlight=False)


def _add_task(table: Table, name: str, tasks: Sequence[TaskScores | None], networks: Sequence[str]) -> None:
    there = [task for task in tasks if task is not None]
    counts = sorted({task.whole.items for task in there})
    table.add_row(f"[bold]{name}[/bold], {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} items")
    measures = list(there[0].whole.measures)
    for measure in measures:
        _add_measure(table, _NAMES.get(measure, measure), measure, [task.whole if task else None for task in tasks])
    beside = [next(iter(task.whole.measures.values())) if task else None for task in tasks]
    if any(each and each.paired for each in beside):
        table.add_row("  right here alone, there alone; p", "", *map(_paired, beside))
    if any(each and each.ratio for each in beside):
        table.add_row("  perplexity over the unmodified's", "", *map(_ratio, beside))
    latency = (f"{task.request_s * 1e3:.2f} ms" if task else _NOTHING for task in tasks)
    table.add_row("  mean latency of a request", "", *latency)
    first = dict(zip(reversed(networks), reversed(tasks), strict=True))
    saved = [_saved(task, first[network]) for network, task in zip(networks, tasks, strict=True)]
    if any(each != _NOTHING for each in saved):
        table.add_row("  latency saved against the first", "", *saved)
    for subject in there[0].subjects:
        groups = [task.subjects.get(subject) if task else None for task in tasks]
        count = max(group.items for group in groups if group)
        _add_measure(table, f"{subject} ({count})", measures[0], groups)


def _add_measure(table: Table, title: str, measure: str, groups: Sequence[Group | None]) -> None:
    found = [group.measures.get(measure) if group else None for group in groups]
    unmodified = next((each.there for each in found if each and each.there), None)
    is_share = not measure.startswith("perplexity") and all(0 <= each.here.value <= 1 for each in found if each)
    here = (_estimate(each.here, is_share) if each else _NOTHING for each in found)
    table.add_row(f"  {title}", _estimate(unmodified, is_share) if unmodified else _NOTHING, *here)


def _estimate(estimate: Estimate, is_share: bool) -> str:
    if is_share:
        value, low, high = (f"{100 * part:.1f}" for part in estimate)
        return f"{value} % [{low}, {high}]"
    if estimate.low == estimate.high:  # of one item there is nothing to resample
        return f"{estimate.value:.2f}"
    value, low, high = (f"{part:.2f}" if part < 1e4 else f"{part:.3g}" for part in estimate)
    return f"{value} [{low}, {high}]"


def _paired(measure: Measure | None) -> str:
    if not measure or not measure.paired:
        return _NOTHING
    p = measure.paired.p
    return f"{measure.paired.only_here}, {measure.paired.only_there}; {f'{p:.2g}' if p >= 1e-4 else '<0.0001'}"


def _ratio(measure: Measure | None) -> str:
    if not measure or not measure.ratio:
        return _NOTHING
    value, low, high = (f"{part:.4f}" for part in measure.ratio)
    return f"{value} [{low}, {high}]"


def _saved(task: TaskScores | None, first: TaskScores | None) -> str:
    if not task or not first or task is first or not first.request_s:
        return _NOTHING
    return f"{100 * (1 - task.request_s / first.request_s):.1f} %"
