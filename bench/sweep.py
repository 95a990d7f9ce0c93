# SPDX-License-Identifier: Apache-2.0
"""What a study costs: what-ifs on one worker and on two against as many separate commands, and analytic runs for long.

    python -m bench.sweep --runs 200 --default 200 --commands 10 --analytic 500

The what-ifs of `--runs` are the shipped model's answers to a prompt of 8 tokens and 3 new ones on the record of a live
run, those of `--default` the answers of a run without any settings. Of the separate commands only `--commands` are run,
for the first kind, and their mean taken for each. Times on a machine that others use too say little: CPU seconds stand
beside them, by process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

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
_NO = subprocess.DEVNULL
_KINDS = ("client", "stem", "workers", "ns-3")
"""The client with Dask's scheduler, what workers are forked from, these, and their ns-3 sides."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="what-ifs of a small run")
    parser.add_argument("--default", type=int, default=0, help="what-ifs of a default run")
    parser.add_argument("--commands", type=int, default=10, help="separate commands that are timed")
    parser.add_argument("--analytic", type=int, default=500, help="analytic runs, on two workers")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        if asked.runs:
            _what_ifs(Path(folder) / "small", _SETTINGS, asked.runs, asked.commands)
        if asked.default:
            _what_ifs(Path(folder) / "default", (), asked.default, 0)
        if asked.analytic:
            _analytic(Path(folder), asked.analytic)


def _what_ifs(folder: Path, settings: Sequence[str], runs: int, commands: int) -> None:
    record = folder / "record"
    words = [word for setting in settings for word in ("--set", setting)]
    _timed(["run", "--policy", "top-k", *words, "--out", str(record)])
    study = folder / "what-if.toml"
    draws = runs // 2
    grid = f'seeds.losses = {{from = 1, to = {draws}}}\npolicies = ["top-k", "weight-to-latency"]\n'
    study.write_text(f'record = "{record}"\n[grid]\n{grid}', encoding="utf-8")
    table = Table(title=f"{2 * draws} what-ifs of a {folder.name} run", title_justify="left")
    for column in ("", "s", "CPU s", *_KINDS):
        table.add_column(column, justify="left" if column == "" else "right")
    took: list[float] = []
    for workers in (1, 2):
        out = folder / f"on-{workers}"
        began_s = time.monotonic()
        process = psutil.Popen(
            _command(["sweep", str(study), "--workers", str(workers), "--out", str(out)]), stdout=_NO
        )
        spent = _Spent(process)
        while process.poll() is None:
            time.sleep(0.2)
            spent.look()
        took.append(time.monotonic() - began_s)
        parts = (f"{spent.cpu_s(kind):.1f}" for kind in _KINDS)
        name = f"cosim sweep on {workers} worker{'s' * (workers > 1)}"
        table.add_row(name, f"{took[-1]:.0f}", f"{sum(map(spent.cpu_s, _KINDS)):.0f}", *parts)
    if commands:
        each = [
            _timed(["replay", str(record), "--policy", "top-k", "--set", f"seeds.losses={number}", "--out", out])
            for number in range(1, commands + 1)
            for out in [str(folder / f"alone-{number}")]
        ]
        wall_s, cpu_s = (2 * draws * sum(column) / commands for column in zip(*each, strict=True))
        table.add_row(f"cosim replay, {commands} timed", f"{wall_s:.0f}", f"{cpu_s:.0f}")
    Console().print(table)
    print(f"two workers {took[0] / took[1]:.2f} times as fast as one")
    if commands:
        print(f"and {wall_s / took[1]:.1f} times as fast as separate commands")


def _analytic(folder: Path, runs: int) -> None:
    study = folder / "analytic.toml"
    grid = f'seed = {{from = 1, to = {runs // 2}}}\npolicies = ["top-k", "weight-to-latency"]\n'
    study.write_text(f'[base]\nnetworks = ["analytic"]{_BASE}[grid]\n{grid}', encoding="utf-8")
    out = folder / "analytic"
    table = Table(title=f"{runs // 2 * 2} analytic runs on two workers, MB of memory", title_justify="left")
    for column in ("runs done", "s", "CPU s", "client", "workers", "of their own", "ns-3"):
        table.add_column(column, justify="right")
    began_s, told = time.monotonic(), 0
    process = psutil.Popen(_command(["sweep", str(study), "--workers", "2", "--out", str(out)]), stdout=_NO)
    spent = _Spent(process)
    while process.poll() is None:
        time.sleep(0.5)
        spent.look()
        done = len(list((out / "rows").glob("[!.]*.json"))) if (out / "rows").is_dir() else 0
        if done >= told + runs // 10:
            told = done
            sizes = [spent.memory(kind).rss for kind in ("client", "workers")]
            sizes += [spent.memory("workers").uss, spent.memory("ns-3").rss]
            cpu_s = sum(map(spent.cpu_s, _KINDS))
            words = (f"{size / _MB:.0f}" for size in sizes)
            table.add_row(str(done), f"{time.monotonic() - began_s:.0f}", f"{cpu_s:.0f}", *words)
    Console().print(table)


class _Memory(NamedTuple):
    rss: int
    uss: int


class _Spent:
    """CPU seconds and memory of a sweep's processes, by their kinds; `look` now and then, as some end before it."""

    def __init__(self, client: psutil.Process):
        self._client = client
        self._cpu_s: dict[int, tuple[str, float]] = {}

    def look(self) -> None:
        """See what each has used by now."""
        for process, kind in self._processes():
            with suppress(psutil.Error):
                self._cpu_s[process.pid] = (kind, sum(process.cpu_times()[:2]))

    def cpu_s(self, kind: str) -> float:
        """What those of a kind had used at the last look."""
        return sum(spent_s for each, spent_s in self._cpu_s.values() if each == kind)

    def memory(self, kind: str) -> _Memory:
        """What those of a kind take together, and what of it no other process has."""
        sizes = [_Memory(0, 0)]
        for process, each in self._processes():
            with suppress(psutil.Error):
                if each == kind:
                    full = process.memory_full_info()
                    sizes.append(_Memory(full.rss, full.uss))
        return _Memory(*map(sum, zip(*sizes, strict=True)))

    def _processes(self) -> Iterator[tuple[psutil.Process, str]]:
        with suppress(psutil.Error):
            yield self._client, "client"
            for process in self._client.children(recursive=True):
                with suppress(psutil.Error):
                    is_ns3 = "ns3_scenarios" in process.cmdline()
                    is_fork = process.ppid() != self._client.pid
                    yield process, "ns-3" if is_ns3 else "workers" if is_fork else "stem"


def _timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of a `cosim` command and of all that it starts."""
    before, began_s = _children_s(), time.monotonic()
    subprocess.run(_command(arguments), stdout=_NO, check=True)
    return time.monotonic() - began_s, _children_s() - before


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "cosim.cli", *arguments]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
