# SPDX-License-Identifier: Apache-2.0
"""Every policy on the same radios: `python -m bench.policies [CELL...] [--seeds N] [--keep FOLDER]`.

Two cells with eight unequal devices at 20 to 200 m, live: NR, and LTE with fading. For each policy, over the seeds:
time to the first token and to each further one, perplexity and divergence from the unmodified model that runs in
lockstep, joules, and what deciding takes. Intervals are of 95 %, by Student's t over the seeds, of the mean of each
seed's difference from `top-k` with equal shares, whose row has its own means. FOLDER keeps the runs and is gone on
with.
"""

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student

from cosim import config
from cosim.errors import Diverged
from cosim.experiment import State, resume, run, state
from cosim.results.summary import VariantSummary, summarise
from model_side.routing import Floats

DISTANCES_M = [round(20 * 10 ** (number / 7), 1) for number in range(8)]
CELLS = {
    "nr": [f"radio.distances_m={DISTANCES_M}", "radio.neighbours.inter_site_distance_m=500"],
    "lte": [f"radio.distances_m={DISTANCES_M}", "radio.neighbours.sites=0", "radio.fading=umi"],
}
WORK = ["workload.requests=4", "workload.prompt_tokens=96", "workload.new_tokens=8"]
BASE = "top-k+equal"
KEPT = "exchange.missing=kept"


class Row(NamedTuple):
    """A policy and what else is set for it."""

    policy: str
    settings: tuple[str, ...] = ()


ROWS = [
    Row(BASE),
    Row("top-k"),
    Row("top-k+proportional"),
    Row("top-k+min-max"),
    Row("top-n"),
    Row("random"),
    Row("ratio"),
    Row("ratio", (KEPT,)),
    Row("top-p"),
    Row("fastest"),
    Row("weight-to-latency"),
    Row("weight-to-latency", (KEPT,)),
    Row("wdmoe-cosine"),
    Row("wdmoe"),
    Row("wdmoe-wlr"),
    Row("wdmoe-testbed"),
    Row("expected-weight"),
    Row("des"),
    Row("cost-prior"),
    Row("piggyback"),
    Row("substitute"),
    Row("layer-weighted"),
    Row("lookahead"),
    Row("lookahead", ("policy.lookahead.loss_nats=0.005",)),
    Row("lookahead", ("policy.lookahead.loss_nats=0.02",)),
    Row("lookahead+min-max"),
    Row("lookahead", ("exchange.element=int8",)),
    Row("lookahead", ("exchange.element=int8", "placement.experts=ranked")),
]


class Figures(NamedTuple):
    """Of one run: means, but for `p95_ms`, a token's 95th percentile."""

    ttft_ms: float
    tpot_ms: float
    p95_ms: float
    perplexity: float
    reference: float
    kl_nats: float
    left_out: float
    decision_ms: float


def figures(summary: VariantSummary) -> Figures:
    """What the table is made of."""
    quality, slots = summary.quality, summary.slots
    assert quality is not None
    assert quality.perplexity is not None
    assert quality.reference_perplexity is not None
    layers = sum(map(len, summary.layer_s.values()))
    return Figures(
        1e3 * float(summary.ttft_s.mean()),
        1e3 * float(summary.tpot_s.mean()),
        1e3 * float(np.quantile(summary.token_s, 0.95)),
        quality.perplexity,
        quality.reference_perplexity,
        quality.mean_kl_nats,
        slots.left_out / slots.own,
        1e3 * summary.costs_s["policy"] / layers,
    )


def done(cell: str, row: Row, seed: int, folder: Path) -> Figures:
    """A run that is made, finished or only read."""
    asked = config.load(None, [*CELLS[cell], *WORK, *row.settings, f"seed={seed}"], [row.policy], cell)
    there = state(folder, asked)
    if there is State.NEW:
        run(asked, out=folder)
    elif there is State.BEGUN:
        try:
            resume(folder)
        except Diverged as error:
            raise SystemExit(f"{folder} is of other software; take another folder ({error})") from None
    return figures(summarise(folder)[0])


def interval(values: Floats) -> str:
    """Mean and half of its interval of 95 %."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
    return f"{values.mean():.1f} ± {half:.1f}"


def table_of(cell: str, rows: dict[Row, list[Figures]]) -> Table:
    """One cell's."""
    table = Table(title=f"{cell}: against {BASE}", title_justify="left", show_edge=False)
    for heading in ("policy", "TTFT", "TPOT", "p95", "left out", "perplexity", "KL, mnat", "decision"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    base = np.array(rows[Row(BASE)])
    at = Figures._fields.index
    for row, found in rows.items():
        ours = np.array(found)
        if row.policy == BASE:
            times = [f"{ours[:, at(name)].mean():.0f} ms" for name in ("ttft_ms", "tpot_ms", "p95_ms")]
        else:
            names = ("ttft_ms", "tpot_ms", "p95_ms")
            times = [interval(100 * (ours[:, at(name)] / base[:, at(name)] - 1)) + " %" for name in names]
        worse = 100 * (ours[:, at("perplexity")] / ours[:, at("reference")] - 1)
        table.add_row(
            " ".join((row.policy, *(setting.split(".", 1)[1] for setting in row.settings))),
            *times,
            f"{ours[:, at('left_out')].mean():.0%}",
            interval(worse) + " %",
            interval(1e3 * ours[:, at("kl_nats")]),
            f"{ours[:, at('decision_ms')].mean():.1f} ms",
        )
    return table


def main(cells: list[str], seeds: int, folder: Path) -> None:
    """Print a table for each cell."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        waiting = {
            (cell, row, seed): pool.submit(
                done, cell, row, seed, folder / f"{cell}-{seed}-{'-'.join((row.policy, *row.settings))}"
            )
            for cell in cells
            for seed in range(1, seeds + 1)
            for row in ROWS
        }
        for cell in cells:
            rows = {row: [waiting[cell, row, seed].result() for seed in range(1, seeds + 1)] for row in ROWS}
            Console(width=140).print(table_of(cell, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", choices=[*CELLS, []], default=list(CELLS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(given.cells, given.seeds, given.keep or Path(temporary))
