# SPDX-License-Identifier: Apache-2.0
"""Policies on the same radios: `python -m bench.policies [CELL...] [--seeds N] [--keep FOLDER]`.

Two cells with eight unequal devices at 20 to 200 m, live: NR, and LTE with fading and a line of sight, since without
one the farthest miss their deadlines and quality is what the links lose. For each policy, over the seeds: time to the
first token and to each further one, perplexity and divergence from the unmodified model that runs in lockstep, what
devices radiate, and what deciding takes. Times are means of each seed's difference from `top-k` with equal shares,
with intervals of 95 % by Student's t over the seeds. The last column has what `lookahead` takes to the first token at
the same divergence, between its own rows. FOLDER keeps the runs; a second call goes on with it.
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
from cosim.experiment import State, resume, run, state
from cosim.results.summary import VariantSummary, summarise
from model_side.routing import Floats

DISTANCES_M = [round(20 * 10 ** (number / 7), 1) for number in range(8)]
CELLS = {
    "nr": [
        f"radio.distances_m={DISTANCES_M}",
        "radio.neighbours.inter_site_distance_m=500",
        "workload.requests=2",
        "workload.prompt_tokens=96",
        "workload.new_tokens=8",
    ],
    "lte": [
        f"radio.distances_m={DISTANCES_M}",
        "radio.neighbours.sites=0",
        "radio.fading=umi",
        "radio.nominal_power_dbm=-80",
        "radio.path_loss_factor=1.0",
        "radio.line_of_sight=always",
        "workload.requests=2",
        "workload.prompt_tokens=96",
        "workload.new_tokens=8",
    ],
}
BASE = "top-k+equal"
KEPT = "exchange.missing=kept"
INT8 = "exchange.element=int8"
BUDGETS_NATS = (0.0025, 0.005, 0.01, 0.02, 0.04)


class Row(NamedTuple):
    """A policy and what else is set."""

    policy: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.policy, *(setting.split(".", 1)[1] for setting in self.settings)))


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
    *(Row("lookahead", (f"policy.lookahead.loss_nats={nats}",)) for nats in BUDGETS_NATS),
    Row("lookahead+min-max"),
    Row("top-k", (INT8,)),
    Row("lookahead", (INT8,)),
    Row("lookahead", (INT8, "placement.experts=ranked", "placement.replicas=2")),
]


class Figures(NamedTuple):
    """Of one run: means, but for `p95_ms`, a token's 95th percentile."""

    ttft_ms: float
    tpot_ms: float
    p95_ms: float
    worse: float
    kl_nats: float
    left_out: float
    radiated_mj: float
    decision_ms: float
    decision_share: float


TIMES = ("ttft_ms", "tpot_ms", "p95_ms")


def figures(summary: VariantSummary) -> Figures:
    """What the table is made of."""
    quality, slots, costs_s = summary.quality, summary.slots, summary.costs_s
    assert quality is not None
    assert quality.perplexity is not None
    assert quality.reference_perplexity is not None
    radiated_j = summary.energy.device_air_j
    working_s = sum(costs_s.values()) - costs_s["set-up"]
    return Figures(
        1e3 * float(summary.ttft_s.mean()),
        1e3 * float(summary.tpot_s.mean()),
        1e3 * float(np.quantile(summary.token_s, 0.95)),
        quality.perplexity / quality.reference_perplexity - 1,
        quality.mean_kl_nats,
        slots.left_out / slots.own,
        np.nan if radiated_j is None else 1e3 * radiated_j / len(summary.token_s),
        1e3 * costs_s["policy"] / sum(map(len, summary.layer_s.values())),
        costs_s["policy"] / working_s,
    )


def done(cell: str, row: Row, seed: int, folder: Path) -> Figures:
    """Of a run that is made, gone on with, or only read."""
    asked = config.load(None, [*CELLS[cell], *row.settings, f"seed={seed}"], [row.policy], cell)
    there = state(folder, asked)
    if there is State.NEW:
        run(asked, out=folder)
    elif there is State.BEGUN:
        resume(folder)
    return figures(summarise(folder)[0])


def interval(values: Floats, digits: int = 1) -> str:
    """Mean and half of its interval of 95 %."""
    count = len(values)
    half = student.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


def table_of(cell: str, rows: dict[Row, Floats]) -> Table:
    """One cell's; `rows` have figures [seeds, fields]."""
    table = Table(title=f"{cell}, times against {BASE}", title_justify="left", show_edge=False)
    headings = ("TTFT, %", "TPOT, %", "p95, %", "left out", "perplexity, %", "KL, mnat", "mJ a token", "decision, ms")
    for heading in ("policy", *headings, "lookahead, TTFT %"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    at = Figures._fields.index
    base = rows[ROWS[0]]
    columns = [at(name) for name in TIMES]
    against = {row: 100 * (found[:, columns] / base[:, columns] - 1) for row, found in rows.items()}
    ahead = [row for row in rows if row.policy == "lookahead" and INT8 not in row.settings]
    curve = [(rows[row][:, at("kl_nats")].mean(), against[row][:, 0].mean()) for row in ahead]
    kl_nats, ttft = np.array(sorted(curve)).T
    for row, found in rows.items():
        means = dict(zip(Figures._fields, found.mean(axis=0), strict=True))
        if row is ROWS[0]:
            times = [f"{means[name]:.0f} ms" for name in TIMES]
        else:
            times = [interval(column) for column in against[row].T]
        is_between = row not in ahead and INT8 not in row.settings and kl_nats[0] <= means["kl_nats"] <= kl_nats[-1]
        table.add_row(
            str(row),
            *times,
            f"{means['left_out']:.0%}",
            interval(100 * found[:, at("worse")]),
            interval(1e3 * found[:, at("kl_nats")]),
            f"{means['radiated_mj']:.1f}",
            f"{means['decision_ms']:.1f} ({means['decision_share']:.0%})",
            f"{np.interp(means['kl_nats'], kl_nats, ttft):.1f}" if is_between else "",
        )
    return table


def main(cells: list[str], seeds: int, folder: Path) -> None:
    """Print a table for each cell."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        waiting = {
            (cell, row, seed): pool.submit(done, cell, row, seed, folder / f"{cell}-{seed}-{row}".replace(" ", "-"))
            for cell in cells
            for seed in range(1, seeds + 1)
            for row in ROWS
        }
        for cell in cells:
            found = {row: np.array([waiting[cell, row, seed].result() for seed in range(1, seeds + 1)]) for row in ROWS}
            Console(width=170).print(table_of(cell, found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="*", metavar="CELL", help=" or ".join(CELLS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(given.cells or list(CELLS), given.seeds, given.keep or Path(temporary))
