# SPDX-License-Identifier: Apache-2.0
"""What part of the time devices compute, links are busy, and of a shared band is taken, from a journal alone."""

from dataclasses import dataclass

import numpy as np

from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from cosim.results.energy import TransferEnergy
from model_side.routing import Floats


@dataclass(frozen=True)
class Utilisation:
    """Of `span_s`, from when the network was ready until all was over, as shares from 0 to 1.

    `downlink`, `compute`, `uplink` [D]: the part in which a transfer to a device was under way, it computed, and its
    answer was under way; waiting for the radio's scheduler is under way too. `base_station`: that in which the BS
    computed. `band`: where all share one, how much of it the payload took down and up at the rate that each device's
    latest MCS has on the whole band. Headers, control channels and repetitions come on top. None where no rate is
    known.
    """

    span_s: float
    downlink: Floats
    compute: Floats
    uplink: Floats
    base_station: float
    band: tuple[float, float] | None


def utilisation_of(
    journal: Journal, variant: int, transfers: TransferEnergy, bs_compute_s: float
) -> Utilisation | None:
    """Of a variant, whose BS computed for so long; None where nothing took any time."""
    ((begin_ns, end_ns),) = journal.rows(
        "SELECT begin_ns, max((SELECT coalesce(max(end_ns), 0) FROM exchanges WHERE variant = ?1), "
        "(SELECT coalesce(max(end_ns), 0) FROM tokens WHERE variant = ?1), "
        "(SELECT coalesce(max(end_ns), 0) FROM requests WHERE variant = ?1)) FROM variants WHERE variant = ?1",
        variant,
    )
    span_s = (end_ns - begin_ns) / NS_PER_S
    if span_s <= 0:
        return None
    devices = len(transfers.powers.hardware)
    down, compute, up = (np.bincount(transfers.device, part, devices) / span_s for part in transfers.part_s)
    return Utilisation(span_s, down, compute, up, bs_compute_s / span_s, _band(journal, variant, span_s))


def _band(journal: Journal, variant: int, span_s: float) -> tuple[float, float] | None:
    ((is_shared, down_s, up_s),) = journal.rows(
        "SELECT (SELECT bandwidth_hz IS NOT NULL FROM variants WHERE variant = ?1), "
        "sum(8 * downlink_bytes / downlink_rate_bps), sum(8 * uplink_bytes / uplink_rate_bps) "
        "FROM transfers JOIN links USING (variant, exchange, device) WHERE variant = ?1 AND status = 'done'",
        variant,
    )
    return (down_s / span_s, up_s / span_s) if is_shared and down_s is not None and up_s is not None else None
