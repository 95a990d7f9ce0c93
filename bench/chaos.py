# SPDX-License-Identifier: Apache-2.0
"""Kills at random moments: `python -m bench.chaos [KILLS] [SEED]`.

A short run of both policies on LTE is made once in peace. Then runs of the same are struck at random moments of wall
clock: ns-3's process, the model's (which is ns-3's parent), both at once, by SIGKILL, or one of the two by SIGSTOP,
ns-3's for good and the model's for longer than the time-out; one that died is resumed, and struck again at every second
time. Each has to end with the journal of the peaceful one.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bridge.messages import CLIENT_TIMEOUT_S
from cosim.record.journal import Journal

SETTINGS = ("workload.requests=2", "workload.prompt_tokens=16", "workload.new_tokens=8", "radio.devices=4")
STROKES = {
    "ns-3 killed": ("ns3", signal.SIGKILL),
    "model, the parent, killed": ("model", signal.SIGKILL),
    "both killed": ("both", signal.SIGKILL),
    "ns-3 stopped for good": ("ns3", signal.SIGSTOP),
    "model, the parent, stopped for a while": ("model", signal.SIGSTOP),
}
MOST_RESUMES = 6
STOPPED_S = CLIENT_TIMEOUT_S + 2.0


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cosim.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def begin(folder: Path) -> "subprocess.Popen[str]":
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return start("run", "--policy", "top-k", "--policy", "weight-to-latency", "--out", str(folder), *settings)


def strike(process: "subprocess.Popen[str]", whom: str, number: signal.Signals, after_s: float) -> bool:
    """Let it run so long, then strike. False if it was over before."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
        return False
    with suppress(psutil.NoSuchProcess):
        model = psutil.Process(process.pid)
        ns3 = [child for child in model.children() if "ns3_scenarios" in child.cmdline()]
        for struck in {"ns3": ns3, "model": [model], "both": [model, *ns3]}[whom]:
            with suppress(psutil.NoSuchProcess):
                struck.send_signal(number)
        if number == signal.SIGSTOP and whom == "model":
            time.sleep(STOPPED_S)
            model.send_signal(signal.SIGCONT)
    return True


def fingerprint(folder: Path) -> str:
    with closing(Journal.open(folder)) as journal:
        return journal.fingerprint()


def is_finished(folder: Path) -> bool:
    with closing(Journal.open(folder)) as journal:
        return journal.is_finished()


def lived_through(folder: Path, stroke: str, peace_s: float, chance: random.Random) -> tuple[int, int]:
    """Strike a run until it has ended; return how often it was struck and how often resumed."""
    whom, number = STROKES[stroke]
    process = begin(folder)
    struck = resumed = 0
    while True:
        if resumed % 2 == 0:
            struck += strike(process, whom, number, chance.uniform(0, peace_s))
        _, errors = process.communicate(timeout=600)
        if process.returncode == 0:
            return struck, resumed
        recorded = (folder / "journal.sqlite").exists()
        if recorded and is_finished(folder):  # struck between its last word and its exit
            return struck, resumed
        if resumed == MOST_RESUMES or (recorded and process.returncode != -signal.SIGKILL):
            raise RuntimeError(f"{stroke}: exit code {process.returncode}: {errors}")
        process = start("resume", str(folder)) if recorded else begin(folder)
        resumed += 1


def main() -> None:
    """Print what came of it; exit code 1 if any journal differs."""
    kills, seed = (int(argument) for argument in [*sys.argv[1:], *("50", "1")[len(sys.argv) - 1 :]])
    chance = random.Random(seed)
    runs, strokes, resumes, differ = (Counter[str]() for _ in range(4))
    with tempfile.TemporaryDirectory() as place:
        began_s = time.monotonic()
        begin(Path(place) / "peace").communicate()
        peace_s = time.monotonic() - began_s
        wanted = fingerprint(Path(place) / "peace")
        while sum(strokes.values()) < kills:
            stroke = list(STROKES)[sum(runs.values()) % len(STROKES)]
            folder = Path(place) / str(sum(runs.values()))
            struck, resumed = lived_through(folder, stroke, peace_s, chance)
            runs[stroke] += 1
            strokes[stroke] += struck
            resumes[stroke] += resumed
            differ[stroke] += fingerprint(folder) != wanted
    table = Table("stroke", "runs", "strokes", "resumed", "journals that differ", title=f"chaos, seed {seed}")
    for stroke in STROKES:
        table.add_row(stroke, *(str(count[stroke]) for count in (runs, strokes, resumes, differ)))
    Console(width=100).print(table)
    sys.exit(1 if sum(differ.values()) else 0)


if __name__ == "__main__":
    main()
