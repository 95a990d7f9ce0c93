# SPDX-License-Identifier: Apache-2.0
"""Whether what-ifs rank policies by their service as live runs do: `python -m bench.capacity [FOLDER]`, five minutes.

Two cells with eight unequal devices at 20 to 200 m, NR and LTE, and three seeds of all chance. In each, `top-k` is
recorded live under other arrivals; from that record alone come the answers for each policy, and each is held against a
live run of the same. Requests arrive faster than any policy serves them, and four are served at a time. So it shows how
many a second each can: in all, and those whose first token came within the record's median TTFT (goodput). FOLDER keeps
the journals.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.policies import DISTANCES_M
from bridge.endpoint import private_ipc
from cosim import config
from cosim.experiment import run, what_if
from cosim.networks.ns3_process import ns3_process
from cosim.networks.ns3_side import Ns3Place
from cosim.results.service import ServiceSummary
from cosim.results.summary import summarise
from cosim.results.validation import ranking
from model_side.model.loading import keep_loaded

Figures = NDArray[np.float64]
SEEDS = (1, 2, 3)
POLICIES = ("top-k", "weight-to-latency", "lookahead")
CELLS = {
    "nr": ["radio.scenario=nr", "radio.neighbours.inter_site_distance_m=500"],
    "lte": [
        "radio.scenario=lte",
        "radio.neighbours.sites=0",
        "radio.fading=umi",
        "radio.nominal_power_dbm=-80",
        "radio.path_loss_factor=1.0",
        "radio.line_of_sight=always",
    ],
}
BASE = [
    f"radio.distances_m={DISTANCES_M}",
    "quality=false",
    "workload.requests=8",
    "workload.prompt_tokens=32",
    "workload.new_tokens=4",
    "arrivals.process=poisson",
    "arrivals.rate_per_s=4",
    "service.requests=4",
]
OTHER_ARRIVALS = 99
"""Of the record: what is asked is not what was recorded."""


def service_of(folder: Path) -> ServiceSummary:
    """Of a run with one variant."""
    (variant,) = summarise(folder)
    assert variant.service is not None
    return variant.service


def rates(service: ServiceSummary, ttft_s: float) -> tuple[float, float]:
    """Requests a second: all, and those whose first token came in time. All came to their end."""
    return service.requests_per_s, float((service.ttft_s <= ttft_s).sum()) / service.span_s


def compared(settings: list[str], seed: int, folder: Path, at: Ns3Place) -> Figures:
    """The rates [policy, network, in all and in time] by what-ifs and live."""
    record, whole = folder / "record", [*settings, f"seed={seed}"]
    run(config.load(None, [*whole, f"seeds.arrivals={OTHER_ARRIVALS}"], ["top-k"]), out=record, at=at)
    ttft_s = float(np.median(service_of(record).ttft_s))
    found = []
    for policy in POLICIES:
        asked, live = folder / f"asked-{policy}", folder / f"live-{policy}"
        what_if(record, [f"seeds.arrivals={seed}"], policies=[policy], out=asked)
        run(config.load(None, whole, [policy]), out=live, at=at)
        found.append([rates(service_of(each), ttft_s) for each in (asked, live)])
    return np.array(found)


def main(folder: Path) -> None:
    """Print what each policy serves in both cells, and how both networks rank the policies."""
    keep_loaded()
    title = "requests per second, what-if / live: mean of the seeds, and each"
    table = Table(title=title, title_justify="left", show_edge=False)
    for column in ("cell", "policy", "in all", "rank", "each", "in time", "rank", "each"):
        table.add_column(column, justify="left" if column in ("cell", "policy") else "right")
    told = []
    with private_ipc() as endpoint, ns3_process(endpoint, folder / "ns3.log", None):
        for cell, of_cell in CELLS.items():
            figures = np.array(
                [
                    compared([*BASE, *of_cell], seed, folder / f"{cell}-{seed}", Ns3Place(connect=endpoint))
                    for seed in SEEDS
                ]
            )  # [seed, policy, network, in all or in time]
            means = figures.mean(axis=0)
            ranks = 1 + (means[:, None] < means[None]).sum(axis=1)
            for number, policy in enumerate(POLICIES):
                cells: list[str] = []
                for which in (0, 1):
                    cells.append(_both(means[number, :, which], ".3f"))
                    cells.append(_both(ranks[number, :, which], "d"))
                    cells.append(", ".join(_both(each, ".2f") for each in figures[:, number, :, which]))
                table.add_row(cell, policy, *cells)
            table.add_section()
            for which, name in ((0, "in all"), (1, "in time")):
                taus = ", ".join(f"{ranking(*each.T):.2f}" for each in figures[..., which])
                told.append(f"{cell}, {name}: Kendall's tau {ranking(*means[..., which].T):.2f}, by seed {taus}")
    Console(width=190).print(table)
    print("\n".join(told))


def _both(of_networks: Figures, form: str) -> str:
    return " / ".join(f"{each:{form}}" for each in of_networks)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
