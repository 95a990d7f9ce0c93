# SPDX-License-Identifier: Apache-2.0
"""How fast a run is done again: `python -m bench.replay`.

Routing replay: a made-up trace of the sizes of Mixtral 8x7B (32 MoE layers, 8 experts, 2 a token) is served over a
network of fixed rates in the same process, 8 devices, a policy a process. Reading the file is not counted, all else
is: loads, prediction, policy, network, proxy, and with a journal everything that `cosim run` writes. A token-layer is
one token in one MoE layer. Prefill: prompts of 512 tokens, one exchange for 512 token-layers. Decode: an exchange for
each. Both policies run; with 2 processes at the same time, with 1 one after the other.

Networks: the default run is recorded on LTE, live and by the formula; exchanges are divided by the wall-clock seconds
that they spent within the network. The very exchanges of the live run are then asked of a what-if on that record.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.decisions import table as calibration_table
from bridge.network import NS_PER_S, LinkState, NetworkInfo, Outcome, Status, Transfer, TransferOutcome, Wait
from cosim import config
from cosim.config import Config
from cosim.experiment import run
from cosim.networks.fluid import carry
from cosim.networks.journaled import JournaledNetwork
from cosim.networks.link_model import fit
from cosim.networks.what_if import WhatIfNetwork
from cosim.record.exchange_rows import RecordedExchange
from cosim.record.journal import Journal
from cosim.seeds import seed_of
from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.energy import Powers
from model_side.exchange import LayerExchange
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.placement import place
from model_side.policies import POLICIES, make_policy
from model_side.prediction.line import Line
from model_side.record_routing import GateArrays, RoutingWriter
from model_side.routing_replay import RoutingReplay
from model_side.routing_trace import RoutingTrace
from model_side.wire_profiles import WIRE_PROFILES

DEVICES = 8
AIM_TOKEN_LAYERS_PER_S = 1e6
AIM_TIMES_LIVE = 1000
SHAPE = WIRE_PROFILES["mixtral-8x7b"]
WORKLOADS = {"prefill, 512 tokens": (64, 512, 1), "decode": (4, 1, 128), "512 tokens, then 64": (2, 512, 64)}
"""Requests, prompt tokens, new tokens."""
SEEING = [name for name, kind in POLICIES.items() if not kind.foresees]


class FixedRates:
    """Device d has 100 Mb/s / (d + 1) each way, for itself."""

    def __init__(self) -> None:
        self.info = NetworkInfo("fixed", tuple(map(str, range(DEVICES))), 0, {}, {})
        self.now_ns = self.busy_ns = 0
        rates_bps = [1e8 / (device + 1) for device in range(DEVICES)]
        self._ns_per_byte = [8 * NS_PER_S / rate_bps for rate_bps in rates_bps]
        self._links = tuple(
            LinkState(device, True, downlink_rate_bps=rate_bps, uplink_rate_bps=rate_bps)
            for device, rate_bps in enumerate(rates_bps)
        )

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """Serialisation down, computing, serialisation up."""
        outcomes = []
        for transfer in transfers:
            ns_per_byte = self._ns_per_byte[transfer.device]
            down_ns = depart_ns + round(transfer.downlink_bytes * ns_per_byte)
            compute_ns = down_ns + transfer.compute_ns
            up_ns = compute_ns + round(transfer.uplink_bytes * ns_per_byte)
            outcomes.append(TransferOutcome(transfer.device, Status.DONE, depart_ns, down_ns, compute_ns, up_ns))
        self.now_ns = max((outcome.uplink_end_ns or 0 for outcome in outcomes), default=depart_ns)
        return Outcome(self.now_ns, tuple(outcomes), self._links)

    def close(self) -> None:
        """Nothing to release."""


class Here:
    """Where the network of a journal comes from: this process."""

    def open(self, policy: str) -> Any:
        """A network of fixed rates."""
        return FixedRates()

    def abandon(self) -> None:
        """Nothing can be lost."""


def write_trace(path: Path, requests: int, prompt_tokens: int, new_tokens: int) -> None:
    """A trace of random routers, without their probabilities, as Mixtral would give them."""
    chance = np.random.default_rng(1)
    with RoutingWriter(path, "random", asdict(SHAPE), probabilities=False) as writer:
        for request in range(requests):
            position, count = 0, prompt_tokens
            for _ in range(new_tokens):
                gates = []
                for _ in SHAPE.moe_layers:
                    powers = np.exp(chance.standard_normal((count, SHAPE.experts), dtype=np.float32))
                    chosen = np.argsort(-powers, axis=1)[:, : SHAPE.top_k]
                    weights = np.take_along_axis(powers, chosen, axis=1)
                    gates.append(GateArrays(None, weights / weights.sum(axis=1, keepdims=True), chosen))
                writer.add(request, "decode" if position else "prefill", position, [1] * count, [1] * count, gates)
                position, count = position + count, 1


def serve(replay: RoutingReplay, policy: str, folder: Path | None) -> None:
    """One policy over all requests, with a journal in `folder` or without one."""
    with ExitStack() as stack:
        network: Any = FixedRates()
        on_exchange = None
        if folder is not None:
            folder.mkdir()
            journal = Journal.create(folder, Config(), {})
            stack.callback(journal.close)
            stack.enter_context(journal.batched())
            network = JournaledNetwork(journal, 1, policy, Here())
        placement = place(len(SHAPE.moe_layers), SHAPE.experts, DEVICES)
        hardware = [PROFILES["jetson-agx-orin"]] * DEVICES
        if folder is not None:
            journal.add_variant(
                1, policy, "fixed", network.info, Powers.unknown(DEVICES), [[d] for d in range(DEVICES)]
            )
            done = 0

            def on_exchange(record: LayerExchange) -> None:
                nonlocal done
                done += 1
                journal.add_exchange(1, done, record, Wait.ALL.value)

        compute = RooflineTimes(SHAPE, PROFILES["nvidia-l4"], hardware, 16, 4)
        steps, line = make_policy(policy), Line(DEVICES)
        known = calibration_table(SHAPE.experts, SHAPE.top_k, np.random.default_rng(1), len(SHAPE.moe_layers))
        base_station = BaseStation(
            network,
            placement,
            compute,
            steps,
            line,
            WireFormat(SHAPE.token_bytes),
            10**11,
            on_exchange=on_exchange,
            calibration=known,
        )
        for token in replay.serve(base_station):
            if folder is not None:
                journal.add_token(1, token)


def _work(path: Path, policies: Sequence[str], folder: Path | None, go: Any, done: Any) -> None:
    """In a process of its own: load, wait for the word, serve."""
    replay = RoutingReplay(RoutingTrace.read(path), proxy=True)
    go.wait()
    for policy in policies:
        serve(replay, policy, None if folder is None else folder / policy)
    done.wait()


def measure(path: Path, processes: int, journal: bool) -> float:
    """Wall-clock seconds that all policies take over a trace."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        go, done = (spawn.Barrier(processes + 1) for _ in range(2))
        place_ = Path(folder) if journal else None
        workers = [
            spawn.Process(target=_work, args=(path, SEEING[part::processes], place_, go, done))
            for part in range(processes)
        ]
        for worker in workers:
            worker.start()
        go.wait()
        began_s = time.perf_counter()
        done.wait()
        taken_s = time.perf_counter() - began_s
        for worker in workers:
            worker.join()
    return taken_s


