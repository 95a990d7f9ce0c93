# SPDX-License-Identifier: Apache-2.0
"""A journal's channel record as arrays: what every link could have carried over the virtual time of a variant."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError
from cosim.networks.links import Channel
from cosim.record.channel_row import ROW
from cosim.record.journal import Journal


class Record(NamedTuple):
    """The record of a variant by link, with SINR in dB [rows]; where it ends it begins again."""

    channel: Channel
    sinr_db: NDArray[np.float64]


def read_record(journal: Journal, variant: int) -> Record:
    """The channel record of a variant. Raises `RequestError` naming RUN if its network keeps none."""
    blobs = [rows for (rows,) in journal.rows("SELECT rows FROM channel WHERE variant = ? ORDER BY exchange", variant)]
    ((begin_ns, devices),) = journal.rows(
        "SELECT begin_ns, (SELECT count(*) FROM devices WHERE devices.variant = variants.variant) FROM variants "
        "WHERE variant = ?",
        variant,
    )
    ((end_ns,),) = journal.rows("SELECT max(end_ns) FROM exchanges WHERE variant = ?", variant)
    rows = np.frombuffer(b"".join(blobs), ROW)
    link = 2 * rows["device"].astype(np.int64) + rows["direction"]
    if len(np.unique(link)) < 2 * devices:
        raise RequestError("RUN", "its scenario keeps no channel record, which a what-if would be answered from")
    order = np.argsort(link, kind="stable")
    rows, link = rows[order], link[order]
    pools, pool = np.unique(rows["pool"], return_inverse=True)
    first = np.searchsorted(link, np.arange(2 * devices + 1)).astype(np.int64)
    others, capacity, begin = (rows[name].astype(np.float64) for name in ("others", "capacity_bps", "time_ns"))
    channel = Channel(first, begin, capacity, pool.astype(np.int64), others, len(pools), float(end_ns - begin_ns))
    return Record(channel, rows["sinr_db"].astype(np.float64))
