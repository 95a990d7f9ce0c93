# SPDX-License-Identifier: Apache-2.0
"""Joules of transfers, computed from a journal: what was radiated, and what devices and base station drew for it.

A transfer's parts take until they ended, or until its exchange did; of one that never began there are none.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from model_side.energy import Joules, Powers
from model_side.routing import Floats, Indices, Mask

DEVICE_PARTS = ("receive_j", "compute_j", "send_j")
PARTS = (*DEVICE_PARTS, "bs_send_j")
"""Of a transfer, as `cosim.load` names them."""

_TRANSFERS = """
SELECT exchange, device, downlink_air_j, uplink_air_j, downlink_begin_ns,
    coalesce(downlink_end_ns, end_ns) - downlink_begin_ns,
    coalesce(compute_end_ns, end_ns) - coalesce(downlink_end_ns, end_ns),
    coalesce(uplink_end_ns, end_ns) - coalesce(compute_end_ns, end_ns)
FROM transfers JOIN exchanges USING (variant, exchange) WHERE variant = ? ORDER BY exchange, device
"""


@dataclass(frozen=True)
class TransferEnergy:
    """Of the M transfers of a variant, NaN what is not known.

    `device` [M] of each. `part_s` [3, M]: how long downlink, computing and uplink were under way. `counted` [2, M]:
    where the radio counted what was radiated, down and up; `radiated_j` [2, M]: that, and elsewhere power times time on
    the link. `joules` [M]: what was drawn.
    """

    powers: Powers
    device: Indices
    part_s: Floats
    counted: Mask
    radiated_j: Floats
    joules: Joules

    @property
    def parts(self) -> dict[str, Floats]:
        """By `PARTS`."""
        joules = self.joules
        return dict(zip(PARTS, (joules.receive, joules.compute, joules.send, joules.bs_send), strict=True))


@dataclass(frozen=True)
class Energy:
    """Of a variant in J, None what is not known: `parts` by `PARTS`, and `bs_compute_j` of attention, gate and head.

    `device_air_j`, `bs_air_j`: what devices and BS radiated; `counted`: the share of that which the radio itself
    counted, None without any transfer. `missing`: what the rest would need, in keys of the configuration.
    """

    parts: dict[str, float | None]
    device_air_j: float | None
    bs_air_j: float | None
    counted: float | None
    missing: tuple[str, ...]

    @cached_property
    def total_j(self) -> float | None:
        """All that was drawn."""
        known = [joules for joules in self.parts.values() if joules is not None]
        return sum(known) if len(known) == len(self.parts) else None


def powers_of(journal: Journal, variant: int) -> Powers:
    """By which the energy of a variant is told, as the run took them."""
    rows = journal.rows(
        "SELECT hardware, compute_w, receive_w, transmit_w, amplifier_efficiency, downlink_air_w, uplink_air_w "
        "FROM devices WHERE variant = ? ORDER BY device",
        variant,
    )
    compute, receive, transmit, efficiency, down, up = np.array([row[1:] for row in rows], np.float64).reshape(-1, 6).T
    ((bs_compute, bs_transmit, bs_efficiency),) = np.array(
        journal.rows(
            "SELECT bs_compute_w, bs_transmit_w, bs_amplifier_efficiency FROM variants WHERE variant = ?", variant
        ),
        np.float64,
    )
    air_w = np.stack([down, up])
    hardware = [row[0] for row in rows]
    return Powers(
        compute,
        receive,
        transmit,
        efficiency,
        air_w,
        float(bs_compute),
        float(bs_transmit),
        float(bs_efficiency),
        hardware,
    )


def of_transfers(journal: Journal, variant: int) -> TransferEnergy:
    """Of each transfer of a variant, in order of exchange and device."""
    rows = np.array(journal.rows(_TRANSFERS, variant), np.float64).reshape(-1, 8)
    device = rows[:, 1].astype(np.int64)
    powers = powers_of(journal, variant)
    down_s, compute_s, up_s = part_s = np.where(np.isnan(rows[:, 4]), 0.0, rows[:, 5:].T / NS_PER_S)
    counted_j = rows[:, 2:4].T
    of_each = powers.of(device)
    radiated_j = of_each.radiated(down_s, up_s, counted_j)
    joules = of_each.joules(down_s, compute_s, up_s, radiated_j)
    return TransferEnergy(powers, device, part_s, ~np.isnan(counted_j), radiated_j, joules)


def summed(transfers: TransferEnergy, bs_compute_s: float) -> Energy:
    """Of all these transfers, and a BS that computed for so long."""
    powers, counted = transfers.powers, transfers.counted
    by_device = np.ones((2, len(powers.hardware)), dtype=bool)
    for way in (0, 1):
        by_device[way, transfers.device[~counted[way]]] = False
    missing = powers.missing(by_device) if powers.hardware else []
    if np.isnan(powers.bs_compute_w):
        missing.append("base_station.compute_w")
    return Energy(
        {name: _sum(joules) for name, joules in transfers.parts.items()}
        | {"bs_compute_j": _sum(np.array(powers.bs_compute_w * bs_compute_s))},
        device_air_j=_sum(transfers.radiated_j[1]),
        bs_air_j=_sum(transfers.radiated_j[0]),
        counted=float(counted.mean()) if counted.size else None,
        missing=tuple(missing),
    )


def _sum(joules: Floats) -> float | None:
    total = float(joules.sum())
    return None if np.isnan(total) else total