def routing_replay(console: Console) -> None:
    """Print the table of recorded routing."""
    table = Table("workload", "journal", "processes", "exchanges/s", "µs an exchange", "token-layers/s")
    table.title = f"Routing replay, policies {' and '.join(SEEING)}, {DEVICES} devices, {os.cpu_count()} cores"
    best = 0.0
    for name, (requests, prompt_tokens, new_tokens) in WORKLOADS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.parquet"
            write_trace(path, requests, prompt_tokens, new_tokens)
            exchanges = len(SEEING) * requests * new_tokens * len(SHAPE.moe_layers)
            token_layers = exchanges // new_tokens * (prompt_tokens + new_tokens - 1)
            for journal in (False, True):
                for processes in (1, 2):
                    taken_s = measure(path, processes, journal)
                    best = max(best, token_layers / taken_s)
                    figures = exchanges / taken_s, processes * 1e6 * taken_s / exchanges, token_layers / taken_s
                    table.add_row(
                        name, "yes" if journal else "no", str(processes), *(f"{figure:,.0f}" for figure in figures)
                    )
    console.print(table)
    verdict = "met" if best >= AIM_TOKEN_LAYERS_PER_S else "NOT met"
    console.print(f"Aim, a million token-layers a second on 2 cores: {verdict}, at most {best:,.0f}.")


