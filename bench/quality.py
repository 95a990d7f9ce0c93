# SPDX-License-Identifier: Apache-2.0
"""A table of quality and latency as WDMoE prints one: `python -m bench.quality [NETWORK...]`.

For each network and each shipped model with experts a table. Rows are the shipped dense model, served whole at the base
station, `top-k`, and policies of every family; columns are the shipped tasks, each with its score and interval of 95 %,
how it differs from the unmodified model's on the same items, mean latency of a request, and latency saved against
`top-k`. Where there are enough items, a second table has the scores by source.

`nr` and `lte` are the cells of `bench.policies`. There `top-k` runs live, and the other policies are asked on the links
fitted to its packets (docs/runs/what-if.md), as `top-k` is once more, to be compared with; --live has them all live,
which takes several times as long. `analytic` is a small table by the formula, in the cell of `nr`. Bytes and operations
are those of a published model, the dense one's those of Llama 2 70B, as deep in proportion (docs/model/baseline.md).

--items N: so many of each task; 0: all. --keep FOLDER: keeps the runs there; a second call goes on with them.
"""

import argparse
import resource
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.policies import CELLS
from cosim import config
from cosim.config import DENSE
from cosim.evaluation.evaluating import with_tasks
from cosim.experiment import State, resume, run, state, what_if
from cosim.results.intervals import Estimate
from cosim.results.scores import Group, TaskScores
from cosim.results.summary import summarise

MODELS = {"mixtral-12m": "mixtral-8x7b", "qwen2-moe-12m": "qwen3-30b-a3b"}
"""Shipped models with experts, and whose sizes each has on the wire and in the hardware profiles."""
BASELINE = "llama-12m"
BOARDS = 6
"""Of the base station's hardware: as many as Llama 2 70B takes in 16 bits."""
BASES = ("top-k", "top-n", "fastest")
AFTER_OTHERS = ("wdmoe", "wdmoe-testbed", "des", "substitute")
OURS = ("weight-to-latency", "lookahead")
LIVE = "top-k, live"
ENOUGH = 20
"""Items of a source without which there is no table by source."""


class Plan(NamedTuple):
    """What runs in a cell: its radio `live` or by the formula (`analytic`), policies, and items of each task."""

    cell: str
    network: str
    policies: tuple[str, ...]
    items: Mapping[str, int]


PLANS = {
    "nr": Plan("nr", "live", (*BASES, *AFTER_OTHERS, *OURS), {"cloze": 32, "held-out": 4}),
    "lte": Plan("lte", "live", (*BASES, *AFTER_OTHERS, *OURS), {"cloze": 16, "held-out": 3}),
    "analytic": Plan("nr", "analytic", ("top-k", "wdmoe", *OURS), {"cloze": 30}),
}
Scores = dict[str, TaskScores]
"""Of one task, by policy."""


def scored(plan: Plan, model: str, task: str, items: int, all_live: bool, folder: Path) -> tuple[Scores, float]:
    """What each policy scores in runs that are made, gone on with, or only read; and the CPU seconds that it took."""
    began_s = _cpu_s()
    settings = [
        *(setting for setting in CELLS[plan.cell] if setting.startswith("radio.")),
        f"model.path={model}",
        f"model.wire_profile={MODELS[model]}",
        f"base_station.boards={BOARDS}",
    ]
    laid = with_tasks(None, [task], [], items, settings)
    is_recorded = plan.network == "live" and not all_live
    policies = plan.policies[:1] if is_recorded else plan.policies
    asked = config.load(None, laid, policies, plan.cell, [plan.network], BASELINE)
    there = state(folder, asked)
    if there is State.NEW:
        run(asked, out=folder)
    elif there is State.BEGUN:
        resume(folder)
    found = _scores(folder)
    if is_recorded:
        others = _scores(_on_its_links(folder, plan.policies))
        found = {DENSE: found[DENSE], LIVE: found["top-k"], **others}
    return found, _cpu_s() - began_s


def _scores(folder: Path) -> Scores:
    return {variant.policy: variant.scores[0] for variant in summarise(folder)}


