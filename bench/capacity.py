# SPDX-License-Identifier: Apache-2.0
"""Whether what-ifs of a service rank policies as live runs do: `python -m bench.capacity [FOLDER]`.

Two cells with eight unequal devices at 20 to 200 m, NR and LTE, and three seeds of all chance. In each, `top-k` is
recorded live under other arrivals; from that record alone come the answers for each policy, and each is held against a
live run of the same. More requests arrive than any policy serves in time, so that it shows how many each does: the
goodput, requests a second within the objective. FOLDER keeps the journals.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.policies import DISTANCES_M
from bridge.endpoint import private_ipc
from cosim import config
from cosim.experiment import run, what_if
from cosim.networks.ns3_process import ns3_process
from cosim.networks.ns3_side import Ns3Place
from cosim.results.summary import summarise
from cosim.results.validation import ranking
from model_side.model.loading import keep_loaded

SEEDS = (1, 2, 3)
POLICIES = ("top-k", "wdmoe-testbed", "weight-to-latency", "lookahead")
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
    "workload.requests=16",
    "workload.prompt_tokens=32",
    "workload.new_tokens=4",
    "arrivals.process=poisson",
    "arrivals.rate_per_s=0.4",
    "service.ttft_s=4",
    "service.tpot_s=1.5",
]
OTHER_ARRIVALS = 99
"""Of the record: what is asked is not what was recorded."""


def goodput_per_s(folder: Path) -> float:
    """Of a run with one variant."""
    (variant,) = summarise(folder)
    assert variant.service is not None
    return variant.service.goodput_per_s


def compared(settings: list[str], seed: int, folder: Path, at: Ns3Place) -> dict[str, tuple[float, float]]:
    """By policy, the goodput by a what-if and live."""
    record, whole = folder / "record", [*settings, f"seed={seed}"]
    run(config.load(None, [*whole, f"seeds.arrivals={OTHER_ARRIVALS}"], ["top-k"]), out=record, at=at)
    found = {}
    for policy in POLICIES:
        asked, live = folder / f"asked-{policy}", folder / f"live-{policy}"
        what_if(record, [f"seeds.arrivals={seed}"], policies=[policy], out=asked)
        run(config.load(None, whole, [policy]), out=live, at=at)
        found[policy] = goodput_per_s(asked), goodput_per_s(live)
    return found


def main(folder: Path) -> None:
    """Print goodput and rank of every policy in both cells."""
    keep_loaded()
    table = Table(title="goodput, requests per second", title_justify="left", show_edge=False)
    for column in (
        "cell",
        "policy",
        "what-if",
        "live",
        "rank, what-if",
        "rank, live",
        "what-if by seed",
        "live by seed",
    ):
        table.add_column(column, justify="left" if column in ("cell", "policy") else "right")
    told = []
    with private_ipc() as endpoint, ns3_process(endpoint, folder / "ns3.log", None):
        for cell, of_cell in CELLS.items():
            seeds = [
                compared([*BASE, *of_cell], seed, folder / f"{cell}-{seed}", Ns3Place(connect=endpoint))
                for seed in SEEDS
            ]
            figures = np.array([[found[policy] for policy in POLICIES] for found in seeds])  # [seed, policy, network]
            means = figures.mean(axis=0)
            ranks = 1 + (means[:, None] < means[None]).sum(axis=1)
            for number, policy in enumerate(POLICIES):
                by_seed = (" ".join(f"{each:.2f}" for each in figures[:, number, network]) for network in (0, 1))
                means_shown = (f"{each:.3f}" for each in means[number])
                table.add_row(cell, policy, *means_shown, *map(str, ranks[number]), *by_seed)
            table.add_section()
            taus = ", ".join(f"{ranking(*each.T):.2f}" for each in figures)
            told.append(f"{cell}: Kendall's tau {ranking(*means.T):.2f} of the means, {taus} by seed")
    Console(width=130).print(table)
    print("\n".join(told))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