def ask(what_if: WhatIfNetwork, recorded: Sequence[RecordedExchange]) -> None:
    """All recorded exchanges one after the other; one that would depart before the network's clock departs then."""
    for (transfers, depart_ns, deadline_ns, wait, shares), _ in recorded:
        late_ns = max(what_if.now_ns - depart_ns, 0)
        what_if.exchange(transfers, depart_ns + late_ns, deadline_ns + late_ns, wait, shares)


def networks(console: Console) -> None:
    """Print the table of networks."""
    with tempfile.TemporaryDirectory() as folder:
        asked = config.load(None, ["quality=false"], ["top-k"], networks=["live", "analytic"])
        run(asked, out=Path(folder) / "run")
        with closing(Journal.open(Path(folder) / "run")) as journal:
            counts = dict(journal.rows("SELECT variant, count(*) FROM exchanges GROUP BY variant"))
            spent_s = dict(
                journal.rows("SELECT variant, sum(wall_s) FROM costs WHERE part IN ('ns-3', 'bridge') GROUP BY variant")
            )
            recorded = [found for number in range(counts[1]) if (found := journal.recorded(1, number + 1))]
            fit(journal)  # compiles, or loads what was compiled before
            began_s = time.perf_counter()
            carry.recompile()
            compile_s = time.perf_counter() - began_s
            model = fit(journal)
            fit_s = time.perf_counter() - began_s - compile_s
            info = journal.network_info(1)
    assert info is not None
    ask(WhatIfNetwork(model, info, seed_of(asked, "losses")), recorded)
    rounds, taken_s = 0, 0.0
    while taken_s < 1:
        what_if = WhatIfNetwork(model, info, seed_of(asked, "losses"))
        began_s = time.perf_counter()
        ask(what_if, recorded)
        taken_s += time.perf_counter() - began_s
        rounds += 1
    per_s = {
        "live": counts[1] / spent_s[1],
        "analytic": counts[2] / spent_s[2],
        "what-if": rounds * len(recorded) / taken_s,
    }
    table = Table("network", "exchanges/s", "µs an exchange", "times live")
    table.title = f"Within the network, default run on LTE, top-k, {counts[1]} exchanges"
    for name, rate in per_s.items():
        table.add_row(name, f"{rate:,.0f}", f"{1e6 / rate:,.0f}", f"{rate / per_s['live']:,.1f}")
    console.print(table)
    times = per_s["what-if"] / per_s["live"]
    verdict = "met" if times >= AIM_TIMES_LIVE else "MISSED"
    console.print(f"Aim, a what-if {AIM_TIMES_LIVE:,} times as fast as live: {verdict}, {times:,.0f} times.")
    console.print(f"Before the first answer: numba compiles, once a machine, {compile_s:.1f} s; the fit {fit_s:.1f} s.")


def main() -> None:
    """Print both tables."""
    console = Console(width=100)
    routing_replay(console)
    networks(console)


if __name__ == "__main__":
    main()
