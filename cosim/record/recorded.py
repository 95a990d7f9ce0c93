# SPDX-License-Identifier: Apache-2.0
"""What a journal has of a network, as the network itself gave it: what it was, and what came of each exchange."""

import json
import sqlite3
from pathlib import Path

import msgspec

from bridge.network import (
    TRACK_ROW,
    Conveyed,
    Delivery,
    LinkState,
    Message,
    NetworkInfo,
    Outcome,
    Site,
    Status,
    Transfer,
    TransferOutcome,
    Wait,
)
from cosim.record.exchange_rows import Asked, RecordedCall, RecordedExchange, shares_of
from cosim.record.integrity import damaged

_sites = msgspec.json.Decoder(tuple[Site, ...])


def network_info(db: sqlite3.Connection, variant: int) -> NetworkInfo | None:
    """The network of a variant as it was recorded; None if it never began.

    Whether it takes shares is not kept: a policy that gives some was refused if not, before anything was recorded.
    """
    found = db.execute(
        "SELECT scenario, begin_ns, parameters, versions, bandwidth_hz, others, sites FROM variants WHERE variant = ?",
        [variant],
    ).fetchone()
    if found is None:
        return None
    scenario, begin_ns, parameters, versions, band, others, sites = found
    devices = db.execute(
        "SELECT name, downlink_air_w, uplink_air_w FROM devices WHERE variant = ? ORDER BY device", [variant]
    ).fetchall()
    air_w = tuple(None if down is None else (down, up) for _, down, up in devices)
    return NetworkInfo(
        scenario,
        tuple(name for name, *_ in devices),
        begin_ns,
        json.loads(parameters),
        json.loads(versions),
        None if band is None else tuple(json.loads(band)),
        takes_shares=True,
        air_w=air_w if any(air_w) else None,
        others=() if others is None else tuple(json.loads(others)),
        sites=() if sites is None else _sites.decode(sites),
    )


def exchange(db: sqlite3.Connection, path: Path, variant: int, number: int) -> RecordedExchange | None:
    """Exchange `number` (from 1) of a variant; None if it was not recorded.

    Raises `RequestError` naming RUN for a journal, which lies at `path`, that has not all of it.
    """
    key = (variant, number)
    found = db.execute(
        "SELECT depart_ns, deadline_ns, wait, end_ns, shares FROM exchanges WHERE variant = ? AND exchange = ?", key
    ).fetchone()
    if found is None:
        return None
    depart_ns, deadline_ns, wait, end_ns, shares = found
    transfers, outcomes = [], []
    for device, down, compute_ns, up, status, *times in db.execute(
        "SELECT device, downlink_bytes, compute_ns, uplink_bytes, status, downlink_begin_ns, downlink_end_ns, "
        "compute_end_ns, uplink_end_ns, downlink_air_j, uplink_air_j "
        "FROM transfers WHERE variant = ? AND exchange = ? ORDER BY device",
        key,
    ):
        transfers.append(Transfer(device, down, compute_ns, up))
        outcomes.append(TransferOutcome(device, Status(status), *times))
    links = tuple(
        LinkState(device, bool(connected), *measured)
        for _, _, device, connected, *measured in db.execute(
            "SELECT * FROM links WHERE variant = ? AND exchange = ? ORDER BY device", key
        )
    )
    channel = db.execute("SELECT rows FROM channel WHERE variant = ? AND exchange = ?", key).fetchone()
    if channel is None:
        raise damaged(path, f"channel has no row of variant {variant}, exchange {number}")
    tracks = b"".join(
        TRACK_ROW.pack(*row)
        for _, _, *row in db.execute(
            "SELECT * FROM tracks WHERE variant = ? AND exchange = ? ORDER BY time_ns, user", key
        )
    )
    asked = Asked(tuple(transfers), depart_ns, deadline_ns, Wait(wait), shares_of(shares))
    return RecordedExchange(asked, Outcome(end_ns, tuple(outcomes), links, channel[0], tracks=tracks))


def call(db: sqlite3.Connection, variant: int, number: int) -> RecordedCall | None:
    """Call `number` (from 1) of `MessageNetwork.convey` of a variant; None if it was not recorded."""
    key = (variant, number)
    found = db.execute("SELECT exchange, until_ns, end_ns FROM calls WHERE variant = ? AND call = ?", key).fetchone()
    if found is None:
        return None
    exchange, until_ns, end_ns = found
    messages = tuple(
        Message(message, device, bool(uplink), *figures)
        for message, device, uplink, *figures in db.execute(
            "SELECT message, device, uplink, size_bytes, begin_ns, deadline_ns FROM messages "
            "WHERE variant = ? AND call = ? ORDER BY message",
            key,
        )
    )
    deliveries = tuple(
        Delivery(message, Status(status), at_ns)
        for message, status, at_ns in db.execute(
            "SELECT message, status, end_ns FROM deliveries WHERE variant = ? AND call = ? ORDER BY end_ns, message",
            key,
        )
    )
    return RecordedCall(exchange, messages, until_ns, Conveyed(end_ns, deliveries))
