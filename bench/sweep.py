# SPDX-License-Identifier: Apache-2.0
"""What a study costs: what-ifs on one worker and on two against as many separate commands, and analytic runs for long.

    python -m bench.sweep --runs 200 --commands 10 --analytic 500

A what-if here is the shipped model's answer to a prompt of 8 tokens and 3 new ones on the record of a live run. Of the
separate commands only `--commands` are run, and their mean taken for each. Times on a machine that others use too say
little: CPU seconds stand beside them.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

_BASE = """
quality = false
[base.radio]
devices = 4
[base.workload]
requests = 1
prompt_tokens = 8
new_tokens = 3
"""
_SETTINGS = (
    "quality=false",
    "radio.devices=4",
    "workload.requests=1",
    "workload.prompt_tokens=8",
    "workload.new_tokens=3",
)
_MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="what-ifs")
    parser.add_argument("--commands", type=int, default=10, help="separate commands that are timed")
    parser.add_argument("--analytic", type=int, default=500, help="analytic runs, on two workers")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        if asked.runs:
            _what_ifs(Path(folder), asked.runs, asked.commands)
        if asked.analytic:
            _analytic(Path(folder), asked.analytic)


def _what_ifs(folder: Path, runs: int, commands: int) -> None:
    record = folder / "record"
    words = [word for setting in _SETTINGS for word in ("--set", setting)]
    _timed(["run", "--policy", "top-k", *words, "--out", str(record)])
    study = folder / "what-if.toml"
    draws = runs // 2
    grid = f'seeds.losses = {{from = 1, to = {draws}}}\npolicies = ["top-k", "weight-to-latency"]\n'
    study.write_text(f'record = "{record}"\n[grid]\n{grid}', encoding="utf-8")
    table = Table(title=f"{2 * draws} what-ifs", title_justify="left")
    for column in ("", "s", "CPU s", "CPU s a run"):
        table.add_column(column, justify="left" if column == "" else "right")
    took: dict[str, float] = {}
    for workers in (1, 2):
        name = f"cosim sweep on {workers} worker{'s' * (workers > 1)}"
        out = folder / f"on-{workers}"
        took[name], cpu_s = _timed(["sweep", str(study), "--workers", str(workers), "--out", str(out)])
        table.add_row(name, f"{took[name]:.0f}", f"{cpu_s:.0f}", f"{cpu_s / (2 * draws):.2f}")
    each = [
        _timed(
            ["replay", str(record), "--policy", "weight-to-latency", "--set", f"seeds.losses={number}", "--out", out]
        )
        for number in range(1, commands + 1)
        for out in [str(folder / f"alone-{number}")]
    ]
    wall_s, cpu_s = (sum(column) / commands for column in zip(*each, strict=True))
    name = f"cosim replay, {commands} timed"
    took[name] = 2 * draws * wall_s
    table.add_row(name, f"{took[name]:.0f}", f"{2 * draws * cpu_s:.0f}", f"{cpu_s:.2f}")
    Console().print(table)
    one, two, alone = took.values()
    print(f"two workers {one / two:.2f} times as fast as one, and {alone / two:.1f} times as fast as separate commands")


def _analytic(folder: Path, runs: int) -> None:
    study = folder / "analytic.toml"
    grid = f'seed = {{from = 1, to = {runs // 2}}}\npolicies = ["top-k", "weight-to-latency"]\n'
    study.write_text(f'[base]\nnetworks = ["analytic"]{_BASE}[grid]\n{grid}', encoding="utf-8")
    out = folder / "analytic"
    command = [sys.executable, "-m", "cosim.cli", "sweep", str(study), "--workers", "2", "--out", str(out)]
    table = Table(title=f"{runs // 2 * 2} analytic runs on two workers", title_justify="left")
    for column in ("runs done", "s", "CPU s", "client, MB", "workers, MB", "ns-3, MB"):
        table.add_column(column, justify="right")
    began_s, told = time.monotonic(), 0
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.5)
        done = len(list((out / "rows").glob("[!.]*.json"))) if (out / "rows").is_dir() else 0
        if done >= told + runs // 10:
            told = done
            client, workers, ns3, cpu_s = _memory(process)
            sizes = (f"{each / _MB:.0f}" for each in (client, workers, ns3))
            table.add_row(str(done), f"{time.monotonic() - began_s:.0f}", f"{cpu_s:.0f}", *sizes)
    Console().print(table)


def _memory(client: psutil.Process) -> tuple[int, int, int, float]:
    """Bytes of the client, of its workers together and of their ns-3 sides together; CPU seconds of all."""
    sizes, cpu_s = [0, 0, 0], 0.0
    for process in (client, *client.children(recursive=True)):
        with suppress(psutil.Error):
            is_ns3 = "ns3_scenarios" in process.cmdline()
            sizes[0 if process.pid == client.pid else 2 if is_ns3 else 1] += process.memory_info().rss
            cpu_s += sum(process.cpu_times()[:2])
    return sizes[0], sizes[1], sizes[2], cpu_s


def _timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of a `cosim` command and of all that it starts."""
    before, began_s = _children_s(), time.monotonic()
    subprocess.run([sys.executable, "-m", "cosim.cli", *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began_s, _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
