# SPDX-License-Identifier: Apache-2.0
"""Ways of predicting, against what came: `python -m bench.prediction [FOLDER]`, about four minutes on 2 cores.

For each scenario and seed one live run of two policies is recorded, or found in FOLDER, which keeps them. Then every
predictor is shown the same exchanges one after the other, and asked of each before it sees how that came out.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count, takewhile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import NS_PER_S, Status
from cosim import config
from cosim.experiment import run
from cosim.record.exchange_rows import RecordedExchange
from cosim.record.journal import Journal
from model_side.prediction import PREDICTORS
from model_side.routing import Floats

SCENARIOS = ("nr", "lte", "wifi", "wired")
SEEDS = (1, 2)
POLICIES = ["top-k", "weight-to-latency"]
WORK = ["quality=false", "workload.requests=2", "workload.prompt_tokens=24", "workload.new_tokens=8"]


def main(folder: Path) -> None:
    """Print what each predictor was off by, by scenario and over all of them alike."""
    recorded = {(scenario, seed): folder / f"{scenario}-{seed}" for scenario in SCENARIOS for seed in SEEDS}
    for (scenario, seed), place in recorded.items():
        if not place.exists():
            run(config.load(None, [*WORK, f"seed={seed}"], POLICIES, scenario), out=place)
    table = Table(title="|took / predicted - 1|: median, 95th percentile", title_justify="left", show_edge=False)
    for column in ("predictor", *SCENARIOS, "mean", "us an exchange"):
        table.add_column(column, justify="left" if column == "predictor" else "right")
    for name in PREDICTORS:
        spent_s, exchanges, figures = 0.0, 0, []
        for scenario in SCENARIOS:
            off = []
            for seed in SEEDS:
                for past in pasts(recorded[scenario, seed]):
                    began_s = time.perf_counter()
                    off.append(errors(name, past))
                    spent_s += time.perf_counter() - began_s
                    exchanges += len(past)
            figures.append(np.quantile(np.concatenate(off), (0.5, 0.95)))
        figures.append(np.mean(figures, axis=0))
        table.add_row(
            name, *(f"{median:.1%}, {p95:.0%}" for median, p95 in figures), f"{spent_s / exchanges * 1e6:.0f}"
        )
    Console(width=120).print(table)


def pasts(folder: Path) -> Iterator[list[RecordedExchange]]:
    """The exchanges of each variant of a run."""
    with closing(Journal.open(folder)) as journal:
        for (variant,) in journal.rows("SELECT variant FROM variants ORDER BY variant"):
            found = (journal.recorded(variant, number) for number in count(1))
            yield [exchange for exchange in takewhile(bool, found) if exchange is not None]


def errors(name: str, past: list[RecordedExchange]) -> Floats:
    """By how much a predictor is off each transfer that was done, when it is shown these exchanges."""
    devices = len(past[0].outcome.links)
    predictor = PREDICTORS[name](devices)
    off = []
    for asked, outcome in past:
        down, compute_ns, up = load = np.ones((3, devices))
        for transfer in asked.transfers:
            load[:, transfer.device] = transfer.downlink_bytes, transfer.compute_ns, transfer.uplink_bytes
        is_asked = np.zeros(devices, dtype=bool)
        is_asked[[transfer.device for transfer in asked.transfers]] = True
        compute_s = compute_ns / NS_PER_S
        shares = asked.bandwidth_shares
        expected_s = predictor.predict(asked.depart_ns, down, compute_s, up, shares, is_asked).seconds
        off += [
            (came.uplink_end_ns - asked.depart_ns) / NS_PER_S / expected_s[came.device] - 1
            for came in outcome.transfers
            if came.status is Status.DONE and came.uplink_end_ns is not None
        ]
        predictor.observe(asked.transfers, outcome, asked.depart_ns, asked.deadline_ns, expected_s, shares)
    return np.abs(off)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
