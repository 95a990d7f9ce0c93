# SPDX-License-Identifier: Apache-2.0
"""Where a default run's wall-clock time goes, and how soon the ns-3 side is ready: `python -m bench.run`."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from cosim.config import Config
from cosim.networks.ns3_process import ns3_process
from cosim.record.journal import Journal

RUNS = 3
AIM_READY_S, AIM_RUN_S, AIM_SHARE = 3.0, 60.0, 0.05


def ready_s(folder: Path) -> float:
    """Seconds from the start of the ns-3 process until it has greeted a client of the default scenario."""
    config = Config()
    with private_ipc() as endpoint:
        began_s = time.perf_counter()
        with ns3_process(endpoint, folder / "ns3.log") as process:
            RemoteNetwork(
                endpoint, config.scenario, config.radio_parameters, config.seed, check_partner=process.check
            ).close()
            return time.perf_counter() - began_s


def default_run(folder: Path) -> dict[str, float]:
    """Wall-clock seconds of the parts of one `cosim run` with nothing configured, and of the whole command."""
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cosim.cli", "run", "--out", folder], check=True, stdout=subprocess.DEVNULL)
    whole_s = time.perf_counter() - began_s
    journal = Journal.open(folder)
    parts = dict(journal.rows("SELECT part, total(wall_s) FROM costs GROUP BY part ORDER BY part"))
    journal.close()
    return {**parts, "start of Python, tables": whole_s - sum(parts.values()), "whole command": whole_s}


def main() -> None:
    """Print the table and whether the aims were met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready = [ready_s(folder) for _ in range(RUNS)]
        runs = [default_run(folder / str(number)) for number in range(RUNS)]
    whole_s = statistics.median(run["whole command"] for run in runs)
    table = Table("part", f"wall s (median of {RUNS})", "share", title="default cosim run", title_justify="left")
    for part in runs[0]:
        wall_s = statistics.median(run[part] for run in runs)
        table.add_row(part, f"{wall_s:.2f}", f"{wall_s / whole_s:.1%}")
    console = Console(width=100)
    console.print(table)
    bridge = statistics.median((run["bridge"] + run["journal and display"]) / run["whole command"] for run in runs)
    for what, figure, aim, shown in (
        ("ns-3 side ready", statistics.median(ready), AIM_READY_S, f"{statistics.median(ready):.2f} s"),
        ("default run", whole_s, AIM_RUN_S, f"{whole_s:.1f} s"),
        ("bridge, journal and display", bridge, AIM_SHARE, f"{bridge:.1%} of the run"),
    ):
        console.print(f"{what}: {shown}, aim at most {aim:g}: {'met' if figure <= aim else 'MISSED'}", highlight=False)
    console.print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}", highlight=False)


if __name__ == "__main__":
    main()
