# SPDX-License-Identifier: GPL-2.0-only
"""What QoS flows do for hidden states beside background on NR: `python -m bench.qos_flows`."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bridge.network import NS_PER_S, Transfer
from ns3_scenarios.simulation import open_network

DEVICES = 8
SEEDS = (1, 2, 3)
EXCHANGES = 60
GAP_S = 0.007
LIMIT_S = 20
SIZES = {"8 kB": 8_192, "256 kB": 262_144}
"""Each way and device: of a few tokens, and of a prompt."""

WAYS = ("down", "up")
LOADS: dict[str, list[dict[str, object]]] = {
    "none": [],
    "4 other users": [{"kind": "full-buffer", "users": 4, "direction": way} for way in WAYS],
    "each device": [{"kind": "full-buffer", "device": i, "direction": way} for i in range(DEVICES) for way in WAYS],
}
"""Whose buffers are full, 1 MB each, down and up."""


def latencies_s(load: Sequence[dict[str, object]], flows: bool, scheduler: str, size_bytes: int) -> list[float]:
    """Of exchanges with all devices, each as long as its last transfer takes."""
    found = []
    for seed in SEEDS:
        radio: dict[str, object] = {"devices": DEVICES, "background": load, "scheduler": scheduler}
        network = open_network("nr", radio | ({"qos_flows": {}} if flows else {}), seed)
        for i in range(EXCHANGES):
            depart_ns = network.now_ns + round((GAP_S + i * 0.000137) * NS_PER_S)
            asked = [Transfer(device, size_bytes, 0, size_bytes) for device in range(DEVICES)]
            outcome = network.exchange(asked, depart_ns, depart_ns + LIMIT_S * NS_PER_S)
            found.append((outcome.now_ns - depart_ns) / NS_PER_S)
        network.close()
    return found


def main() -> None:
    """Print a table."""
    table = Table("scheduler", "full buffers", "flows", *SIZES)
    for scheduler in ("pf", "rr"):
        for name, load in LOADS.items():
            for flows in (False, True) if load else (False,):
                row = []
                for size_bytes in SIZES.values():
                    found_ms = [1000 * each for each in latencies_s(load, flows, scheduler, size_bytes)]
                    tail_ms = statistics.quantiles(found_ms, n=20)[-1]
                    row.append(f"{statistics.median(found_ms):.1f}, {tail_ms:.1f}")
                table.add_row(scheduler, name, "two" if flows else "one", *row)
    console = Console(width=100)
    console.print("An exchange with all devices, the same both ways: median and 95th percentile in ms")
    console.print(table)


if __name__ == "__main__":
    main()
