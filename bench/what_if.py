# SPDX-License-Identifier: Apache-2.0
"""What-if against live: `python -m bench.what_if [FOLDER]`, about ten minutes on 2 cores.

For each seed one run is recorded: `top-k`, 64 tokens a prompt. From that record alone come the answers for other
policies and loads, and each is held against a live run of the same configuration. FOLDER keeps the journals.

`python -m bench.what_if radios [FOLDER]`: the scenarios of `RADIOS` as they are by default, by policies that the record
has not seen; about half an hour on 2 cores. Live runs that came to their end in FOLDER are taken as they are.
"""

import shutil
import sys
import tempfile
from contextlib import closing
from itertools import permutations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import Wait
from cosim import config
from cosim.experiment import run, what_if
from cosim.networks.link_model import fit
from cosim.networks.links import Floats
from cosim.networks.observed import observe, predict
from cosim.networks.recorded_channel import read_record
from cosim.record.journal import Journal
from cosim.results.validation import mean_layer_s, policy_errors, ranking

SEEDS = (1, 2, 3, 4)
LOADS = {"64 tokens": [], "24 tokens": ["workload.prompt_tokens=24"], "128 tokens": ["workload.prompt_tokens=128"]}
POLICIES = {
    "top-k": ("top-k", []),
    "weight-to-latency 0.1": ("weight-to-latency", ["policy.weight-to-latency.threshold=0.1"]),
    "weight-to-latency 0.25": ("weight-to-latency", ["policy.weight-to-latency.threshold=0.25"]),
    "weight-to-latency 0.5": ("weight-to-latency", ["policy.weight-to-latency.threshold=0.5"]),
    "weight-to-latency 1": ("weight-to-latency", ["policy.weight-to-latency.threshold=1.0"]),
}
STILL = [
    "radio.scenario=lte",
    "radio.neighbours.sites=0",
    "radio.shadowing_sigma_db=0",
    "radio.nominal_power_dbm=-80",
    "radio.path_loss_factor=1.0",
    f"radio.distances_m={[round(30 * (25 / 3) ** (i / 7), 3) for i in range(8)]}",
    "devices.hardware=jetson-agx-orin",
    "prediction=line",
]
SMALL = ["quality=false", "workload.requests=2", "workload.new_tokens=8"]
BASE = [*STILL, *SMALL]
RADIOS = ("nr", "nr-multicell", "lte-multicell", "wifi")
UNSEEN = ("weight-to-latency", "wdmoe-cosine", "lookahead", "expected-weight", "fastest")
UNSEEN_SHARES = ("top-k+min-max", "wdmoe")
TAKES_NO_SHARES = ("wifi",)
_LAYERS = """SELECT end_ns - depart_ns, request, position, layer, (SELECT group_concat(asked, ' ') FROM (
    SELECT device || ':' || downlink_bytes || '+' || compute_ns || '+' || uplink_bytes AS asked FROM transfers t
    WHERE (t.variant, t.exchange) = (e.variant, e.exchange) ORDER BY device)) FROM exchanges e WHERE shares IS NULL"""
"""How long each layer took, and what was asked in it."""


def main(folder: Path) -> None:
    """Print the errors of every pair, and the ranking of the policies at each seed and load."""
    table = Table(title="latency per layer, what-if against live", title_justify="left", show_edge=False)
    for column in ("seed", "load", "policy", "median", "95th percentile", "bias", "token, median"):
        table.add_column(column, justify="left" if column in ("load", "policy") else "right")
    everything, taus = [], []
    for seed in SEEDS:
        record = folder / f"{seed}-record"
        run(config.load(None, [*BASE, f"seed={seed}"], ["top-k"]), out=record)
        for load, of_load in LOADS.items():
            means: dict[str, tuple[float, float]] = {}
            for name, (policy, options) in POLICIES.items():
                if load == "64 tokens" and name == "top-k":
                    continue  # that is the record
                asked, live = (folder / f"{seed}-{load}-{name}-{kind}".replace(" ", "-") for kind in ("asked", "live"))
                what_if(record, [*of_load, *options], policies=[policy], out=asked)
                run(config.load(None, [*BASE, f"seed={seed}", *of_load, *options], [policy]), out=live)
                with closing(Journal.open(asked)) as predicted, closing(Journal.open(live)) as measured:
                    errors = {error.what: error for error in policy_errors(predicted, measured)[policy]}
                    means[name] = (mean_layer_s(predicted)[policy], mean_layer_s(measured)[policy])
                layers, tokens = errors["layer, all"], errors["token"]
                everything.append(layers.relative)
                figures = (layers.median, layers.p95, layers.bias, tokens.median)
                table.add_row(str(seed), load, name, *(f"{figure:.1%}" for figure in figures))
            taus.append(ranking(*zip(*means.values(), strict=True)))
            table.add_section()
    console = Console(width=100)
    console.print(table)
    amounts = np.abs(np.concatenate(everything))
    print(f"{len(everything)} pairs, {len(amounts)} layers: median {np.median(amounts):.1%}, "
          f"95th percentile {np.quantile(amounts, 0.95):.1%}")  # fmt: skip
    print("Kendall's tau of the policies, by seed and load: " + ", ".join(f"{tau:.2f}" for tau in taus))


