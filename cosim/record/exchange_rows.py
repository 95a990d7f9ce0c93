# SPDX-License-Identifier: Apache-2.0
"""An exchange as the journal's tables have it."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from bridge.network import Outcome, Transfer, Wait
from model_side.base_station import LayerExchange


class Asked(NamedTuple):
    """What one exchange was asked: the arguments of `bridge.network.Network.exchange`."""

    transfers: tuple[Transfer, ...]
    depart_ns: int
    deadline_ns: int
    wait: Wait


class RecordedExchange(NamedTuple):
    """One exchange of the record."""

    asked: Asked
    outcome: Outcome


def rows_of(record: LayerExchange, wait: str) -> dict[str, list[list[Any]]]:
    """The rows of an exchange by table, without the variant and number that each begins with."""
    outcome = record.outcome
    exchange = [
        record.request,
        record.position,
        record.phase.value,
        record.layer,
        record.tokens,
        record.bs_compute_ns,
        record.depart_ns,
        record.deadline_ns,
        wait,
        outcome.now_ns,
    ]
    transfers = [
        [
            transfer.device,
            int(record.tokens_per_device[transfer.device]),
            transfer.downlink_bytes,
            transfer.compute_ns,
            transfer.uplink_bytes,
            *msgspec.structs.astuple(result)[1:],
        ]
        for transfer, result in zip(record.transfers, outcome.transfers, strict=True)
    ]
    routing = [record.tokens, record.experts, record.gate_indices.shape[1]] + [
        None if array is None else np.ascontiguousarray(array, dtype).tobytes()
        for array, dtype in (
            (record.probabilities, "<f4"),
            (record.gate_weights, "<f4"),
            (record.gate_indices, "<i2"),
            (record.chosen_weights, "<f4"),
            (record.chosen_indices, "<i2"),
            (record.delivered, "?"),
            (record.predicted_s, "<f8"),
        )
    ]
    return {
        "exchanges": [exchange],
        "transfers": transfers,
        "links": [list(msgspec.structs.astuple(link)) for link in outcome.links],
        "channel": [[outcome.channel]],
        "routing": [routing],
    }
