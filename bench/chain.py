# SPDX-License-Identifier: Apache-2.0
"""A run on each radio, its traces, and the scenario `recorded` on them: `python -m bench.chain [RADIO ...]`.

The default experiment with two requests of 8 new tokens. The traces are played as `cosim traces` writes them, without
what they say of sharing, and then without their delay, too. 28 runs, about five minutes on 2 idle cores.
"""

import sys
import tempfile
from collections.abc import Container
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cosim import config
from cosim.experiment import run
from cosim.record.journal import Journal
from cosim.results.rate_traces import CONFIG, export

RADIOS = ("lte", "lte-multicell", "nr", "wifi", "wired", "mixed", "recorded")
BASE = ["quality=false", "workload.requests=2", "workload.new_tokens=8"]
PHASES = ("prefill", "decode")
SHARING, DELAY = ("pool", "others"), ("delay_s",)


def layers_ms(folder: Path) -> dict[str, float]:
    """The median latency of a layer by phase, BS computing left out."""
    query = "SELECT (end_ns - depart_ns) / 1e6 FROM exchanges WHERE phase = ?"
    with closing(Journal.open(folder)) as journal:
        return {phase: float(np.median(journal.rows(query, phase))) for phase in PHASES}


def leave_out(columns: Container[str], traces: Path) -> None:
    """Rewrite the CSV files of a folder without these columns."""
    for file in traces.glob("*.csv"):
        header, *rows = (line.split(",") for line in file.read_text().splitlines())
        kept = [i for i, name in enumerate(header) if name not in columns]
        file.write_text("".join(",".join(row[i] for i in kept) + "\n" for row in (header, *rows)))


def chain(radio: str, folder: Path) -> dict[str, dict[str, float]]:
    """The medians of the run, of all that its traces say, and of ever less of it."""
    run(config.load(None, BASE, ["top-k"], radio), out=folder / "run")
    export(folder / "run", folder / "traces")
    found = {"run": layers_ms(folder / "run")}
    for what, left_out in (("played", ()), ("without sharing", SHARING), ("nor delay", DELAY)):
        leave_out(left_out, folder / "traces")
        run(config.load(folder / "traces" / CONFIG, []), out=folder / what)
        found[what] = layers_ms(folder / what)
    return found


def main(radios: tuple[str, ...]) -> None:
    """Print the medians of each radio and how far each is from the run's."""
    table = Table(title="median latency of a layer", title_justify="left", show_edge=False)
    with tempfile.TemporaryDirectory() as temporary:
        for radio in radios:
            folder = Path(temporary) / radio
            folder.mkdir()
            found = chain(radio, folder)
            if not table.columns:
                for column in ("radio", "phase", *found):
                    table.add_column(column, justify="left" if column in ("radio", "phase") else "right")
            for phase in PHASES:
                first, *others = (medians[phase] for medians in found.values())
                figures = (f"{figure:.1f} ms ({figure / first - 1:+.1%})" for figure in others)
                table.add_row(radio, phase, f"{first:.1f} ms", *figures)
            print(radio, found, file=sys.stderr, flush=True)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or RADIOS)