def _run_once(asked: config.Config, out: Path) -> None:
    """A live run; one that has come to its end there is taken for it."""
    if out.exists():
        with closing(Journal.open(out)) as journal:
            if journal.is_finished():
                return
        shutil.rmtree(out)
    run(asked, out=out)


def _floors(recorded: Path, ran: Path) -> tuple[float, float, float]:
    """Medians that no policy's reaction is in.

    The error of the links for the very exchanges of the live runs, on the channel of the record and on that of each of
    them; and by how much latencies of a layer differ between two live runs whose devices get the same transfers in it.
    """
    with closing(Journal.open(recorded)) as record, closing(Journal.open(ran)) as live:
        model = fit(record)
        there: list[Floats] = []
        here: list[Floats] = []
        for (variant,) in live.rows("SELECT variant FROM variants"):
            seen = observe(live, variant, Wait.ALL)
            took_ns = seen.end_ns - seen.asked.depart_ns
            for channel, found in ((model.record.channel, there), (read_record(live, variant).channel, here)):
                said_ns = predict(channel, model.constants, seen).end_ns - seen.asked.depart_ns
                found.append(np.abs(said_ns / took_ns - 1))
        layers = [layer for journal in (record, live) for layer in journal.rows(_LAYERS)]
    same: dict[tuple[object, ...], list[int]] = {}
    for took_ns, *what in layers:
        same.setdefault(tuple(what), []).append(took_ns)
    apart = [abs(a / b - 1) for each in same.values() for a, b in permutations(each, 2)]
    return float(np.median(np.concatenate(there))), float(np.median(np.concatenate(here))), float(np.median(apart))


def radios(folder: Path) -> None:
    """Print for each scenario and seed the median error of a layer, over all policies and for each, and the ranking."""
    for scenario in RADIOS:
        policies = UNSEEN if scenario in TAKES_NO_SHARES else (*UNSEEN, *UNSEEN_SHARES)
        for seed in SEEDS[:3]:
            settings = [*SMALL, f"seed={seed}"]
            record, asked, live = (folder / f"{scenario}-{seed}-{kind}" for kind in ("record", "asked", "live"))
            _run_once(config.load(None, settings, ["top-k"], scenario), record)
            _run_once(config.load(None, settings, policies, scenario), live)
            shutil.rmtree(asked, ignore_errors=True)
            what_if(record, policies=policies, out=asked)
            with closing(Journal.open(asked)) as predicted, closing(Journal.open(live)) as measured:
                errors = policy_errors(predicted, measured)
                means = mean_layer_s(predicted), mean_layer_s(measured)
            layers = {policy: next(each for each in errors[policy] if each.what == "layer, all") for policy in policies}
            amounts = np.abs(np.concatenate([error.relative for error in layers.values()]))
            tau = ranking(*([mean[policy] for policy in policies] for mean in means))
            each = ", ".join(f"{policy} {error.median:.1%}" for policy, error in layers.items())
            there, here, twins = _floors(record, live)
            print(f"{scenario}, seed {seed}: median {np.median(amounts):.1%}, 95th percentile "
                  f"{np.quantile(amounts, 0.95):.0%}, tau {tau:.2f}; {each}; "
                  f"links asked for the live exchanges {there:.1%}, on the live channel {here:.1%}; "
                  f"live runs of the same transfers {twins:.1%} apart", flush=True)  # fmt: skip


if __name__ == "__main__":
    work, folders = (radios, sys.argv[2:]) if sys.argv[1:2] == ["radios"] else (main, sys.argv[1:])
    if folders:
        work(Path(folders[0]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            work(Path(temporary))
