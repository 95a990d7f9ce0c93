# SPDX-License-Identifier: Apache-2.0
"""The round trip of one exchange of 8 transfers without simulation, our bridge beside others: `python -m bench.bridge`.

Every contestant is two processes, a model's side and a network's side that has its answer ready. All carry the same
content, a `Request` with 8 transfers there and a `Reply` with 8 outcomes and 8 link states back, packed and unpacked
by `bridge.messages`; only the bare echo carries frames of those lengths unread (see `bench.rivals`). A round begins
when the answer of the round before is there and was checked, and lasts until the next begins.

The contestants take turns, a block of rounds each, so that what else the machine does meets all alike. Median: of the
blocks' medians. p99: of all rounds. Ratio: median over the turns of the ratio within a turn. CPU: seconds of all of a
contestant's processes per second of its blocks; two sides that wait by spinning take 2 cores.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench.rivals import DEADLINE_NS, DEVICES, NOW_NS, OUTCOME, TRANSFERS, answer, ask, echo, helics, mosaik
from bench.turns import More, Running, cpu_s, partner
from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.keys import keys_for, make_keys
from bridge.network import NetworkInfo, Outcome, Transfer
from bridge.server import Server

TURNS = 12
HOLD_S = 2.0
AIM_ECHOES, AIM_HELICS, AIM_HELD = 1.5, 0.5, 0.05


def bridge_ipc(more: More) -> None:
    """Our client and server over a Unix socket."""
    with private_ipc() as endpoint:
        bridge(more, endpoint)


def bridge_tcp(more: More) -> None:
    """Our client and server over loopback, without keys."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bridge(more, f"tcp://127.0.0.1:{port}")


def bridge_curve(more: More) -> None:
    """Our client and server over loopback, with keys."""
    with TemporaryDirectory() as folder:
        make_keys(Path(folder))
        with create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        bridge(more, f"tcp://127.0.0.1:{port}", Path(folder))


def bridge(more: More, endpoint: str, folder: Path | None = None) -> None:
    """The whole bridge as a run has it: session, sequence numbers, checks, beats and pulses."""
    keys = None if folder is None else keys_for(endpoint, "model", folder, plain_tcp=False)
    with (
        partner(bridge_network, endpoint, folder),
        closing(RemoteNetwork(endpoint, "still", {}, 1, keys=keys)) as network,
    ):
        while more():
            outcome = network.exchange(TRANSFERS, NOW_NS, DEADLINE_NS)
            assert len(outcome.transfers) == len(outcome.links) == len(DEVICES)


def bridge_network(endpoint: str, folder: Path | None = None) -> None:
    """Our server before a network that answers at once; an exchange without transfers it holds for `HOLD_S`."""

    def exchange(transfers: Sequence[Transfer], *_: Any) -> Outcome:
        if not transfers:
            time.sleep(HOLD_S)
        return OUTCOME

    info = NetworkInfo("still", tuple(f"device-{device}" for device in DEVICES), NOW_NS, {}, {})
    network: Any = SimpleNamespace(
        info=info, exchange=exchange, interrupt=lambda: None, progress_ns=lambda: NOW_NS, close=lambda: None
    )
    keys = None if folder is None else keys_for(endpoint, "network", folder, plain_tcp=False)
    Server(endpoint, lambda *_: network, once=True, keys=keys, plain_tcp=keys is None).serve()


def held_cpu() -> float:
    """Seconds of CPU that both sides of the bridge take per second of an exchange that lasts."""
    with (
        private_ipc() as endpoint,
        partner(bridge_network, endpoint) as other,
        closing(RemoteNetwork(endpoint, "still", {}, 1)) as network,
    ):
        sides = psutil.Process(), psutil.Process(other)
        before_s = cpu_s(sides)
        network.exchange((), NOW_NS, DEADLINE_NS)
        return (cpu_s(sides) - before_s) / HOLD_S


CONTESTANTS: dict[str, Callable[[More], None]] = {
    "bare pyzmq echo, ipc": echo,
    "bridge, ipc": bridge_ipc,
    "bridge, tcp loopback": bridge_tcp,
    "bridge, tcp with keys": bridge_curve,
    "HELICS, ipc": helics,
    "mosaik, remote": mosaik,
}


def measure() -> dict[str, Running | None]:
    """Every contestant after all turns, None for those that are not installed."""
    running: dict[str, Running | None] = {}
    try:
        for name, contestant in CONTESTANTS.items():
            missing = contestant in (helics, mosaik) and find_spec(contestant.__name__) is None
            running[name] = None if missing else Running(contestant)
        for _ in range(1 + TURNS):
            for one in filter(None, running.values()):
                one.block()
    finally:
        for one in filter(None, running.values()):
            one.end()
    return running


def main() -> None:
    """Print the table, and whether the aims were met in this run."""
    before = os.getloadavg()[0]
    results = measure()
    held = held_cpu()
    medians = {
        name: np.array([np.median(rounds) for rounds in one.rounds_us[1:]])  # the first block warms up
        for name, one in results.items()
        if one is not None and not one.failed
    }
    echo_us, helics_us = medians.get("bare pyzmq echo, ipc"), medians.get("HELICS, ipc")
    table = Table("", "median µs", "of blocks, µs", "p99 µs", "CPU s/s", "of echo", "of HELICS")
    table.title = f"Exchange of 8 transfers, {len(ask(1))} bytes there and {len(answer(ask(1)))} back, {TURNS} turns"
    for name, one in results.items():
        if one is None or name not in medians:
            table.add_row(name, "not installed" if one is None else "failed")
            continue
        own = medians[name]
        p99 = np.percentile(np.concatenate(one.rounds_us[1:]), 99)
        ratios = ("-" if other is None else f"{np.median(own / other):.2f}" for other in (echo_us, helics_us))
        blocks = f"{own.min():.0f} to {own.max():.0f}"
        table.add_row(name, f"{np.median(own):.0f}", blocks, f"{p99:.0f}", f"{np.mean(one.cpu[1:]):.2f}", *ratios)
    console = Console(width=100)
    console.print(table)
    console.print(f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores.")
    ours = medians.get("bridge, ipc")
    for aim, most, other in (("bare echoes", AIM_ECHOES, echo_us), ("of HELICS", AIM_HELICS, helics_us)):
        if ours is None or other is None:
            console.print(f"Aim, at most {most} {aim}: not measured.")
        else:
            took = np.median(ours / other)
            console.print(f"Aim, at most {most} {aim}: {'met' if took <= most else 'NOT met'} with {took:.2f}.")
    console.print(
        f"Aim, no busy waiting: {'met' if held <= AIM_HELD else 'NOT met'}; both sides together take {held:.3f} s of "
        "CPU per second of an exchange that lasts."
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