def _on_its_links(record: Path, policies: tuple[str, ...]) -> Path:
    """The what-if of a run, which is made if it is not there."""
    folder, partial = (record.with_name(f"{record.name}-{part}") for part in ("what-if", "partial"))
    if not folder.exists():
        shutil.rmtree(partial, ignore_errors=True)
        what_if(record, ["model.baseline="], policies=policies, out=partial).rename(folder)
    return folder


def _cpu_s() -> float:
    """CPU seconds of this process, and of the ns-3 processes that it had."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def table_of(title: str, found: Mapping[str, Scores]) -> Table:
    """One network's and model's; `found`: by task and policy."""
    table = Table("policy", title=title, title_justify="left", show_edge=False)
    for task, scores in found.items():
        top_k = scores["top-k"].whole
        heading = f"{task}, {top_k.items} items: {_measure(top_k)}"
        for column in (heading, "against unmodified", "latency, ms", "saved, %"):
            table.add_column(column, justify="right")
    for policy in _rows(found):
        table.add_row(policy, *(cell for scores in found.values() for cell in _cells(scores, policy)))
    return table


def by_source(title: str, found: Mapping[str, Scores]) -> Table | None:
    """The scores of each source, of the tasks that have enough items of each; None if there is no such task."""
    table = Table("policy", title=f"{title}, by source", title_justify="left", show_edge=False)
    columns: list[tuple[Scores, str]] = []
    for task, scores in found.items():
        sources = scores["top-k"].subjects
        if sources and min(group.items for group in sources.values()) >= ENOUGH:
            for source, group in sources.items():
                table.add_column(f"{task}, {group.items} of {source}: {_measure(group)}", justify="right")
                columns.append((scores, source))
    for policy in _rows(found):
        table.add_row(policy, *(_estimate(scores[policy].subjects[source]) for scores, source in columns))
    return table if columns else None


def _rows(found: Mapping[str, Scores]) -> list[str]:
    policies = next(iter(found.values()))
    return [DENSE, *(policy for policy in policies if policy != DENSE)]


def _cells(scores: Scores, policy: str) -> Iterator[str]:
    here, top_k = scores[policy], scores["top-k"]
    yield _estimate(here.whole)
    measure = next(iter(here.whole.measures.values()))
    if measure.paired is not None:
        yield f"+{measure.paired.only_here} -{measure.paired.only_there}, p {measure.paired.p:.2g}"
    elif measure.ratio is not None:
        low, high = (100 * (end - 1) for end in measure.ratio[1:])
        yield f"{100 * (measure.ratio.value - 1):+.1f} % [{low:+.1f}, {high:+.1f}]"
    else:
        yield ""
    yield f"{1e3 * here.request_s:.0f}"
    yield "" if here is top_k else f"{100 * (1 - here.request_s / top_k.request_s):.1f}"


def _measure(group: Group) -> str:
    """The name of the first one, which is the table's."""
    name = next(iter(group.measures))
    return {"acc": "accuracy, %"}.get(name, name)


def _estimate(group: Group) -> str:
    name, measure = next(iter(group.measures.items()))
    value, low, high = Estimate(*(100 * part for part in measure.here)) if name == "acc" else measure.here
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def main(networks: list[str], items: int | None, all_live: bool, folder: Path) -> None:
    """Print the tables of each network."""
    console = Console(width=200)

    def asked(network: str, model: str, task: str, count: int) -> tuple[Plan, str, str, int, bool, Path]:
        where = folder / f"{network}-{model}-{task}"
        return PLANS[network], model, task, count if items is None else items, all_live, where

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        waiting = {
            (network, model, task): pool.submit(scored, *asked(network, model, task, count))
            for network in networks
            for model in MODELS
            for task, count in PLANS[network].items.items()
        }
        for network in networks:
            for model, profile in MODELS.items():
                done = {task: waiting[network, model, task].result() for task in PLANS[network].items}
                found = {task: scores for task, (scores, _) in done.items()}
                spent_s = sum(spent_s for _, spent_s in done.values())
                title = f"{network}: {model} of the size of {profile}, {spent_s:.0f} CPU s"
                for table in (table_of(title, found), by_source(title, found)):
                    if table is not None:
                        console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{', '.join(PLANS)}; nr and lte without any")
    parser.add_argument("--items", type=int, metavar="N")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(given.networks or ["nr", "lte"], given.items, given.live, given.keep or Path(temporary))
