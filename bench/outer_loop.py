# SPDX-License-Identifier: Apache-2.0
"""What NR's outer loop and its BLER target cost small transfers: `python -m bench.outer_loop`.

One device, 8 KB down and nothing up, one transfer after another at any time within a slot; at a mean SINR of 4, 12 and
20 dB over the whole carrier, on a channel that stands still and with fading at walking and driving speed. The latency
is that of the downlink; the throughput beside it is that of a saturated downlink on the same channel.
"""

from collections.abc import Sequence
from itertools import product
from math import hypot, log10, pi

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import NS_PER_S, Transfer, Wait
from ns3_scenarios.simulation import open_network

MS = 1_000_000
BYTES = 8_000
TRANSFERS = 400
SATURATED_NS = NS_PER_S
SEEDS = (1, 2, 3)
DISTANCE_M = 50.0
HOP_M = hypot(DISTANCE_M, 10 - 1.5)
NOISE_DBM = -174 + 7 + 10 * log10(273 * 12 * 30e3)
FLAT_LOSS_DB = 20 * log10(4 * pi * 3.5e9 * HOP_M / 299792458)
UMI_LOSS_DB = 35.3 * log10(HOP_M) + 22.4 + 21.3 * log10(3.5)  # TR 38.901 table 7.4.1-1, without line of sight
SINRS_DB = (4.0, 12.0, 20.0)
FADING: dict[str, object] = {
    **{"path_loss": "umi", "line_of_sight": "never", "fading": True},
    **{"shadowing_sigma_db": 0.0, "neighbours": {"sites": 0}},
}
CHANNELS: dict[str, dict[str, object]] = {
    "still": {"path_loss": "friis"},
    "fading, 3 m/s": FADING | {"fading_speed_mps": 3.0},
    "fading, 15 m/s": FADING | {"fading_speed_mps": 15.0},
}
LOOPS = [(0.0, 0.1), (0.25, 0.1), (0.0, 0.01), (0.25, 0.01), (0.05, 0.1)]
"""Step of the outer loop in dB, 0 for none, and target."""


def measure(
    channel: dict[str, object], sinr_db: float, step_db: float, target: float, seed: int
) -> tuple[list[float], float]:
    """Milliseconds of each transfer, and Mb/s when saturated."""
    loss_db = FLAT_LOSS_DB if channel["path_loss"] == "friis" else UMI_LOSS_DB
    given = {
        **channel,
        **{"distances_m": [DISTANCE_M], "layers": 1, "polarizations": 1, "gnb_antennas": [1, 1]},
        **{"gnb_power_dbm": sinr_db + loss_db + NOISE_DBM, "nominal_power_dbm": 24.0},
        **{"target_bler": target, "outer_loop_step_db": step_db},
    }
    network = open_network("nr", given, seed)
    try:
        took_ms = []
        for number in range(TRANSFERS):
            depart_ns = network.now_ns + 7 * MS + 91_733 * (number % 41)
            (came,) = network.exchange([Transfer(0, BYTES, 0, 1)], depart_ns, depart_ns + NS_PER_S).transfers
            if came.downlink_end_ns is not None and came.downlink_begin_ns is not None:
                took_ms.append((came.downlink_end_ns - came.downlink_begin_ns) / MS)
        cell = network._topology.keep[0]
        before = cell.GetCount(0, False).bytes
        end_ns = network.now_ns + SATURATED_NS
        network.exchange([Transfer(0, 60_000_000, 0, 1)], network.now_ns, end_ns, Wait.DEADLINE)
        return took_ms, 8e-6 * (cell.GetCount(0, False).bytes - before) / (SATURATED_NS / NS_PER_S)
    finally:
        network.close()


def row(name: str, sinr_db: float, step_db: float, target: float, seeds: Sequence[int]) -> list[str]:
    found = [measure(CHANNELS[name], sinr_db, step_db, target, seed) for seed in seeds]
    took_ms = np.concatenate([each for each, _ in found])
    shown = [f"{np.percentile(took_ms, share):.2f}" for share in (50, 95, 99)]
    loop = f"{step_db:g} dB" if step_db else "off"
    return [name, f"{sinr_db:g}", loop, f"{target:g}", *shown, f"{np.mean([rate for _, rate in found]):.1f}"]


def main() -> None:
    """Print the table."""
    table = Table(title=f"{BYTES // 1000} KB down, alone in the cell, {len(SEEDS)} seeds", title_justify="left")
    for heading in ("channel", "SINR dB", "outer loop", "target", "p50 ms", "p95", "p99", "saturated Mb/s"):
        table.add_column(heading, justify="left" if heading == "channel" else "right")
    for name, sinr_db, (step_db, target) in product(CHANNELS, SINRS_DB, LOOPS):
        table.add_row(*row(name, sinr_db, step_db, target, SEEDS))
    Console(width=120, highlight=False).print(table)


if __name__ == "__main__":
    main()
