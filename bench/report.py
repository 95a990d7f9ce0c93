# SPDX-License-Identifier: Apache-2.0
"""What a report costs: `python -m bench.report [EXCHANGES]`, one of 100,000 exchanges on 8 devices if none is said.

The run is written by the recorder itself, of two policies with a token in each decode pass, 64 in each prefill, and a
link state of each device in each exchange; what the figures show is drawn by lot. Where there is a Chromium, it is also
asked how long each filter of the layers takes until the page has been drawn anew, each value of it in turn.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from bridge.network import LinkState, NetworkInfo, Outcome, Status, Transfer, TransferOutcome, Wait
from cosim.config import Config
from cosim.record.journal import Journal
from model_side.energy import Powers
from model_side.exchange import LayerExchange
from model_side.placement import LayerPlacement
from model_side.prediction import Prediction
from model_side.routing import Gate
from model_side.selection import DeviceWork, Phase, Selection
from model_side.serving import TokenRecord
from tests.support.browser import CHROMIUM, chromium

DEVICES, EXPERTS, TOP_K, LAYERS, NEW_TOKENS, PROMPT = 8, 8, 2, 32, 32, 64
Chance = np.random.Generator
POLICIES = ("top-k", "lookahead")
FILTERS, MOST_VALUES = ("case", "phase", "request", "layer", "device"), 12


def write(folder: Path, exchanges: int) -> None:
    """A finished run of so many exchanges in `folder`, which is made."""
    folder.mkdir(parents=True)
    radio = {"scenario": "nr", "devices": DEVICES}
    config = msgspec.convert({"policies": list(POLICIES), "radio": radio}, Config)
    journal = Journal.create(folder, config, {"wdmoe-cosim": "0"})
    names = tuple(f"device-{number}" for number in range(DEVICES))
    distances_m = np.geomspace(20, 100, DEVICES).tolist()
    info = NetworkInfo("nr", names, 0, {"devices": DEVICES, "distances_m": distances_m}, {}, None)
    chance = np.random.default_rng(1)
    with journal.batched():
        for variant, policy in enumerate(POLICIES, 1):
            held = [[device] for device in range(DEVICES)]
            journal.add_variant(variant, policy, "live", info, Powers.unknown(DEVICES), held)
            _pass_by_pass(journal, variant, exchanges // len(POLICIES), chance)
            journal.add_costs(variant, {"ns-3": 1.0})
    journal.finish()
    journal.close()


def _pass_by_pass(journal: Journal, variant: int, exchanges: int, chance: Chance) -> None:
    placement = LayerPlacement(np.eye(DEVICES, dtype=bool))
    now_ns, number = 0, 0
    while number < exchanges:
        forward = number // LAYERS
        request, step = divmod(forward, NEW_TOKENS)
        tokens = 1 if step else PROMPT
        begin_ns = now_ns
        for layer in range(min(LAYERS, exchanges - number)):
            number += 1
            record = _exchange(placement, request, step, layer, tokens, now_ns, chance)
            now_ns = record.outcome.now_ns
            journal.add_exchange(variant, number, record, Wait.ALL)
        if not step:
            journal.add_quality(variant, request, _quality(chance))
        position = step and PROMPT + step - 1
        journal.add_token(variant, TokenRecord(request, position, 1, begin_ns, now_ns, None))


def _quality(chance: Chance) -> dict[str, float]:
    off = float(chance.random())
    sums = {"positions": 95, "agreements": 90, "kl_nats": off, "scored": 63}
    return {**sums, "nll_nats": 250 + off, "reference_nll_nats": 250.0}


def _exchange(
    placement: LayerPlacement,
    request: int,
    step: int,
    layer: int,
    tokens: int,
    now_ns: int,
    chance: Chance,
) -> LayerExchange:
    depart_ns = now_ns + 100_000
    probabilities = chance.dirichlet(np.ones(EXPERTS), tokens).astype(np.float32)
    own = np.argsort(-probabilities, axis=1)[:, :TOP_K]
    weights = np.take_along_axis(probabilities, own, axis=1)
    asked, counts = np.unique(own, return_counts=True)
    took_ns = chance.integers(1_000_000, 9_000_000, (len(asked), 3)).cumsum(axis=1) + depart_ns
    transfers = tuple(
        Transfer(int(d), 8192 * int(n), 100_000, 8192 * int(n)) for d, n in zip(asked, counts, strict=True)
    )
    outcomes = tuple(
        TransferOutcome(int(device), Status.DONE, depart_ns, *map(int, times))
        for device, times in zip(asked, took_ns, strict=True)
    )
    sinr_db = 20 - 3 * np.arange(DEVICES) + chance.normal(0, 2, DEVICES)
    links = tuple(
        LinkState(device, True, float(db), float(db) - 3, 10, 12, 9, 1e8, 5e7, 0, 0, 1, 1, 32, 16, 0.05, 0.05)
        for device, db in enumerate(sinr_db)
    )
    work = np.zeros(DEVICES, dtype=np.int64)
    work[asked] = counts
    return LayerExchange(
        phase=Phase.DECODE if step else Phase.PREFILL,
        request=request,
        position=step and PROMPT + step - 1,
        layer=layer,
        tokens=tokens,
        depart_ns=depart_ns,
        deadline_ns=depart_ns + 10**10,
        bs_compute_ns=100_000,
        gate=Gate(layer, EXPERTS, probabilities, weights, own),
        placement=placement,
        selection=Selection(weights, own),
        slot_devices=own,
        delivered=np.ones(own.shape, dtype=bool),
        transfers=transfers,
        work=DeviceWork(work, np.zeros(DEVICES)),
        prediction=Prediction(*np.full((5, DEVICES), 0.002)),
        outcome=Outcome(int(took_ns.max()), outcomes, links, b""),
        network_wall_s=0.0,
        policy_wall_s=0.0,
    )


def filtered_ms(page: Path) -> dict[str, list[float]]:
    """Milliseconds from the choice of each value of each filter until the frame after the one that shows it."""
    chosen = """(select => new Promise(told => {
        const began = performance.now();
        select.selectedIndex = INDEX;
        select.dispatchEvent(new Event("change"));
        requestAnimationFrame(() => requestAnimationFrame(() => told(performance.now() - began)));
    }))(document.getElementById("layers-NAME"))"""
    took_ms: dict[str, list[float]] = {}
    with chromium() as tab:
        tab.open(page.as_uri())
        for name in FILTERS:
            values = tab.value(f"document.getElementById('layers-{name}').options.length")
            orders = [*range(1, min(values, MOST_VALUES)), 0]
            took_ms[name] = [tab.value(chosen.replace("INDEX", str(i)).replace("NAME", name)) for i in orders]
    return took_ms


def main(exchanges: int = 100_000) -> None:
    """Write such a run, have `cosim report` look at it, and print what that took."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch, "run")
        write(run, exchanges)
        begun_s, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "cosim.cli", "report", str(run)], check=True, stdout=subprocess.DEVNULL)
        took_s, after = time.monotonic() - begun_s, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        journal_mb = (run / "journal.sqlite").stat().st_size / 1e6
        page = run / "report" / "report.html"
        page_mb = page.stat().st_size / 1e6
        filters = filtered_ms(page) if CHROMIUM else {}
    what = f"{exchanges} exchanges, journal of {journal_mb:.0f} MB"
    print(f"{what}: report in {took_s:.1f} s ({cpu_s:.1f} s of CPU), page of {page_mb:.1f} MB")
    for name, times_ms in filters.items():
        median, most = np.median(times_ms), max(times_ms)
        print(f"filter by {name}: {median:.0f} ms in the median of {len(times_ms)}, {most:.0f} at most")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
