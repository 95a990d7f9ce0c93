# SPDX-License-Identifier: GPL-2.0-only
"""The SINRs of the default cells, and of other choices for them: `python -m bench.defaults`."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import Transfer
from ns3_scenarios.simulation import open_network

SEEDS = range(1, 41)
SETTLE_NS = 100_000_000
BLOCK_BYTES = 100_000  # a device's part of a prompt's pass
LIMIT_NS = 5_000_000_000
CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "nr": ("nr", {}),
    "nr, no neighbours": ("nr", {"neighbours": {"sites": 0}}),
    "nr, neighbours' load 0.1": ("nr", {"neighbours": {"load": 0.1}}),
    "nr, neighbours' load 0.6": ("nr", {"neighbours": {"load": 0.6}}),
    "nr, P0 -80 dBm, factor 1": ("nr", {"nominal_power_dbm": -80, "path_loss_factor": 1.0}),
    "nr, P0 -90 dBm, factor 1": ("nr", {"nominal_power_dbm": -90, "path_loss_factor": 1.0}),
    "nr, P0 -80 dBm, factor 0.8": ("nr", {"nominal_power_dbm": -80, "path_loss_factor": 0.8}),
    "lte": ("lte", {}),
    "lte, no neighbours": ("lte", {"neighbours": {"sites": 0}}),
    "lte, P0 -80 dBm, factor 1": ("lte", {"nominal_power_dbm": -80, "path_loss_factor": 1.0}),
    "lte, P0 -80 dBm, factor 0.8": ("lte", {"nominal_power_dbm": -80, "path_loss_factor": 0.8}),
}


def measure(scenario: str, parameters: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """SINR in dB [2, links], down and up, of all devices at all seeds; ms that each exchange took, NaN if not done."""
    links, took_ms = [], []
    for seed in SEEDS:
        network = open_network(scenario, parameters, seed)
        depart_ns = network.now_ns + SETTLE_NS
        asked = [Transfer(i, BLOCK_BYTES, 0, BLOCK_BYTES) for i in range(len(network.info.devices))]
        outcome = network.exchange(asked, depart_ns, depart_ns + LIMIT_NS)
        links += [(link.downlink_sinr_db, link.uplink_sinr_db) for link in outcome.links]
        ends = [transfer.uplink_end_ns for transfer in outcome.transfers]
        took_ms.append(np.nan if None in ends else (outcome.now_ns - depart_ns) / 1e6)
        network.close()
    return np.array(links, dtype=np.float64).T, np.array(took_ms)


def main() -> None:
    """Print the table."""
    table = Table(
        title=f"8 devices, {len(SEEDS)} seeds: SINR in dB at 5, 50 and 95 % of all links", title_justify="left"
    )
    for heading in ("cell", "down", "up", f"{BLOCK_BYTES // 1000} KB both ways, all: median ms", "not within 5 s"):
        table.add_column(heading, justify="left" if heading == "cell" else "right")
    for name, (scenario, parameters) in CHOICES.items():
        sinr_db, took_ms = measure(scenario, parameters)
        percentiles = [", ".join(f"{np.nanpercentile(way, share):.0f}" for share in (5, 50, 95)) for way in sinr_db]
        table.add_row(name, *percentiles, f"{np.nanmedian(took_ms):.0f}", f"{np.isnan(took_ms).sum()} of {len(SEEDS)}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
