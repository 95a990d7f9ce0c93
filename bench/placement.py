# SPDX-License-Identifier: Apache-2.0
"""The default cell with experts placed by each rule: `python -m bench.placement`, some ten minutes.

`ranked` counts in the routing of other prompts than those that are then asked.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from cosim.config import load
from cosim.experiment import run
from cosim.results.routing_trace import write_routing
from cosim.results.summary import summarise

SEEDS = (1, 2, 3, 4)
RULES = {
    "round-robin": ['placement.experts="round-robin"'],
    "memory": ['placement.experts="memory"'],
    "ranked": ['placement.experts="ranked"'],
    "round-robin, 2 replicas": ['placement.experts="round-robin"', "placement.replicas=2"],
    "ranked, 2 replicas": ['placement.experts="ranked"', "placement.replicas=2"],
}


def main() -> None:
    """Print the medians over seeds of what a layer and a token take."""
    table = Table(title=f"default cell, top-k, {len(SEEDS)} seeds", title_justify="left", show_edge=False)
    for column in ("placement", "layer, prefill, ms", "layer, decode, ms", "TTFT, ms", "TPOT, ms", "MB both ways"):
        table.add_column(column, justify="left" if column == "placement" else "right")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recorded = run(load(None, ["quality=false", "workload.requests=16"], scenario="wired"), out=folder / "recorded")
        trace = folder / "routing.parquet"
        write_routing(recorded, trace)
        for number, (rule, settings) in enumerate(RULES.items()):
            routing = [f"placement.routing={trace}"] * ("ranked" in rule)
            figures = []
            for seed in SEEDS:
                asked = load(None, [*settings, *routing, f"seed={seed}", "seeds.prompts=2", "quality=false"])
                (found,) = summarise(run(asked, out=folder / f"{number}-{seed}"))
                megabytes = sum(device.downlink_bytes + device.uplink_bytes for device in found.devices) / 1e6
                series = (found.layer_s["prefill"], found.layer_s["decode"], found.ttft_s, found.tpot_s)
                figures.append([*(1000 * float(np.median(each)) for each in series), megabytes])
            table.add_row(rule, *(f"{figure:.1f}" for figure in np.median(figures, axis=0)))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
