# SPDX-License-Identifier: Apache-2.0
"""What each built-in scenario costs, and where its start-up goes: `python -m bench.scenarios`.

Each figure comes from a process of its own.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bridge.network import NS_PER_S, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.simulation import Simulation, open_network
from ns3_scenarios.wheel import build, loader

DEVICES = (1, 8, 64)
RADIO_DEVICES = (1, 8, 32, 128)
ALONE: dict[str, object] = {"shadowing_sigma_db": 0.0, "neighbours": {"sites": 0}}
RADIOS: dict[str, tuple[str, dict[str, object]]] = {
    "LTE, 20 MHz": ("lte", ALONE),
    "LTE, 20 MHz, 18 neighbours": ("lte", {"shadowing_sigma_db": 0.0}),
    "LTE, 5 carriers of 20 MHz": ("lte", ALONE | {"profile": "100mhz-2x2"}),
    "NR, 100 MHz": ("nr", ALONE | {"fading": False}),
    "NR, 100 MHz, fading": ("nr", ALONE),
    "NR, 100 MHz, fading, 18 neighbours": ("nr", {"shadowing_sigma_db": 0.0}),
}
BLOCK_BYTES = 800_000
IDLE_S = 2
BUSY_S, BUSY_CPU_S = 2, 2.0
"""Busy is until so much virtual time has passed, or so much CPU time was spent."""
RUNS = 3
AIM_LTE_S, AIM_OTHER_S = 4.0, 2.0
SEED = 1


def cost(scenario: str, devices: int, parameters: dict[str, object] | None = None) -> dict[str, float]:
    """Of this process: wall-clock seconds until ready, CPU seconds per simulated second, peak of its memory in MB."""
    halves = {"lte_devices": (devices + 1) // 2, "wifi_devices": max(devices // 2, 1)}
    began_s = time.perf_counter()
    number = halves if scenario == "mixed" else {"devices": devices}
    network = open_network(scenario, number | (parameters or {}), SEED)
    ready_s = time.perf_counter() - began_s
    network.exchange([], network.now_ns, network.now_ns, Wait.DEADLINE)  # the first one compiles its bindings
    idle = _per_simulated_s(network, lambda: _idle(network))
    both_ways = [Transfer(i, BLOCK_BYTES, 0, BLOCK_BYTES) for i in range(len(network.info.devices))]
    busy = _per_simulated_s(network, lambda: _busy(network, both_ways))
    peak = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert peak is not None
    made = len(network.info.devices)  # at least one of each kind
    return {"devices": made, "ready_s": ready_s, "idle": idle, "busy": busy, "peak_mb": int(peak[1]) / 1000}


def _per_simulated_s(network: Simulation, work: Callable[[], None]) -> float:
    began_ns, began_s = network.now_ns, time.process_time()
    work()
    return (time.process_time() - began_s) / ((network.now_ns - began_ns) / NS_PER_S)


def _idle(network: Simulation) -> None:
    network.exchange([], network.now_ns, network.now_ns + IDLE_S * NS_PER_S, Wait.DEADLINE)


def _busy(network: Simulation, transfers: list[Transfer]) -> None:
    end_ns, end_s = network.now_ns + BUSY_S * NS_PER_S, time.process_time() + BUSY_CPU_S
    while network.now_ns < end_ns and time.process_time() < end_s:
        network.exchange(transfers, network.now_ns, end_ns)


def startup(scenario: str) -> dict[str, float]:
    """CPU seconds of this process, part by part, until the scenario is ready."""
    kind = SCENARIOS[scenario]
    parts: dict[str, float] = {}
    kept, spent_s = [], 0.0  # a simulation lives until the process ends
    for part, work in (
        ("Python, imports", lambda: None),
        ("interpreter", loader.load),
        ("libraries", lambda: loader.load(kind.modules)),
        ("headers", lambda: loader.load(kind.modules, kind.headers)),
        ("build, attach", lambda: Simulation(kind.parse({}), SEED)),
    ):
        kept.append(work())
        parts[part] = time.process_time() - spent_s
        spent_s += parts[part]
    return {**parts, "all": spent_s}


def elsewhere(call: str) -> dict[str, float]:
    """What a function of this module returns in a fresh process."""
    code = f"import json; from bench.scenarios import *; print(json.dumps({call}))"
    return dict(json.loads(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout))


def radio_costs(console: Console) -> None:
    """Print what LTE and NR cost, with fading and neighbours too, by the number of devices."""
    title = (
        f"CPU seconds per simulated second: idle, and saturated with {BLOCK_BYTES // 1000} KB each way for each device"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("radio", *(f"{devices} devices" for devices in RADIO_DEVICES)):
        table.add_column(heading, justify="left" if heading == "radio" else "right")
    for name, (scenario, parameters) in RADIOS.items():
        found = [elsewhere(f"cost({scenario!r}, {devices}, {parameters!r})") for devices in RADIO_DEVICES]
        table.add_row(name, *(f"{each['idle']:.3f}, {each['busy']:.2f}" for each in found))
    console.print(table)


def costs(console: Console) -> None:
    """Print what every scenario costs with few and many devices."""
    title = f"CPU seconds per simulated second: idle, and busy with {BLOCK_BYTES // 1000} KB each way for each device"
    table = Table(title=title, title_justify="left")
    for heading in ("scenario", "devices", "ready wall s", "idle", "busy", "peak memory MB"):
        table.add_column(heading, justify="left" if heading == "scenario" else "right")
    for scenario in SCENARIOS:
        for devices in DEVICES:
            found = elsewhere(f"cost({scenario!r}, {devices})")
            figures = (f"{found['ready_s']:.2f}", f"{found['idle']:.3f}", f"{found['busy']:.2f}")
            table.add_row(scenario, f"{found['devices']:g}", *figures, f"{found['peak_mb']:.0f}")
    console.print(table)


def startups(console: Console) -> None:
    """Print where the time until a scenario is ready goes, the best of a few."""
    table = Table(title=f"start-up with 8 devices, CPU seconds, best of {RUNS}", title_justify="left")
    table.add_column("scenario")
    for number, scenario in enumerate(SCENARIOS):
        runs = [elsewhere(f"startup({scenario!r})") for _ in range(RUNS)]
        best = min(runs, key=lambda run: run["all"])
        if number == 0:
            for part in (*best, "aim"):
                table.add_column(part, justify="right")
        aim_s = AIM_LTE_S if "lte" in SCENARIOS[scenario].modules else AIM_OTHER_S
        met = "met" if best["all"] <= aim_s else "MISSED"
        table.add_row(scenario, *(f"{cpu_s:.2f}" for cpu_s in best.values()), f"{aim_s:g} {met}")
    console.print(table)


def main() -> None:
    """Print both tables."""
    build.library()
    console = Console(width=120, highlight=False)
    costs(console)
    startups(console)
    console.print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
