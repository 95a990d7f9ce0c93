# SPDX-License-Identifier: Apache-2.0
"""An exchange as the journal's tables have it."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.network import TRACK_ROW, Conveyed, Message, Outcome, Transfer, Wait
from model_side.exchange import LayerExchange


class Asked(NamedTuple):
    """What one exchange was asked: the arguments of `bridge.network.Network.exchange`."""

    transfers: tuple[Transfer, ...]
    depart_ns: int
    deadline_ns: int
    wait: Wait
    bandwidth_shares: tuple[float, ...] | None = None


class RecordedExchange(NamedTuple):
    """One exchange of the record."""

    asked: Asked
    outcome: Outcome


class RecordedCall(NamedTuple):
    """A call of `bridge.network.MessageNetwork.convey` on record, and what came of it; behind `exchange` exchanges."""

    exchange: int
    messages: tuple[Message, ...]
    until_ns: int
    conveyed: Conveyed


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
        _blob(record.selection.shares, "<f8"),
    ]
    transfers = [
        [
            transfer.device,
            int(record.work.tokens[transfer.device]),
            transfer.downlink_bytes,
            transfer.compute_ns,
            transfer.uplink_bytes,
            *msgspec.structs.astuple(result)[1:],
        ]
        for transfer, result in zip(record.transfers, outcome.transfers, strict=True)
    ]
    gate, chosen = record.gate, record.selection
    routing = [
        record.tokens,
        gate.experts,
        gate.indices.shape[1],
        _blob(gate.probabilities, "<f4"),
        _blob(gate.weights, "<f4"),
        _blob(gate.indices, "<i2"),
        chosen.indices.shape[1],
        _blob(chosen.weights, "<f4"),
        _blob(chosen.indices, "<i2"),
        None if record.is_where_placed else _blob(record.slot_devices, "<i2"),
        _blob(record.delivered, "?"),
        _blob(record.prediction.seconds, "<f8"),
    ]
    return {
        "exchanges": [exchange],
        "transfers": transfers,
        "links": [list(msgspec.structs.astuple(link)) for link in outcome.links],
        "channel": [[outcome.channel]],
        "tracks": list(map(list, TRACK_ROW.iter_unpack(outcome.tracks))),
        "routing": [routing],
    }


def shares_of(blob: bytes | None) -> tuple[float, ...] | None:
    """The shares of the band that a column has."""
    return None if blob is None else tuple(np.frombuffer(blob, "<f8").tolist())


def known(value: float) -> float | None:
    """NaN as NULL."""
    return None if value != value else value  # noqa: PLR0124


def _blob(array: NDArray[Any] | None, dtype: str) -> bytes | None:
    return None if array is None else np.ascontiguousarray(array, dtype).tobytes()
